"""Reading ahead: what was read is given in order, errors come where they belong, and closing ends it."""

import threading
from collections.abc import Generator
from itertools import islice

import pytest

from davserver.domain.errors import StoreUnavailable
from davserver.stores.ahead import read_ahead


class Source:
    """Numbers as blocks; tells what was asked of it."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.given = 0
        self.closed = threading.Event()

    def blocks(self) -> Generator[bytes]:
        try:
            for number in range(self.count):
                self.given = number + 1
                yield b"%d" % number
            if self.error:
                raise self.error
        finally:
            self.closed.set()


def test_blocks_come_in_order_and_all_of_them() -> None:
    source = Source(1000)
    assert list(read_ahead(source.blocks(), 2)) == [b"%d" % number for number in range(1000)]
    assert source.closed.wait(30)


def test_nothing_is_read_before_the_first_block_is_asked_for() -> None:
    source = Source(3)
    blocks = read_ahead(source.blocks(), 2)
    assert source.given == 0
    assert next(blocks) == b"0"


def test_no_more_is_read_ahead_than_was_allowed() -> None:
    source = Source(100)
    blocks = read_ahead(source.blocks(), 2)
    seen = []
    for number, block in enumerate(islice(blocks, 50), start=1):
        seen.append(block)
        assert source.given <= number + 3
    assert len(seen) == 50
    blocks.close()
    assert source.closed.wait(30)
    assert source.given <= 53


def test_an_error_comes_after_the_blocks_before_it() -> None:
    blocks = read_ahead(Source(3, StoreUnavailable()).blocks(), 2)
    assert list(islice(blocks, 3)) == [b"0", b"1", b"2"]
    with pytest.raises(StoreUnavailable):
        next(blocks)


def test_who_leaves_early_leaves_nothing_open() -> None:
    for taken in (1, 2, 5):
        source = Source(100)
        blocks = read_ahead(source.blocks(), 2)
        assert len(list(islice(blocks, taken))) == taken
        blocks.close()
        assert source.closed.wait(30)
        assert source.given < 100
