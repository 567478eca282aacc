"""Every storage of the limiter counts alike; those that are shared, together with others."""

import multiprocessing
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from limits.storage import MemoryStorage

from davserver.limiting.limiter import Limiter, Rule
from davserver.limiting.shared import SLOTS, SharedStorage

LONG = Rule("long", 5, 3600)
"""A window that no test outlives."""

Make = Callable[[], Limiter]


@pytest.fixture(params=["memory", "shared", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes limiters; those of one test share their storage where the kind does so."""
    made: list[Limiter] = []
    one = MemoryStorage()

    def again() -> Limiter:
        if request.param == "memory":
            limiter = Limiter(one)
        elif request.param == "shared":
            limiter = Limiter(SharedStorage(tmp_path / "limits"))
        else:
            limiter = Limiter.over_redis(request.getfixturevalue("valkey_server").connection_url)
        made.append(limiter)
        return limiter

    yield again
    for limiter in made:
        limiter.close()


@pytest.fixture
def key() -> str:
    return secrets.token_hex(8)


def test_so_many_are_allowed_and_the_next_is_told_how_long_to_wait(make: Make, key: str) -> None:
    limiter = make()
    assert [limiter.hit(LONG, key) for _ in range(5)] == [0] * 5
    assert 3000 < limiter.hit(LONG, key) <= 3600


def test_each_key_and_each_rule_has_its_own_count(make: Make, key: str) -> None:
    limiter = make()
    for _ in range(6):
        limiter.hit(LONG, key)
    assert limiter.hit(LONG, key + "b") == 0
    assert limiter.hit(LONG, key, "more") == 0
    assert limiter.hit(Rule("other", 5, 3600), key) == 0
    assert limiter.hit(LONG, key) > 0


def test_asking_whether_one_must_wait_counts_nothing(make: Make, key: str) -> None:
    limiter = make()
    assert [limiter.wait(LONG, key) for _ in range(20)] == [0] * 20
    for _ in range(5):
        limiter.hit(LONG, key)
    assert limiter.wait(LONG, key) > 3000


def test_when_the_window_is_over_it_is_allowed_again(make: Make, key: str) -> None:
    limiter, short = make(), Rule("short", 1, 1)
    limiter.hit(short, key)
    deadline = time.monotonic() + 30
    while limiter.hit(short, key) and time.monotonic() < deadline:
        pass
    assert time.monotonic() < deadline


def test_two_limiters_of_one_storage_count_together(make: Make, key: str) -> None:
    one, other = make(), make()
    for _ in range(5):
        one.hit(LONG, key)
    assert other.hit(LONG, key) > 0


def _hit_often(path: Path, times: int) -> None:
    limiter = Limiter(SharedStorage(path))
    for _ in range(times):
        limiter.hit(LONG, "one")
    limiter.close()


def test_processes_that_count_at_once_lose_no_count(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_hit_often, args=(path, 300)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    storage = SharedStorage(path)
    assert storage.get(LONG.item.key_for("one")) == 900
    storage.close()


def test_however_many_addresses_try_the_file_does_not_grow_and_the_last_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "limits"
    storage = SharedStorage(path)
    limiter = Limiter(storage)
    size = path.stat().st_size
    for number in range(2 * SLOTS):
        limiter.hit(LONG, str(number))
    assert [limiter.hit(LONG, "me") for _ in range(5)] == [0] * 5
    assert limiter.hit(LONG, "me") > 0
    assert path.stat().st_size == size
    limiter.close()


def test_what_is_forgotten_may_be_done_again(tmp_path: Path) -> None:
    storage = SharedStorage(tmp_path / "limits")
    limiter = Limiter(storage)
    for forget in (lambda: storage.clear(LONG.item.key_for("k")), storage.reset):
        for _ in range(6):
            limiter.hit(LONG, "k")
        forget()
        assert limiter.hit(LONG, "k") == 0
    assert storage.check()
    limiter.close()


def test_when_redis_is_away_this_process_counts_alone(caplog: pytest.LogCaptureFixture) -> None:
    limiter = Limiter.over_redis("redis://127.0.0.1:1/0")
    assert [limiter.hit(LONG, "k") for _ in range(5)] == [0] * 5
    assert limiter.hit(LONG, "k") > 0
    assert limiter.wait(LONG, "k") > 0
    assert caplog.text.count("by this process alone") == 1
