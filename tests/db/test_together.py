"""Work that waits at the same time is done together, each piece with an outcome of its own."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence

import pytest

from davserver.db.together import Together

Take = Callable[[], Sequence[int]]


class Doubling:
    """Doubles numbers, together. Odd ones fail, those over 1,000 fail for all; holds still while `gate` is locked."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.batches: list[list[int]] = []
        self.leaders: list[int] = []
        self.together: Together[Hashable, int, int] = Together(self.work, most=5)

    def work(self, key: Hashable, take: Take) -> list[int | Exception]:
        with self.gate:
            taken = list(take())
        self.batches.append(taken)
        self.leaders.append(threading.get_ident())
        if max(taken) > 1000:
            raise RuntimeError("too much")
        return [ValueError(one) if one % 2 else 2 * one for one in taken]

    def gathered(self, key: Hashable) -> int:
        """How many wait for `key`."""
        line = self.together._lines.get(key)
        return len(line.tickets) if line is not None else 0


def in_threads(doubling: Doubling, numbers: Sequence[int], key: Hashable = None) -> dict[int, int | BaseException]:
    """Have each doubled by a thread of its own, all of which wait before the first begins."""
    outcomes: dict[int, int | BaseException] = {}

    def ask(number: int) -> None:
        try:
            outcomes[number] = doubling.together.do(key, number)
        except Exception as error:  # noqa: BLE001 - compared by the test
            outcomes[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in numbers]
    with doubling.gate:
        for thread in threads:
            thread.start()
        until(lambda: doubling.gathered(key) == len(numbers))
    for thread in threads:
        thread.join(30)
    return outcomes


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def test_whoever_comes_alone_is_served_alone() -> None:
    doubling = Doubling()
    assert [doubling.together.do(None, number) for number in (2, 4)] == [4, 8]
    assert doubling.batches == [[2], [4]]
    assert doubling.together._lines == {}


def test_those_who_wait_are_served_together_and_each_hears_of_its_own() -> None:
    doubling = Doubling()
    outcomes = in_threads(doubling, [2, 3, 4, 6])
    assert [len(batch) for batch in doubling.batches] == [4]
    assert {number: outcomes[number] for number in (2, 4, 6)} == {2: 4, 4: 8, 6: 12}
    assert repr(outcomes[3]) == "ValueError(3)"


def test_a_batch_is_bounded_and_another_leads_the_next() -> None:
    doubling = Doubling()
    outcomes = in_threads(doubling, range(0, 24, 2))
    assert outcomes == {number: 2 * number for number in range(0, 24, 2)}
    assert [len(batch) for batch in doubling.batches] == [5, 5, 2]
    assert len(set(doubling.leaders)) == 3
    assert doubling.together._lines == {}


def test_what_fails_for_all_is_told_to_all_and_the_next_are_served() -> None:
    doubling = Doubling()
    outcomes = in_threads(doubling, [2, 4, 2000])
    assert {str(outcome) for outcome in outcomes.values()} == {"too much"}
    assert doubling.together.do(None, 2) == 4


def test_what_fails_before_anybody_was_taken_fails_for_those_who_wait() -> None:
    def refuse(key: Hashable, take: Take) -> list[int | Exception]:
        raise RuntimeError("away")

    together: Together[Hashable, int, int] = Together(refuse)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="away"):
            together.do(None, 1)


def test_other_keys_do_not_wait() -> None:
    doubling = Doubling()
    held: Together[Hashable, int, int] = Together(
        lambda key, take: doubling.work(key, take) if key == "held" else list(take())
    )
    doubling.together = held
    outcomes: list[int] = []
    with doubling.gate:
        thread = threading.Thread(target=lambda: outcomes.append(held.do("held", 2)))
        thread.start()
        until(lambda: doubling.gathered("held") == 1)
        assert held.do("free", 7) == 7
    thread.join(30)
    assert outcomes == [4]
