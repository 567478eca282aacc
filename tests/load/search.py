"""How the highest load is searched for: which number of users next, and whether a step held."""

import math
from dataclasses import dataclass

P99_MS = 2000.0
"""Slower than this for one request in a hundred is no service any more."""
_FACTOR = 1.5
_CLOSE = 0.1
_MORE = 0.2
"""Of the requests that more users should have brought, less than this is none."""


@dataclass(frozen=True)
class Measured:
    """What was seen of a number of users, over some time; times in ms."""

    users: int
    seconds: float
    requests: int
    failures: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Search:
    """Half as many users again until a step breaks, then the middle between what held and what broke."""

    def __init__(self, first: int) -> None:
        self._first = first
        self.held: Measured | None = None
        """The highest step that held."""
        self._broke: int | None = None

    def next(self) -> int | None:
        """How many users to try; None when the highest is found to a tenth."""
        if self.held is None:
            return self._first if self._broke is None else self._broke // 2 or None
        if self._broke is None:
            return math.ceil(self.held.users * _FACTOR)
        if self._broke - self.held.users <= max(_CLOSE * self.held.users, 1):
            return None
        return (self.held.users + self._broke) // 2

    def tell(self, step: Measured) -> str:
        """Take in a step, and say why it did not hold; nothing if it did."""
        why = self._why_not(step)
        if why:
            self._broke = step.users
        else:
            self.held = step
        return why

    def _why_not(self, step: Measured) -> str:
        if step.failures:
            return f"{step.failures} requests failed"
        if step.p99 > P99_MS:
            return f"p99 over {P99_MS:.0f} ms"
        if self.held is not None:
            more_users = step.users / self.held.users - 1
            if step.rate / self.held.rate - 1 < _MORE * more_users:
                return "more users brought no more requests"
        return ""


def percentile(times: dict[int, int], part: float) -> float:
    """The time that `part` of the requests stayed below, of how many took how long; 0 for none."""
    below = 0
    for time, count in sorted(times.items()):
        below += count
        if below >= part * sum(times.values()):
            return float(time)
    return 0.0
