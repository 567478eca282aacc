"""The sealed stream is Google Tink's: its own package opens what we seal, and we open what it seals."""

import os

import pytest

from davserver.crypto.segments import DEFAULT_SEGMENT_SIZE, SegmentLayout
from davserver.domain.errors import ContentDamaged
from tests.support.sealing import BLOB_ID, open_all, open_part, seal

tinkkeys = pytest.importorskip("tests.support.tinkkeys", reason="tink has no build for this Python")
tink = pytest.importorskip("tink", reason="tink has no build for this Python")

SIZES = [
    (segment_size, plain)
    for segment_size in (64, 100, 4096, DEFAULT_SEGMENT_SIZE, 1 << 20)
    for segments in (0, 1, 2, 3)
    for boundary in [segments * (segment_size - 16) - 40 if segments else 0]
    for plain in {max(0, boundary - 1), boundary, boundary + 1}
]


@pytest.mark.parametrize(("segment_size", "size"), SIZES)
def test_tink_opens_what_we_seal(segment_size: int, size: int) -> None:
    data_key, plain = os.urandom(32), os.urandom(size)
    sealed = seal(plain, SegmentLayout(segment_size), data_key)
    assert tinkkeys.TinkStream(data_key, segment_size).open(sealed, BLOB_ID) == plain


@pytest.mark.parametrize(("segment_size", "size"), SIZES)
def test_we_open_what_tink_seals(segment_size: int, size: int) -> None:
    data_key, plain = os.urandom(32), os.urandom(size)
    layout = SegmentLayout(segment_size)
    sealed = tinkkeys.TinkStream(data_key, segment_size).seal(plain, BLOB_ID)
    assert len(sealed) == layout.sealed_size(size)
    assert open_all(sealed, layout, data_key) == plain
    assert open_part(sealed, layout, size // 2, size, data_key) == plain[size // 2 :]


def test_the_template_of_one_mebibyte_segments_is_ours_at_that_size() -> None:
    template = tink.streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    key_format = tinkkeys.aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKeyFormat.FromString(template.value)
    assert key_format.params.ciphertext_segment_size == 1 << 20
    assert key_format.params.derived_key_size == 32
    assert key_format.params.hkdf_hash_type == tinkkeys.common_pb2.SHA256


def test_both_refuse_another_blob_id() -> None:
    data_key = os.urandom(32)
    theirs = tinkkeys.TinkStream(data_key, 4096)
    with pytest.raises(tink.TinkError):
        theirs.open(seal(b"secret", SegmentLayout(4096), data_key), b"another")
    with pytest.raises(ContentDamaged):
        open_all(theirs.seal(b"secret", b"another"), SegmentLayout(4096), data_key)
