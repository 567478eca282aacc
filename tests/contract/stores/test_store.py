"""The contract of every store: memory, folder, S3."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from davserver.domain.errors import BlobMissing, ContentDamaged, IncompleteBody
from davserver.stores.base import IncompleteBlob, Store, blob_key

MIB = 1 << 20
KEY = blob_key("ab" + "0" * 30)
OTHER = blob_key("ab" + "1" * 30)
THIRD = blob_key("cd" + "2" * 30)
SIZES = [0, 1, 56, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB + 7, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 25 * MIB + 11]


def content(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


def pieces(whole: bytes, step: int = 300_000) -> Iterator[bytes | memoryview]:
    """Chunks of an odd size, every second one a memoryview."""
    for number, start in enumerate(range(0, len(whole), step)):
        piece = whole[start : start + step]
        yield memoryview(piece) if number % 2 else piece


def keys(store: Store, prefix: str = "") -> set[str]:
    return {blob.key for blob in store.list(prefix)}


class ClientWentAwayError(Exception):
    """What the body of a request raises when it breaks off."""


def broken(whole: bytes, error: BaseException) -> Iterator[bytes | memoryview]:
    yield from pieces(whole)
    raise error


def assert_nothing_there(store: Store, key: str = KEY) -> None:
    with pytest.raises(BlobMissing):
        store.size(key)
    with pytest.raises(BlobMissing):
        next(store.read(key, 0, 1))
    assert keys(store) == set()
    assert list(store.incomplete()) == []


@pytest.mark.parametrize("declared", [True, False], ids=["size declared", "size unknown"])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_read(store: Store, size: int, declared: bool) -> None:
    whole = content(size)
    assert store.put(KEY, pieces(whole), size if declared else None) == size
    assert store.size(KEY) == size
    assert b"".join(store.read(KEY, 0, size)) == whole
    assert list(store.incomplete()) == []


def test_an_iterator_without_chunks_is_an_empty_object(store: Store) -> None:
    assert store.put(KEY, iter(()), None) == 0
    assert store.size(KEY) == 0


def test_empty_chunks_do_no_harm(store: Store) -> None:
    assert store.put(KEY, iter((b"", b"ab", b"", memoryview(b"cd"), b"")), 4) == 4
    assert b"".join(store.read(KEY, 0, 4)) == b"abcd"


@pytest.mark.parametrize("size", [1000, 9 * MIB])
@pytest.mark.parametrize(
    "error",
    [ClientWentAwayError("gone"), OSError("socket"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_an_iterator_that_raises_midway_leaves_nothing(store: Store, error: BaseException, size: int) -> None:
    with pytest.raises(type(error)) as caught:
        store.put(KEY, broken(content(size), error), size * 2)
    assert caught.value is error
    assert_nothing_there(store)


def test_an_iterator_that_raises_at_its_end_leaves_nothing(store: Store) -> None:
    for size in (1000, 8 * MIB, 9 * MIB):
        with pytest.raises(ClientWentAwayError):
            store.put(KEY, broken(content(size), ClientWentAwayError()), size)
        assert_nothing_there(store)


@pytest.mark.parametrize(
    ("size", "declared"),
    [(1000, 1001), (1000, 999), (0, 1), (1, 0), (8 * MIB, 9 * MIB), (9 * MIB, 8 * MIB), (17 * MIB, 17 * MIB + 1)],
)
def test_another_length_than_declared_leaves_nothing(store: Store, size: int, declared: int) -> None:
    with pytest.raises(IncompleteBody):
        store.put(KEY, pieces(content(size)), declared)
    assert_nothing_there(store)


def test_too_long_a_body_is_not_read_to_its_end(store: Store) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += MIB
            yield bytes(MIB)

    with pytest.raises(IncompleteBody):
        store.put(KEY, endless(), 3 * MIB)
    assert taken == 4 * MIB


def test_nothing_is_visible_before_a_put_has_ended(store: Store) -> None:
    def watching() -> Iterator[bytes]:
        for _ in range(10):
            yield bytes(MIB)
            assert keys(store) == set()
        with pytest.raises(BlobMissing):
            store.size(KEY)

    store.put(KEY, watching(), None)
    assert keys(store) == {KEY}


def test_chunks_are_asked_for_in_the_thread_of_the_caller(store: Store) -> None:
    seen = set()

    def noting() -> Iterator[bytes]:
        for _ in range(20):
            seen.add(threading.get_ident())
            yield bytes(MIB)

    store.put(KEY, noting(), 20 * MIB)
    assert seen == {threading.get_ident()}


RANGES = [
    (0, 1),
    (0, 40),
    (1, 2),
    (4095, 4097),
    (MIB - 1, MIB + 1),
    (MIB, 2 * MIB),
    (5, 9 * MIB + 5),
    (9 * MIB + 9, 9 * MIB + 10),
    (0, 9 * MIB + 10),
]


def test_a_range_is_exactly_that(store: Store) -> None:
    whole = content(9 * MIB + 10)
    store.put(KEY, pieces(whole), len(whole))
    for start, stop in RANGES:
        assert b"".join(store.read(KEY, start, stop)) == whole[start:stop], (start, stop)


@pytest.mark.parametrize("position", [0, 5, 1000])
def test_an_empty_range_yields_nothing(store: Store, position: int) -> None:
    store.put(KEY, pieces(content(1000)), 1000)
    assert b"".join(store.read(KEY, position, position)) == b""


@pytest.mark.parametrize(("start", "stop"), [(0, 1001), (999, 1001), (1000, 1001), (5000, 6000), (0, 5 * MIB)])
def test_a_range_beyond_the_end_is_damage(store: Store, start: int, stop: int) -> None:
    store.put(KEY, pieces(content(1000)), 1000)
    with pytest.raises(ContentDamaged) as caught:
        list(store.read(KEY, start, stop))
    assert not isinstance(caught.value, BlobMissing)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4)])
def test_what_is_no_range_is_refused_at_once(store: Store, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="range"):
        store.read(KEY, start, stop)


def test_blocks_are_of_a_handy_size(store: Store) -> None:
    store.put(KEY, pieces(content(5 * MIB)), 5 * MIB)
    assert {len(block) for block in store.read(KEY, 0, 5 * MIB)} == {MIB}


def test_a_missing_object_is_missing(store: Store) -> None:
    with pytest.raises(BlobMissing):
        store.size(KEY)
    with pytest.raises(BlobMissing):
        next(store.read(KEY, 0, 10))
    with pytest.raises(BlobMissing):
        next(store.read(KEY, 5 * MIB, 6 * MIB))


def test_removing_is_final_and_may_be_repeated(store: Store) -> None:
    store.put(KEY, pieces(content(100)), 100)
    store.put(OTHER, pieces(content(100)), 100)
    store.remove(KEY)
    store.remove(KEY)
    store.remove(THIRD)
    assert keys(store) == {OTHER}
    with pytest.raises(BlobMissing):
        store.size(KEY)


def test_a_reader_that_goes_away_early_does_no_harm(store: Store) -> None:
    whole = content(20 * MIB)
    store.put(KEY, pieces(whole), len(whole))
    for _ in range(30):
        blocks = store.read(KEY, 0, len(whole))
        assert next(blocks) == whole[:MIB]
        getattr(blocks, "close")()  # noqa: B009 an Iterator that is a generator
    assert b"".join(store.read(KEY, 0, len(whole))) == whole


def test_a_listing_tells_key_size_and_time(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    sizes = {KEY: 10, OTHER: 20, THIRD: 9 * MIB}
    for key, size in sizes.items():
        store.put(key, pieces(content(size)), size)
    found = list(store.list())
    assert {blob.key: blob.size for blob in found} == sizes
    assert len(found) == 3
    for blob in found:
        assert before < blob.modified < datetime.now(UTC) + timedelta(seconds=5)


def test_a_prefix_narrows_the_listing(store: Store) -> None:
    for key in (KEY, OTHER, THIRD):
        store.put(key, pieces(content(10)), 10)
    expected = {"": {KEY, OTHER, THIRD}, "a": {KEY, OTHER}, "ab": {KEY, OTHER}, "ab/": {KEY, OTHER}, "ab/ab0": {KEY}}
    expected |= {"c": {THIRD}, "ab/ab2": set(), "ee": set(), KEY: {KEY}}
    assert {prefix: keys(store, prefix) for prefix in expected} == expected


@pytest.mark.parametrize("prefix", ["x", "../", "abc", "ab/cd", "/", "AB"])
def test_a_prefix_that_no_key_has_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(ValueError, match="no key begins"):
        list(store.list(prefix))


BAD_KEYS = [
    "",
    "ab",
    "ab/",
    "/etc/passwd",
    "../" + KEY,
    "ab/../" + KEY,
    "ab/" + "0" * 32,
    "ab/ab" + "0" * 29,
    "ab/ab" + "0" * 63,
    "AB/AB" + "0" * 30,
    KEY + "\n",
    KEY + "/x",
    KEY.replace("/", "\\"),
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_what_is_no_key_reaches_no_store(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="not the key"):
        store.put(key, pieces(b"x"), 1)
    with pytest.raises(ValueError, match="not the key"):
        store.read(key, 0, 1)
    with pytest.raises(ValueError, match="not the key"):
        store.size(key)
    with pytest.raises(ValueError, match="not the key"):
        store.remove(key)


@pytest.mark.parametrize("blob_id", ["", "ab", "0" * 31, "0" * 65, "A" * 32, "0" * 31 + "g", "0" * 32 + "\n"])
def test_a_blob_id_that_is_none_has_no_key(blob_id: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        blob_key(blob_id)


def test_puts_and_reads_at_the_same_time_do_not_mix(store: Store) -> None:
    def work(number: int) -> bool:
        size = [100, MIB + number, 9 * MIB + number][number % 3]
        whole = content(size, number)
        key = blob_key(f"{number:032x}")
        store.put(key, pieces(whole), size if number % 2 else None)
        return b"".join(store.read(key, 0, size)) == whole

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(18))) == [True] * 18
    assert len(keys(store)) == 18
    assert list(store.incomplete()) == []


def test_no_thread_outlives_a_put(store: Store) -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        store.put(KEY, pieces(content(20 * MIB)), 20 * MIB)
        with pytest.raises(ClientWentAwayError):
            store.put(OTHER, broken(content(20 * MIB), ClientWentAwayError()), None)
    assert set(threading.enumerate()) <= before


def test_a_running_put_is_incomplete_and_a_clean_up_of_old_ones_leaves_it(store: Store) -> None:
    seen: list[IncompleteBlob] = []

    def watching() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        seen.extend(store.incomplete())
        assert store.remove_incomplete(datetime.now(UTC) - timedelta(hours=1)) == 0

    assert store.put(KEY, watching(), None) == 20 * MIB
    assert [blob.key for blob in seen] == [KEY]
    assert abs(seen[0].begun - datetime.now(UTC)) < timedelta(minutes=1)
    assert list(store.incomplete()) == []


def test_a_check_leaves_nothing_and_may_be_repeated(store: Store) -> None:
    store.check()
    store.check()
    assert keys(store) == set()
    assert list(store.incomplete()) == []


def test_free_space_is_a_number_or_unknown(store: Store) -> None:
    free = store.free_bytes()
    assert free is None or free > 0
