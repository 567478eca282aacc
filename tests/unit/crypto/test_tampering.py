"""Whatever is done to sealed bytes, a reader gets the truth or an error, and never other bytes."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto.segments import Opener, SegmentLayout, open_range
from davserver.domain.errors import ContentDamaged
from tests.support.sealing import BLOB_ID, DATA_KEY, open_all, pattern, reader, seal

LAYOUT = SegmentLayout(100)
PLAIN = pattern(300)
SEALED = seal(PLAIN, LAYOUT)
SEGMENTS = [(40, 100), (100, 200), (200, 300), (300, 400), (400, 420)]


def drain(sealed: bytes, believed_size: int, start: int = 0, stop: int = len(PLAIN)) -> bytes:
    """Read as a server does, which believes the size in its database; check all that comes out before the error."""
    out = bytearray()
    opened = open_range(
        reader(sealed), believed_size, start, stop, data_key=DATA_KEY, associated_data=BLOB_ID, layout=LAYOUT
    )
    try:
        for block in opened:
            out += block
    finally:
        assert PLAIN[start:stop].startswith(bytes(out)), "bytes came out that were never sealed"
    return bytes(out)


def must_fail(sealed: bytes) -> None:
    """Both with the size that the database remembers and with the one that the store tells."""
    with pytest.raises(ContentDamaged):
        drain(sealed, len(SEALED))
    with pytest.raises(ContentDamaged):
        drain(sealed, len(sealed))


def test_untouched_it_opens() -> None:
    assert drain(SEALED, len(SEALED)) == PLAIN


@pytest.mark.parametrize("length", [stop for _, stop in SEGMENTS[:-1]])
def test_a_stream_cut_at_a_boundary_is_seen(length: int) -> None:
    must_fail(SEALED[:length])


@pytest.mark.parametrize("length", [0, 1, 39, 40, 41, 56, 99, 101, 117, 250, 401, 416, 419])
def test_a_stream_cut_inside_a_segment_is_seen(length: int) -> None:
    must_fail(SEALED[:length])


def test_a_cut_stream_is_seen_by_who_asks_only_for_what_is_left() -> None:
    with pytest.raises(ContentDamaged):
        drain(SEALED[:200], 200, 44, 128)


@pytest.mark.parametrize("extra", [b"\0", b"\0" * 16, SEALED[400:], SEALED[300:400], bytes(100)])
def test_bytes_behind_the_end_are_seen_or_never_read(extra: bytes) -> None:
    with pytest.raises(ContentDamaged):
        drain(SEALED + extra, len(SEALED + extra))
    assert drain(SEALED + extra, len(SEALED)) == PLAIN


PARTS = {
    "the length of the header": range(1),
    "the salt": range(1, 33),
    "the nonce prefix": range(33, 40),
    "the first segment": range(40, 84),
    "the tag of the first segment": range(84, 100),
    "a segment in the middle": range(200, 284),
    "the tag of a segment in the middle": range(284, 300),
    "the last segment": range(400, 404),
    "the tag of the last segment": range(404, 420),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_a_flipped_bit_is_seen(part: range) -> None:
    for position in part:
        for bit in range(8):
            altered = bytearray(SEALED)
            altered[position] ^= 1 << bit
            with pytest.raises(ContentDamaged):
                drain(bytes(altered), len(SEALED))


@pytest.mark.parametrize(("one", "other"), [(1, 2), (1, 3), (2, 3)])
def test_segments_that_changed_places_are_seen(one: int, other: int) -> None:
    pieces = [SEALED[start:stop] for start, stop in SEGMENTS]
    pieces[one], pieces[other] = pieces[other], pieces[one]
    must_fail(SEALED[:40] + b"".join(pieces))


@pytest.mark.parametrize("gone", range(1, 4))
def test_a_segment_taken_out_is_seen(gone: int) -> None:
    start, stop = SEGMENTS[gone]
    must_fail(SEALED[:start] + SEALED[stop:])


def test_a_segment_of_another_stream_under_the_same_key_is_seen() -> None:
    other = seal(PLAIN, LAYOUT)
    must_fail(SEALED[:100] + other[100:200] + SEALED[200:])
    must_fail(SEALED[:40] + other[40:])


def test_a_blob_put_in_the_place_of_another_is_seen() -> None:
    with pytest.raises(ContentDamaged):
        open_all(SEALED, LAYOUT, associated_data=b"f" * 32)
    with pytest.raises(ContentDamaged):
        open_all(SEALED, LAYOUT, data_key=bytes(32))


def test_the_last_segment_does_not_pass_for_another_nor_another_for_the_last() -> None:
    opener = Opener(DATA_KEY, BLOB_ID, LAYOUT, SEALED[:40])
    for index, (start, stop) in enumerate(SEGMENTS):
        with pytest.raises(ContentDamaged):
            opener.open_segment(index, SEALED[start:stop], is_last=index < 4)


@pytest.mark.parametrize("ciphertext", [b"", b"x" * 15, b"x" * 101])
def test_a_segment_of_an_impossible_length_is_damage(ciphertext: bytes) -> None:
    with pytest.raises(ContentDamaged):
        Opener(DATA_KEY, BLOB_ID, LAYOUT, SEALED[:40]).open_segment(1, ciphertext, is_last=False)


@pytest.mark.parametrize("index", [-1, 2**32])
def test_a_segment_number_that_no_nonce_holds_is_damage(index: int) -> None:
    with pytest.raises(ContentDamaged):
        Opener(DATA_KEY, BLOB_ID, LAYOUT, SEALED[:40]).open_segment(index, SEALED[100:200], is_last=False)


@pytest.mark.parametrize("header", [b"", SEALED[:39], SEALED[:41], b"\x27" + SEALED[1:40]])
def test_a_header_that_is_none_is_damage(header: bytes) -> None:
    with pytest.raises(ContentDamaged):
        Opener(DATA_KEY, BLOB_ID, LAYOUT, header)


def test_another_segment_size_does_not_open() -> None:
    with pytest.raises(ContentDamaged):
        open_all(SEALED, SegmentLayout(120))


def longer(start: int, stop: int) -> Iterator[bytes]:
    yield SEALED[start:stop]
    yield b"more"


@pytest.mark.parametrize(("start", "stop"), [(0, 300), (130, 140)])
def test_a_store_that_gives_more_than_was_asked_is_damage(start: int, stop: int) -> None:
    opened = open_range(longer, len(SEALED), start, stop, data_key=DATA_KEY, associated_data=BLOB_ID, layout=LAYOUT)
    with pytest.raises(ContentDamaged):
        list(opened)


@given(st.data())
def test_any_edit_gives_the_truth_or_an_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SEALED)))
    stop = data.draw(st.integers(start, len(SEALED)))
    edited = SEALED[:start] + data.draw(st.binary(max_size=120)) + SEALED[stop:]
    first = data.draw(st.integers(0, len(PLAIN)))
    last = data.draw(st.integers(first, len(PLAIN)))
    try:
        got = drain(edited, len(SEALED), first, last)
    except ContentDamaged:
        assert edited != SEALED
    else:
        assert got == PLAIN[first:last]
