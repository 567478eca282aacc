"""Ways to seal and open whole byte strings, for tests."""

import hashlib
from collections.abc import Callable, Iterator

from davserver.crypto.segments import ReadSealed, Sealer, SegmentLayout, open_range

DATA_KEY = bytes(range(32))
BLOB_ID = b"000102030405060708090a0b0c0d0e0f"


def predictable(seed: bytes = b"") -> Callable[[int], bytes]:
    """A source of "randomness" that gives the same bytes every time: SHA-256 in counter mode."""
    count = 0

    def random(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(8, "big")).digest(size)

    return random


def pattern(size: int) -> bytes:
    """`size` bytes that differ from place to place."""
    return hashlib.shake_128(b"plain").digest(size)


def seal(plain: bytes, layout: SegmentLayout, data_key: bytes = DATA_KEY, associated_data: bytes = BLOB_ID) -> bytes:
    """The whole sealed stream."""
    return b"".join(Sealer(data_key, associated_data, layout).seal([plain]))


def reader(sealed: bytes, block: int = 1 << 20) -> ReadSealed:
    """A store that holds one object and gives what it has in blocks, without a check of its own."""

    def read(start: int, stop: int) -> Iterator[bytes]:
        for position in range(start, min(stop, len(sealed)), block):
            yield sealed[position : min(stop, position + block)]

    return read


def open_all(
    sealed: bytes, layout: SegmentLayout, data_key: bytes = DATA_KEY, associated_data: bytes = BLOB_ID
) -> bytes:
    """The whole plaintext."""
    return open_part(sealed, layout, 0, layout.plain_size(len(sealed)), data_key, associated_data)


def open_part(
    sealed: bytes,
    layout: SegmentLayout,
    start: int,
    stop: int,
    data_key: bytes = DATA_KEY,
    associated_data: bytes = BLOB_ID,
) -> bytes:
    """The plaintext range."""
    return b"".join(
        open_range(
            reader(sealed),
            len(sealed),
            start,
            stop,
            data_key=data_key,
            associated_data=associated_data,
            layout=layout,
        )
    )
