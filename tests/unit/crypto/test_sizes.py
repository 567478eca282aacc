"""The size arithmetic, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto.segments import DEFAULT_SEGMENT_SIZE, SegmentLayout
from davserver.domain.errors import ContentDamaged
from tests.support.sealing import seal

# segment size, plaintext bytes, segments, sealed bytes; by hand: 40 + plaintext + 16 for each segment.
SIZES = [
    (100, 0, 1, 56),
    (100, 1, 1, 57),
    (100, 43, 1, 99),
    (100, 44, 1, 100),
    (100, 45, 2, 117),
    (100, 127, 2, 199),
    (100, 128, 2, 200),
    (100, 129, 3, 217),
    (1 << 20, 0, 1, 56),
    (1 << 20, 1048520, 1, 1 << 20),
    (1 << 20, 1048521, 2, (1 << 20) + 17),
    (1 << 20, 3_000_000, 3, 3_000_088),
    (1 << 18, 262_088, 1, 1 << 18),
    (1 << 18, 5 * 10**9, 19_075, 5_000_305_240),
]


@pytest.mark.parametrize(("segment_size", "plain", "segments", "sealed"), SIZES)
def test_sizes_follow_from_each_other(segment_size: int, plain: int, segments: int, sealed: int) -> None:
    layout = SegmentLayout(segment_size)
    assert layout.segment_count(plain) == segments
    assert layout.sealed_size(plain) == sealed
    assert layout.plain_size(sealed) == plain


@pytest.mark.parametrize("sealed", [0, 1, 39, 40, 55, 101, 115, 116, 201, 216])
def test_a_size_that_no_plaintext_has_is_damage(sealed: int) -> None:
    with pytest.raises(ContentDamaged):
        SegmentLayout(100).plain_size(sealed)


def test_more_segments_than_the_nonce_counts_is_damage() -> None:
    layout = SegmentLayout(100)
    assert layout.plain_size(layout.sealed_size(84 * 2**32 - 40)) == 84 * 2**32 - 40
    with pytest.raises(ContentDamaged):
        layout.plain_size(layout.sealed_size(84 * 2**32 - 39))


@given(st.integers(57, 5000), st.integers(0, 20_000))
def test_what_is_sealed_has_the_size_that_was_computed(segment_size: int, plain: int) -> None:
    layout = SegmentLayout(segment_size)
    assert len(seal(bytes(plain), layout)) == layout.sealed_size(plain)
    assert layout.plain_size(layout.sealed_size(plain)) == plain


@given(st.integers(57, 300), st.integers(0, 2000))
def test_every_sealed_size_has_one_plaintext_size_or_is_refused(segment_size: int, sealed: int) -> None:
    layout = SegmentLayout(segment_size)
    possible = [plain for plain in range(sealed) if layout.sealed_size(plain) == sealed]
    if possible:
        assert [layout.plain_size(sealed)] == possible
    else:
        with pytest.raises(ContentDamaged):
            layout.plain_size(sealed)


@pytest.mark.parametrize("segment_size", [-1, 0, 16, 56])
def test_a_segment_size_without_room_is_refused(segment_size: int) -> None:
    with pytest.raises(ValueError, match="56"):
        SegmentLayout(segment_size)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        SegmentLayout().segment_count(-1)


# start, stop of the plaintext; first and last segment, sealed start and stop, bytes to skip. Segments of 100 bytes hold
# 44, 84, 84, ... bytes of plaintext; the file has 300, so that segments 0 to 4 hold 44, 84, 84, 84 and 4.
SPANS = [
    (0, 300, 0, 4, 40, 420, 0),
    (0, 1, 0, 0, 40, 100, 0),
    (43, 44, 0, 0, 40, 100, 43),
    (43, 45, 0, 1, 40, 200, 43),
    (44, 45, 1, 1, 100, 200, 0),
    (127, 128, 1, 1, 100, 200, 83),
    (128, 212, 2, 2, 200, 300, 0),
    (127, 213, 1, 3, 100, 400, 83),
    (296, 300, 4, 4, 400, 420, 0),
    (299, 300, 4, 4, 400, 420, 3),
    (300, 300, 4, 4, 400, 420, 4),
    (0, 0, 0, 0, 40, 100, 0),
]


@pytest.mark.parametrize(("start", "stop", "first", "last", "sealed_start", "sealed_stop", "skip"), SPANS)
def test_a_range_needs_just_these_segments(
    start: int, stop: int, first: int, last: int, sealed_start: int, sealed_stop: int, skip: int
) -> None:
    layout = SegmentLayout(100)
    assert layout.sealed_size(300) == 420
    span = layout.segments_for(start, stop, 420)
    assert (span.first, span.last) == (first, last)
    assert (span.sealed_start, span.sealed_stop) == (sealed_start, sealed_stop)
    assert span.skip == skip


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4), (-2, -1)])
def test_what_is_no_range_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="range"):
        SegmentLayout(100).segments_for(start, stop, 420)


def test_a_range_beyond_the_end_is_damage() -> None:
    with pytest.raises(ContentDamaged):
        SegmentLayout(100).segments_for(0, 301, 420)


def test_the_default_lets_a_store_read_whole_segments() -> None:
    assert (1 << 20) % DEFAULT_SEGMENT_SIZE == 0
