"""Byte ranges as arithmetic: what a Range header comes to in a file of a given size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.domain.errors import RangeNotSatisfiable
from davserver.domain.ranges import MAX_RANGES, ByteRange, Multipart, if_range_holds, parse_ranges

SIZE = 10
ETAG = "0123abcd"
AT = 784_111_777_123_456  # Sun, 06 Nov 1994 08:49:37 GMT, and a fraction


def ranges_of(header: str | None, size: int = SIZE) -> list[tuple[int, int]] | None:
    found = parse_ranges(header, size)
    return None if found is None else [(part.start, part.stop) for part in found]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-3", [(0, 4)]),
        ("bytes=9-9", [(9, 10)]),
        ("bytes=4-", [(4, 10)]),
        ("bytes=0-99999999", [(0, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-10", [(0, 10)]),
        ("bytes=-9999", [(0, 10)]),
        ("BYTES=0-3", [(0, 4)]),
        ("bytes = 0-3", [(0, 4)]),
        ("bytes=0-1,4-5", [(0, 2), (4, 6)]),
        ("bytes= 0-1 , , 4-5 ,", [(0, 2), (4, 6)]),
        ("bytes=4-5,0-1", [(0, 2), (4, 6)]),
        ("bytes=0-5,3-7", [(0, 8)]),
        ("bytes=0-4,5-7", [(0, 8)]),
        ("bytes=0-0,-1", [(0, 1), (9, 10)]),
        ("bytes=0-9,2-3,-1", [(0, 10)]),
        ("bytes=0-1,100-200", [(0, 2)]),
    ],
)
def test_ranges_are_clipped_sorted_and_joined(header: str, expected: list[tuple[int, int]]) -> None:
    assert ranges_of(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        None, "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=0-3x", "bytes=1", "bytes=--3",
        "bytes=0-1;2-3", "bytes 0-3", "foo=0-3", "items=0-3", "bytes=0-1,5-2", "bytes=0-1,x", "bytes=+1-2", "bytes=1_0-2",
        "bytes=\u0660-\u0663", "bytes=" + "9" * 5000 + "-",
    ],
)  # fmt: skip
def test_what_is_no_byte_range_is_ignored(header: str | None) -> None:
    assert ranges_of(header) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=11-12,50-60", "bytes=-0,10-"])
def test_ranges_outside_the_file_are_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_ranges(header, SIZE)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_an_empty_file_is_sent_whole(header: str) -> None:
    assert ranges_of(header, 0) is None


def test_the_number_of_ranges_is_bounded() -> None:
    most = ",".join(f"{2 * n}-{2 * n}" for n in range(MAX_RANGES))
    found = ranges_of(f"bytes={most}", 1000)
    assert found is not None
    assert len(found) == MAX_RANGES
    assert ranges_of(f"bytes={most},900-900", 1000) is None


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda p: (min(p), max(p))), min_size=1, max_size=8),
)
def test_exactly_the_wanted_bytes_of_the_file_are_sent_and_each_once(size: int, wanted: list[tuple[int, int]]) -> None:
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in wanted)
    expected = {at for first, last in wanted for at in range(first, last + 1) if at < size}
    if not expected:
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(header, size)
        return
    found = ranges_of(header, size)
    assert found is not None
    sent = [at for start, stop in found for at in range(start, stop)]
    assert sent == sorted(expected)


@pytest.mark.parametrize(
    ("header", "holds"),
    [
        (None, True),
        (f'"{ETAG}"', True),
        (f'W/"{ETAG}"', False),
        ('"other"', False),
        (ETAG, False),
        (f'"{ETAG}", "other"', False),
        ("*", False),
        ("Sun, 06 Nov 1994 08:49:37 GMT", True),
        ("Sunday, 06-Nov-94 08:49:37 GMT", True),
        ("Sun, 06 Nov 1994 08:49:36 GMT", False),
        ("Sun, 06 Nov 1994 08:49:38 GMT", False),
        ("yesterday", False),
    ],
)
def test_if_range_wants_the_strong_tag_or_the_very_date(header: str | None, holds: bool) -> None:
    assert if_range_holds(header, ETAG, AT) is holds


def test_a_multipart_body_is_as_long_as_it_says_and_names_each_part() -> None:
    content = bytes(range(65, 75))
    multipart = Multipart((ByteRange(0, 2), ByteRange(4, 10)), len(content), "text/plain", ETAG)
    body = b""
    for framing, part in multipart.pieces():
        body += framing + (content[part.start : part.stop] if part is not None else b"")
    assert len(body) == multipart.content_length
    boundary = multipart.content_type.removeprefix("multipart/byteranges; boundary=").encode()
    assert body == (
        b"\r\n--" + boundary + b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\nAB"
        b"\r\n--" + boundary + b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 4-9/10\r\n\r\nEFGHIJ"
        b"\r\n--" + boundary + b"--\r\n"
    )


def test_the_boundary_cannot_be_known_before_the_content() -> None:
    parts = (ByteRange(0, 1), ByteRange(2, 3))
    assert Multipart(parts, 9, "a/b", "one").content_type != Multipart(parts, 9, "a/b", "two").content_type
