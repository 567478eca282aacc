"""The search for the highest load (tests/load/search.py): which users it tries, and what it takes for a step that held."""

import pytest

from tests.load.search import Measured, Search, percentile


def step(users: int, *, rate: float | None = None, failures: int = 0, p99: float = 100) -> Measured:
    rate = users / 2 if rate is None else rate
    return Measured(users, seconds=10, requests=round(rate * 10), failures=failures, p50=10, p99=p99)


def tried(holds: int, first: int) -> tuple[list[int], Search]:
    """What it tries at a server that holds so many users."""
    search, seen = Search(first), []
    while (users := search.next()) is not None:
        seen.append(users)
        assert len(seen) < 40, seen
        search.tell(step(users, failures=int(users > holds)))
    return seen, search


@pytest.mark.parametrize("holds", [1, 37, 100, 333, 1234, 50_000])
@pytest.mark.parametrize("first", [1, 100, 1000])
def test_the_highest_load_is_found_to_a_tenth(holds: int, first: int) -> None:
    seen, search = tried(holds, first)
    assert search.held is not None
    assert holds / 1.1 - 1 <= search.held.users <= holds
    assert seen


def test_steps_go_up_by_half_and_then_between() -> None:
    assert tried(250, 100)[0] == [100, 150, 225, 338, 281, 253, 239]


def test_a_server_that_holds_nobody_ends_the_search() -> None:
    seen, search = tried(0, 100)
    assert search.held is None
    assert seen == [100, 50, 25, 12, 6, 3, 1]


def test_one_failed_request_breaks_a_step() -> None:
    assert "1 requests failed" in Search(10).tell(step(10, failures=1))


def test_slow_answers_break_a_step() -> None:
    assert Search(10).tell(step(10, p99=2000)) == ""
    assert "p99" in Search(10).tell(step(10, p99=2001))


def test_more_users_that_bring_no_more_requests_break_a_step() -> None:
    search = Search(100)
    assert search.tell(step(100, rate=50)) == ""
    assert "no more requests" in search.tell(step(150, rate=52))
    assert search.held is not None
    assert search.held.users == 100


def test_percentiles_are_times_that_so_many_stayed_below() -> None:
    times = {10: 50, 20: 49, 900: 1}
    assert percentile(times, 0.5) == 10
    assert percentile(times, 0.99) == 20
    assert percentile(times, 1) == 900
    assert percentile({}, 0.5) == 0
