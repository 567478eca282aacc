"""Work that waits at the same time is done together: one of the threads that wait leads, and does it for all of them.

A transaction costs its begin, its commit and the wait for the disk, however little is in it. While one runs, others who want the
same gather, and the next one takes them all. Nobody waits on purpose: whoever comes alone is served alone, at once.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

MOST: Final = 64
"""So many are taken at once at most."""


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Outcome]):
    """One who waits."""

    item: Item
    woken: threading.Lock = field(default_factory=threading.Lock)
    """Held until there is an outcome, or the ticket leads."""
    leads: bool = False
    outcome: Outcome | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Line(Generic[Item, Outcome]):
    """Those who wait for the same."""

    tickets: deque[_Ticket[Item, Outcome]] = field(default_factory=deque)
    is_led: bool = False


class Together(Generic[Key, Item, Outcome]):
    """`work(key, take)` does what is wanted of `key`, once at a time for each key.

    It calls `take` when it cannot be kept waiting any more, which gives the items that have gathered by then, and returns an
    outcome for each of them, in order: an exception for one that failed. What it raises is raised by all of them.
    """

    def __init__(
        self, work: Callable[[Key, Callable[[], Sequence[Item]]], Sequence[Outcome | Exception]], most: int = MOST
    ) -> None:
        self._work = work
        self._most = most
        self._mutex = threading.Lock()
        self._lines: dict[Key, _Line[Item, Outcome]] = {}

    def do(self, key: Key, item: Item) -> Outcome:
        """Have `item` done with whatever else waits for `key`; its outcome, or what was raised for it."""
        ticket: _Ticket[Item, Outcome] = _Ticket(item)
        with self._mutex:
            line = self._lines.setdefault(key, _Line())
            line.tickets.append(ticket)
            leads = ticket.leads = not line.is_led
            line.is_led = True
            if not leads:
                ticket.woken.acquire()
        if not leads:
            ticket.woken.acquire()  # released by who leads
        if ticket.leads:
            self._lead(key, line)
        if ticket.error is not None:
            raise ticket.error
        return ticket.outcome  # type: ignore[return-value]  # where there is no error there is an outcome

    def _lead(self, key: Key, line: _Line[Item, Outcome]) -> None:
        taken: list[_Ticket[Item, Outcome]] = []

        def take() -> list[Item]:
            with self._mutex:
                while line.tickets and len(taken) < self._most:
                    taken.append(line.tickets.popleft())
            return [ticket.item for ticket in taken]

        try:
            outcomes = self._work(key, take)
            for ticket, outcome in zip(taken, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    ticket.error = outcome
                else:
                    ticket.outcome = outcome
        except BaseException as error:  # noqa: BLE001 - raised again by each of those whom it concerns
            take()  # the leader at least: what failed before it took anybody fails for all
            for ticket in taken:
                ticket.error = error
        finally:
            self._pass_on(key, line)
            for ticket in taken:
                if ticket.woken.locked():
                    ticket.woken.release()

    def _pass_on(self, key: Key, line: _Line[Item, Outcome]) -> None:
        """Let the next one lead, so that nobody works for others without end."""
        with self._mutex:
            if line.tickets:
                line.tickets[0].leads = True
                line.tickets[0].woken.release()
            else:
                del self._lines[key]
