"""Sealing in segments: the wire format of Google Tink's streaming AEAD "AES-GCM-HKDF" (AES-256, SHA-256).

A sealed stream is a 40-byte header (its own length 0x28, 32 bytes of salt, 7 bytes of nonce prefix) and one or more
AES-256-GCM segments. The segments' key is HKDF-SHA256(data key, salt, info = associated data). The nonce of segment i is
the prefix, i as four bytes big-endian, and one byte that is 1 for the last segment and 0 for all others; so a segment
cannot be moved, and a stream cannot be cut or continued, without failing a tag. Layout and reasons:
docs/sealed-content.md. Source: https://developers.google.com/tink/wire-format#streaming_encryption.

Nothing here reads a file or a clock: bytes in, bytes out, randomness injected.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from davserver.domain.errors import ContentDamaged

BytesLike = bytes | bytearray | memoryview
Random = Callable[[int], bytes]
"""n -> n unpredictable bytes."""
ReadSealed = Callable[[int, int], Iterator[bytes]]
"""(start, stop) -> the sealed bytes [start, stop) in chunks of any size."""

KEY_SIZE = 32
SALT_SIZE = 32
PREFIX_SIZE = 7
HEADER_SIZE = 1 + SALT_SIZE + PREFIX_SIZE
TAG_SIZE = 16
MAX_SEGMENTS = 2**32
DEFAULT_SEGMENT_SIZE = 256 * 1024
"""Bytes of a whole sealed segment; chosen by measurement, see docs/sealed-content.md."""


@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """The segments that a plaintext range needs, and where they lie in the sealed stream."""

    first: int
    last: int
    """Index of the last segment, inclusive."""
    sealed_start: int
    sealed_stop: int
    """The sealed byte range [start, stop) of these segments; 40 and not 0 where segment 0 begins."""
    skip: int
    """Plaintext bytes of the first segment that lie before the range."""


@dataclass(frozen=True, slots=True)
class SegmentLayout:
    """Size arithmetic for one segment size (bytes of a whole sealed segment, tag included)."""

    segment_size: int = DEFAULT_SEGMENT_SIZE

    def __post_init__(self) -> None:
        if self.segment_size <= HEADER_SIZE + TAG_SIZE:
            raise ValueError(f"a segment needs more than {HEADER_SIZE + TAG_SIZE} bytes, not {self.segment_size}")

    def plain_room(self, index: int) -> int:
        """Plaintext bytes that fit into segment `index`; the header takes its room from the first one."""
        return self.segment_size - TAG_SIZE - (HEADER_SIZE if index == 0 else 0)

    def segment_count(self, plain_size: int) -> int:
        """Segments of a plaintext of that many bytes: at least one, which for an empty one holds only the tag."""
        if plain_size < 0:
            raise ValueError("a size cannot be negative")
        return max(1, -(-(plain_size + HEADER_SIZE) // (self.segment_size - TAG_SIZE)))

    def sealed_size(self, plain_size: int) -> int:
        """Bytes of the sealed stream of a plaintext of `plain_size` bytes."""
        return HEADER_SIZE + plain_size + TAG_SIZE * self.segment_count(plain_size)

    def plain_size(self, sealed_size: int) -> int:
        """Bytes of the plaintext in a sealed stream. Raises ContentDamaged for a size that no plaintext has."""
        segments = -(-sealed_size // self.segment_size)
        plain = sealed_size - HEADER_SIZE - TAG_SIZE * segments
        if plain < 0 or segments > MAX_SEGMENTS or self.sealed_size(plain) != sealed_size:
            raise ContentDamaged
        return plain

    def segment_of(self, position: int) -> int:
        """Index of the segment that holds plaintext byte `position`."""
        return (position + HEADER_SIZE) // (self.segment_size - TAG_SIZE)

    def segments_for(self, start: int, stop: int, sealed_size: int) -> SegmentSpan:
        """The segments that plaintext [start, stop) needs. An empty range gets the one segment at `start`.

        Raises ValueError for a range that is no range, ContentDamaged when the stream is too short for it.
        """
        if not 0 <= start <= stop:
            raise ValueError(f"not a range: {start} to {stop}")
        if stop > self.plain_size(sealed_size):
            raise ContentDamaged
        end = -(-sealed_size // self.segment_size) - 1
        first = min(end, self.segment_of(start))
        last = min(end, self.segment_of(max(start, stop - 1)))
        room = self.segment_size - TAG_SIZE
        return SegmentSpan(
            first=first,
            last=last,
            sealed_start=max(HEADER_SIZE, first * self.segment_size),
            sealed_stop=min(sealed_size, (last + 1) * self.segment_size),
            skip=start - max(0, first * room - HEADER_SIZE),
        )


class _SegmentCipher:
    """The derived key and the nonces of one stream."""

    def __init__(self, data_key: bytes, associated_data: bytes, salt: bytes, prefix: bytes) -> None:
        if len(data_key) != KEY_SIZE:
            raise ValueError(f"a data key has {KEY_SIZE} bytes")
        self._prefix = prefix
        self._aead = AESGCM(HKDF(SHA256(), KEY_SIZE, salt, associated_data).derive(data_key))

    def _nonce(self, index: int, *, is_last: bool) -> bytes:
        return self._prefix + index.to_bytes(4, "big") + (b"\1" if is_last else b"\0")

    def seal(self, index: int, plain: BytesLike, *, is_last: bool) -> bytes:
        return self._aead.encrypt(self._nonce(index, is_last=is_last), plain, None)

    def open(self, index: int, sealed: BytesLike, *, is_last: bool) -> bytes:
        return self._aead.decrypt(self._nonce(index, is_last=is_last), sealed, None)


class Sealer:
    """Seals one stream under a fresh data key. Holds at most one segment of plaintext.

    `random` gives the salt and the nonce prefix; two streams under one data key are safe only because of the salt.
    """

    def __init__(
        self, data_key: bytes, associated_data: bytes, layout: SegmentLayout, random: Random = os.urandom
    ) -> None:
        salt, prefix = random(SALT_SIZE), random(PREFIX_SIZE)
        self.header = bytes([HEADER_SIZE]) + salt + prefix
        """The stream's first 40 bytes: not secret; a reader that keeps them saves a read per range."""
        self.plain_size = 0
        """Plaintext bytes taken so far."""
        self._cipher = _SegmentCipher(data_key, associated_data, salt, prefix)
        self._layout = layout
        self._index = 0
        self._buffer = memoryview(b"")  # one segment's room, made on first use and reused: growing it is slow
        self._held = 0
        self._finished = False

    def update(self, data: BytesLike) -> list[bytes]:
        """Take plaintext of any length and return the sealed pieces that became complete, in order.

        A full segment is kept back until more arrives, because only then is it known not to be the last one. Whole
        segments inside `data` are sealed in place; what is kept back is copied, so the caller may reuse its buffer.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        self.plain_size += len(view)
        pieces: list[bytes] = []
        while self._held + len(view) > (room := self._layout.plain_room(self._index)):
            missing = room - self._held
            if self._held:
                self._hold(view[:missing])
                self._seal_into(pieces, self._take_held())
            else:
                self._seal_into(pieces, view[:missing])
            view = view[missing:]
        self._hold(view)
        return pieces

    def finish(self) -> bytes:
        """Seal what is left as the last segment and return it. Afterwards nothing more can be sealed."""
        self._check_open()
        self._finished = True
        last = self._cipher.seal(self._index, self._take_held(), is_last=True)
        self._buffer = memoryview(b"")
        return self.header + last if self._index == 0 else last

    def seal(self, chunks: Iterable[BytesLike]) -> Iterator[bytes]:
        """Seal all `chunks` as one stream: `update` for each, then `finish`."""
        for chunk in chunks:
            yield from self.update(chunk)
        yield self.finish()

    def _check_open(self) -> None:
        if self._finished:
            raise ValueError("the stream is finished")

    def _hold(self, view: memoryview) -> None:
        if not view:
            return
        if not self._buffer:
            self._buffer = memoryview(bytearray(self._layout.plain_room(1)))
        self._buffer[self._held : self._held + len(view)] = view
        self._held += len(view)

    def _take_held(self) -> memoryview:
        held, self._held = self._buffer[: self._held], 0
        return held

    def _seal_into(self, pieces: list[bytes], plain: BytesLike) -> None:
        if self._index >= MAX_SEGMENTS - 1:
            raise ValueError("the stream has more segments than its nonces can count")
        if self._index == 0:
            pieces.append(self.header)
        pieces.append(self._cipher.seal(self._index, plain, is_last=False))
        self._index += 1


class Opener:
    """Opens segments of one sealed stream, in any order. Raises ContentDamaged for a header that is none."""

    def __init__(self, data_key: bytes, associated_data: bytes, layout: SegmentLayout, header: BytesLike) -> None:
        header = bytes(header)
        if len(header) != HEADER_SIZE or header[0] != HEADER_SIZE:
            raise ContentDamaged
        self._layout = layout
        self._cipher = _SegmentCipher(data_key, associated_data, header[1 : 1 + SALT_SIZE], header[1 + SALT_SIZE :])

    def open_segment(self, index: int, ciphertext: BytesLike, *, is_last: bool) -> bytes:
        """Plaintext of one segment. Raises ContentDamaged when it was altered, moved, or is (not) the last one."""
        if not 0 <= index < MAX_SEGMENTS or len(ciphertext) > self._layout.plain_room(index) + TAG_SIZE:
            raise ContentDamaged
        try:
            return self._cipher.open(index, ciphertext, is_last=is_last)
        except InvalidTag:
            raise ContentDamaged from None


def open_range(
    read_sealed: ReadSealed,
    sealed_size: int,
    start: int,
    stop: int,
    *,
    data_key: bytes,
    associated_data: bytes,
    layout: SegmentLayout,
    header: bytes | None = None,
) -> Iterator[bytes]:
    """Yield plaintext [start, stop) of a sealed stream of `sealed_size` bytes, only ever authenticated bytes.

    Reads the needed segments in one go, and the header: together with segment 0 if that is needed, else by a read of
    its own unless `header` is given. `read_sealed`'s iterators are closed when this one is.
    Raises ContentDamaged when what is read is short, long, or fails a tag; what was yielded before is good.
    The empty range of an empty file is still read and checked; any other empty range reads nothing.
    """
    span = layout.segments_for(start, stop, sealed_size)
    if start == stop and layout.plain_size(sealed_size):
        return
    if span.first > 0 and header is None:
        with _Cutter(read_sealed(0, HEADER_SIZE)) as source:
            header = bytes(source.take(HEADER_SIZE))
            source.end()
    with _Cutter(read_sealed(0 if span.first == 0 else span.sealed_start, span.sealed_stop)) as source:
        if span.first == 0:
            header = bytes(source.take(HEADER_SIZE))
        opener = Opener(data_key, associated_data, layout, header or b"")
        left = stop - start
        skip = span.skip
        for index in range(span.first, span.last + 1):
            segment_stop = min(sealed_size, (index + 1) * layout.segment_size)
            sealed = source.take(segment_stop - max(HEADER_SIZE, index * layout.segment_size))
            if index == span.last:
                source.end()
            plain = opener.open_segment(index, sealed, is_last=segment_stop == sealed_size)
            wanted = plain if skip == 0 and len(plain) <= left else plain[skip : skip + left]
            left -= len(wanted)
            skip = 0
            if wanted:
                yield wanted


class _Cutter:
    """Cuts a stream of chunks into pieces of asked lengths, without a copy where one chunk holds the whole piece."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._view = memoryview(b"")

    def __enter__(self) -> "_Cutter":
        return self

    def __exit__(self, *exc_info: object) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()

    def take(self, size: int) -> memoryview:
        """The next `size` bytes. Raises ContentDamaged when the stream ends before."""
        if not self._view:
            self._view = memoryview(next(self._chunks, b"")).cast("B")
        if len(self._view) >= size:
            piece, self._view = self._view[:size], self._view[size:]
            return piece
        joined = bytearray(size)
        filled = 0
        while filled < size:
            if not self._view:
                self._view = self._next()
            step = min(size - filled, len(self._view))
            joined[filled : filled + step] = self._view[:step]
            self._view = self._view[step:]
            filled += step
        return memoryview(joined)

    def end(self) -> None:
        """Raise ContentDamaged unless the stream ends here."""
        if self._view or any(self._chunks):
            raise ContentDamaged

    def _next(self) -> memoryview:
        for chunk in self._chunks:
            if chunk:
                return memoryview(chunk).cast("B")
        raise ContentDamaged
