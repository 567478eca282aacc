"""Sealing as a stream, and opening ranges."""

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto.segments import HEADER_SIZE, Opener, Sealer, SegmentLayout, open_range
from davserver.domain.errors import ContentDamaged
from tests.support.sealing import BLOB_ID, DATA_KEY, open_all, pattern, predictable, reader, seal

SMALL = SegmentLayout(100)


@given(st.lists(st.binary(max_size=400), max_size=12), st.integers(57, 300))
def test_however_the_plaintext_is_cut_the_sealed_stream_is_the_same(chunks: list[bytes], segment_size: int) -> None:
    layout = SegmentLayout(segment_size)
    whole = b"".join(Sealer(DATA_KEY, BLOB_ID, layout, predictable()).seal([b"".join(chunks)]))
    pieces = b"".join(Sealer(DATA_KEY, BLOB_ID, layout, predictable()).seal(chunks))
    assert pieces == whole
    assert open_all(whole, layout) == b"".join(chunks)


@given(st.integers(0, 1000), st.data())
def test_a_range_is_that_part_of_the_plaintext(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    layout = SegmentLayout(data.draw(st.integers(57, 300)))
    block = data.draw(st.integers(1, 500))
    plain = pattern(size)
    sealed = seal(plain, layout)
    opened = open_range(
        reader(sealed, block), len(sealed), start, stop, data_key=DATA_KEY, associated_data=BLOB_ID, layout=layout
    )
    assert b"".join(opened) == plain[start:stop]


def test_a_buffer_may_be_reused_after_update() -> None:
    sealer = Sealer(DATA_KEY, BLOB_ID, SMALL)
    buffer = bytearray(b"a" * 30)
    pieces = sealer.update(buffer)
    buffer[:] = b"b" * 30
    pieces += sealer.update(memoryview(buffer))
    buffer[:] = b"c" * 30
    assert open_all(b"".join([*pieces, sealer.finish()]), SMALL) == b"a" * 30 + b"b" * 30


def test_a_full_segment_is_kept_back_until_it_is_known_whether_it_is_the_last() -> None:
    sealer = Sealer(DATA_KEY, BLOB_ID, SMALL)
    assert sealer.update(bytes(44)) == []
    assert [len(piece) for piece in sealer.update(b"x")] == [HEADER_SIZE, 60]
    assert len(sealer.finish()) == 17


def test_empty_updates_change_nothing() -> None:
    sealer = Sealer(DATA_KEY, BLOB_ID, SMALL)
    assert sealer.update(b"") == []
    assert sealer.update(b"abc") == []
    assert sealer.update(b"") == []
    assert sealer.plain_size == 3
    assert open_all(sealer.finish(), SMALL) == b"abc"


def test_nothing_can_be_sealed_after_the_end() -> None:
    sealer = Sealer(DATA_KEY, BLOB_ID, SMALL)
    sealer.finish()
    with pytest.raises(ValueError, match="finished"):
        sealer.update(b"x")
    with pytest.raises(ValueError, match="finished"):
        sealer.finish()


def test_two_streams_under_one_key_share_no_bytes() -> None:
    first, second = seal(bytes(500), SMALL), seal(bytes(500), SMALL)
    assert first[1:HEADER_SIZE] != second[1:HEADER_SIZE]
    assert not any(first[at : at + 16] in second for at in range(HEADER_SIZE, len(first) - 16, 16))


def test_a_data_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        Sealer(b"short", BLOB_ID, SMALL)


class Recorder:
    """A store that remembers what was read of it, and whether every iterator was closed."""

    def __init__(self, sealed: bytes) -> None:
        self.sealed = sealed
        self.reads: list[tuple[int, int]] = []
        self.open = 0

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        self.reads.append((start, stop))
        self.open += 1
        try:
            yield from reader(self.sealed, 64)(start, stop)
        finally:
            self.open -= 1


def opened(store: Recorder, start: int, stop: int, header: bytes | None = None) -> Iterator[bytes]:
    return open_range(
        store.read,
        len(store.sealed),
        start,
        stop,
        data_key=DATA_KEY,
        associated_data=BLOB_ID,
        layout=SMALL,
        header=header,
    )


def test_a_range_that_begins_in_the_first_segment_is_one_read() -> None:
    store = Recorder(seal(pattern(300), SMALL))
    assert b"".join(opened(store, 10, 50)) == pattern(300)[10:50]
    assert store.reads == [(0, 200)]


def test_a_later_range_reads_the_header_and_its_segments_and_no_more() -> None:
    store = Recorder(seal(pattern(300), SMALL))
    assert b"".join(opened(store, 130, 140)) == pattern(300)[130:140]
    assert store.reads == [(0, 40), (200, 300)]


def test_a_known_header_saves_its_read() -> None:
    store = Recorder(seal(pattern(300), SMALL))
    assert b"".join(opened(store, 130, 140, store.sealed[:40])) == pattern(300)[130:140]
    assert store.reads == [(200, 300)]


def test_an_empty_range_of_a_file_that_is_not_empty_reads_nothing() -> None:
    store = Recorder(seal(pattern(300), SMALL))
    assert list(opened(store, 130, 130)) == []
    assert store.reads == []


def test_an_empty_file_is_checked_to_be_empty() -> None:
    good = Recorder(seal(b"", SMALL))
    assert list(opened(good, 0, 0)) == []
    assert good.reads == [(0, 56)]
    with pytest.raises(ContentDamaged):
        list(opened(Recorder(good.sealed[:-1] + b"\0"), 0, 0))


def test_what_was_read_is_closed_when_the_reader_goes_away() -> None:
    store = Recorder(seal(pattern(3000), SMALL))
    blocks = opened(store, 0, 3000)
    assert next(blocks) == pattern(3000)[:44]
    assert store.open == 1
    close = getattr(blocks, "close")  # noqa: B009 an Iterator that is a generator
    close()
    assert store.open == 0


def test_opening_yields_only_what_was_asked_for() -> None:
    store = Recorder(seal(pattern(300), SMALL))
    assert [len(block) for block in opened(store, 40, 130)] == [4, 84, 2]


def test_a_segment_is_opened_by_its_number() -> None:
    plain = pattern(300)
    sealed = seal(plain, SMALL)
    opener = Opener(DATA_KEY, BLOB_ID, SMALL, sealed[:40])
    assert opener.open_segment(2, sealed[200:300], is_last=False) == plain[128:212]
    assert opener.open_segment(0, sealed[40:100], is_last=False) == plain[:44]
    assert opener.open_segment(4, sealed[400:], is_last=True) == plain[296:]


def test_memory_stays_flat_while_a_long_stream_is_sealed_and_opened() -> None:
    layout = SegmentLayout(64 * 1024)
    block = bytes(1 << 20)
    sealer = Sealer(DATA_KEY, BLOB_ID, layout)
    tracemalloc.start()
    try:
        for _ in range(64):
            sealer.update(block)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20
