"""Golden vectors: what was sealed once opens for ever, and the same randomness seals to the same bytes.

tests/vectors/sealed.json was written by this package when Tink opened all of it (test_tink.py), and is not written again.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from davserver.crypto.envelope import Envelope
from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import Sealer, SegmentLayout
from tests.support.sealing import open_all, pattern, predictable

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "sealed.json").read_text("ascii"))
STREAMS = VECTORS["streams"]
WRAPPED = VECTORS["wrapped_keys"]


def plain_of(vector: dict[str, Any]) -> bytes:
    plain = pattern(vector["plain_size"])
    assert hashlib.sha256(plain).hexdigest() == vector["plain_sha256"]
    return plain


def given_randomness(vector: dict[str, Any]) -> Any:
    parts = iter([bytes.fromhex(vector["salt"]), bytes.fromhex(vector["nonce_prefix"])])
    return lambda size: next(part for part in parts if len(part) == size)


@pytest.mark.parametrize("vector", STREAMS, ids=lambda vector: vector["name"])
def test_the_same_key_and_randomness_seal_to_the_same_bytes(vector: dict[str, Any]) -> None:
    layout = SegmentLayout(vector["segment_size"])
    sealer = Sealer(
        bytes.fromhex(vector["data_key"]), vector["associated_data"].encode(), layout, given_randomness(vector)
    )
    sealed = b"".join(sealer.seal([plain_of(vector)]))
    assert len(sealed) == vector["sealed_size"]
    assert hashlib.sha256(sealed).hexdigest() == vector["sealed_sha256"]


@pytest.mark.parametrize(
    "vector", [vector for vector in STREAMS if "sealed" in vector], ids=lambda vector: vector["name"]
)
def test_what_was_sealed_once_still_opens(vector: dict[str, Any]) -> None:
    sealed = base64.b64decode(vector["sealed"])
    assert hashlib.sha256(sealed).hexdigest() == vector["sealed_sha256"]
    layout = SegmentLayout(vector["segment_size"])
    data_key, associated_data = bytes.fromhex(vector["data_key"]), vector["associated_data"].encode()
    assert open_all(sealed, layout, data_key, associated_data) == plain_of(vector)


@pytest.mark.parametrize(
    "vector", [vector for vector in STREAMS if "sealed" in vector], ids=lambda vector: vector["name"]
)
def test_tink_opens_the_golden_vectors(vector: dict[str, Any]) -> None:
    tinkkeys = pytest.importorskip("tests.support.tinkkeys", reason="tink has no build for this Python")
    stream = tinkkeys.TinkStream(bytes.fromhex(vector["data_key"]), vector["segment_size"])
    opened = stream.open(base64.b64decode(vector["sealed"]), vector["associated_data"].encode())
    assert opened == plain_of(vector)


@pytest.mark.parametrize("vector", WRAPPED, ids=lambda vector: vector["name"])
def test_what_was_wrapped_once_still_unwraps(vector: dict[str, Any]) -> None:
    ring = KeyRing.parse(vector["key_ring"])
    envelope = Envelope(vector["blob_id"], vector["key_id"], base64.b64decode(vector["wrapped"]))
    assert envelope.data_key(ring).hex() == vector["data_key"]


@pytest.mark.parametrize("vector", WRAPPED, ids=lambda vector: vector["name"])
def test_the_same_nonce_wraps_to_the_same_bytes(vector: dict[str, Any]) -> None:
    ring = KeyRing.parse(vector["key_ring"], random=lambda _: bytes.fromhex(vector["nonce"]))
    wrapped = ring.wrap(bytes.fromhex(vector["data_key"]), vector["blob_id"])
    assert wrapped.key_id == vector["key_id"]
    assert base64.b64encode(wrapped.sealed).decode() == vector["wrapped"]


def test_the_vectors_are_not_made_of_one_another() -> None:
    assert len({vector["sealed_sha256"] for vector in STREAMS}) == len(STREAMS) >= 8
    assert predictable(b"a")(32) != predictable(b"b")(32)
