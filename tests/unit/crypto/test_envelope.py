"""What is remembered of a blob to open it."""

import dataclasses

import pytest

from davserver.crypto.envelope import new_envelope
from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import DEFAULT_SEGMENT_SIZE
from davserver.domain.errors import KeyRingError
from tests.support.sealing import open_all, predictable, seal

BLOB = "ab" * 16


def test_an_envelope_gives_back_its_data_key() -> None:
    ring = KeyRing.generate()
    envelope, data_key = new_envelope(ring, BLOB)
    assert len(data_key) == 32
    assert envelope.data_key(ring) == data_key
    assert envelope.segment_size == envelope.layout.segment_size == DEFAULT_SEGMENT_SIZE
    assert envelope.associated_data == BLOB.encode()


def test_every_blob_has_a_data_key_of_its_own() -> None:
    ring = KeyRing.generate()
    assert len({new_envelope(ring, BLOB)[1] for _ in range(50)}) == 50


def test_an_envelope_is_bound_to_its_blob() -> None:
    ring = KeyRing.generate()
    envelope, _ = new_envelope(ring, BLOB)
    with pytest.raises(KeyRingError):
        dataclasses.replace(envelope, blob_id="cd" * 16).data_key(ring)


def test_an_envelope_shows_no_key() -> None:
    envelope, data_key = new_envelope(KeyRing.generate(), BLOB)
    assert "wrapped_key" not in repr(envelope)
    assert data_key.hex() not in repr(envelope)
    assert BLOB in repr(envelope)


def test_rewrapping_leaves_the_sealed_bytes_openable_and_needs_the_old_key_no_more() -> None:
    old = KeyRing.generate()
    envelope, data_key = new_envelope(old, BLOB)
    sealed = seal(b"content", envelope.layout, data_key, envelope.associated_data)
    both = old.with_new_key()
    moved = envelope.rewrapped(both)
    assert moved.key_id == both.current != envelope.key_id
    only_new = KeyRing.parse(both.reveal().split(",")[0])
    assert open_all(sealed, moved.layout, moved.data_key(only_new), moved.associated_data) == b"content"
    with pytest.raises(KeyRingError):
        envelope.data_key(only_new)


def test_randomness_and_segment_size_are_injected() -> None:
    ring = KeyRing.generate(random=predictable())
    one, first_key = new_envelope(ring, BLOB, 4096, predictable(b"x"))
    two, second_key = new_envelope(ring, BLOB, 4096, predictable(b"x"))
    assert first_key == second_key
    assert one.segment_size == two.segment_size == 4096
    assert one != two  # the nonces of the wrapping come from the ring
