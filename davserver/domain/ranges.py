"""Byte ranges: what a GET with Range is answered with (RFC 9110 sections 13.1.5, 14 and 15.3.7)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from davserver.domain.clock import Micros
from davserver.domain.conditions import parse_http_date, parse_tag_set
from davserver.domain.errors import RangeNotSatisfiable

MAX_RANGES: Final = 32
"""Of a request that asks for more the Range header is ignored: each range costs the opening of a segment at least."""

_SPECIFIER: Final = re.compile(r"bytes[ \t]*=(.*)", re.IGNORECASE)
_RANGE: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,19})?|-([0-9]{1,19})")
_SECOND: Final[Micros] = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes from `start` up to and without `stop`; never empty."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """The value of Content-Range (RFC 9110 section 14.4) in a file of `size` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_ranges(header: str | None, size: int) -> tuple[ByteRange, ...] | None:
    """The ranges of a file of `size` bytes to send, in ascending order and none touching another.

    None when the whole file is to be sent: without the header, with another unit, malformed, with more than `MAX_RANGES`,
    and for an empty file, of which no range could be sent. Raises `RangeNotSatisfiable` when no range begins in the file.
    """
    specs = _read_specs(header)
    if specs is None or size == 0:
        return None
    wanted = [found for spec in specs if (found := _clip(*spec, size)) is not None]
    if not wanted:
        raise RangeNotSatisfiable
    return tuple(_coalesced(wanted))


def if_range_holds(header: str | None, etag: str, modified_at: Micros) -> bool:
    """Whether If-Range allows a part to be sent: it names the current ETag, strongly, or exactly the date that was shown."""
    if header is None:
        return True
    tags = parse_tag_set(header)
    if tags is not None and len(tags.tags) == 1 and tags.holds_strong(etag):
        return True
    since = parse_http_date(header)
    return since is not None and since // _SECOND == modified_at // _SECOND


class Multipart:
    """The shape of a multipart/byteranges body: its type, its length and what stands between the parts."""

    def __init__(self, ranges: Sequence[ByteRange], size: int, content_type: str, etag: str) -> None:
        self.ranges = ranges
        # The tag is made after the content is known, so that no content can hold what is derived from it.
        self._boundary = sha256(f"{etag} {ranges}".encode()).hexdigest()[:40]
        self._heads = [
            f"\r\n--{self._boundary}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: {part.content_range(size)}\r\n\r\n".encode("latin-1")
            for part in ranges
        ]
        self._end = f"\r\n--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The value of Content-Type for the whole answer."""
        return f"multipart/byteranges; boundary={self._boundary}"

    @property
    def content_length(self) -> int:
        """Bytes of the whole body."""
        return sum(map(len, self._heads)) + sum(part.length for part in self.ranges) + len(self._end)

    def pieces(self) -> Iterable[tuple[bytes, ByteRange | None]]:
        """What to send: some framing, then the bytes of a range, and so on; no range behind the last."""
        yield from zip(self._heads, self.ranges, strict=True)
        yield self._end, None


def _read_specs(header: str | None) -> list[tuple[int | None, int | None]] | None:
    """(first, last) of each range, (None, n) for the last n bytes; None when the header is to be ignored."""
    match = _SPECIFIER.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    specs: list[tuple[int | None, int | None]] = []
    for text in match[1].split(","):
        if not text.strip():
            continue  # RFC 9110 section 5.6.1.2: empty elements of a list are passed over
        found = _RANGE.fullmatch(text.strip())
        if found is None or len(specs) == MAX_RANGES:
            return None
        if found[3] is not None:
            specs.append((None, int(found[3])))
            continue
        first, last = int(found[1]), None if found[2] is None else int(found[2])
        if last is not None and last < first:
            return None
        specs.append((first, last))
    return specs or None


def _clip(first: int | None, last: int | None, size: int) -> ByteRange | None:
    """The part of a range that lies in the file, or None when there is none."""
    if first is None:
        return ByteRange(max(0, size - (last or 0)), size) if last else None
    if first >= size:
        return None
    return ByteRange(first, size if last is None else min(last + 1, size))


def _coalesced(wanted: list[ByteRange]) -> list[ByteRange]:
    # Overlapping ranges would let a short request ask for a multiple of the file (RFC 9110 section 17.15).
    merged: list[ByteRange] = []
    for part in sorted(wanted):
        if merged and part.start <= merged[-1].stop:
            merged[-1] = ByteRange(merged[-1].start, max(merged[-1].stop, part.stop))
        else:
            merged.append(part)
    return merged
