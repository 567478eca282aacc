"""How many connections each process has, in memory that all of them see, so that new ones go where fewest are.

All processes accept from one socket, and the system would wake whichever it likes: with few long-lived connections, as
file managers make them, one process then often has all the work while another has none.
"""

import mmap
from typing import Final

_NOT_SERVING: Final = 2**32 - 1
_BYTES: Final = 4


class Shares:
    """One counter a process. Made before the fork. Each process writes its own only, so no lock is needed."""

    def __init__(self, processes: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, processes * _BYTES)).cast("I")
        for slot in range(processes):
            self.leave(slot)

    def put(self, slot: int, connections: int) -> None:
        """The process of this slot serves, with so many connections."""
        self._counts[slot] = connections

    def leave(self, slot: int) -> None:
        """The process of this slot does not serve: nobody should wait for it."""
        self._counts[slot] = _NOT_SERVING

    def is_least(self, slot: int) -> bool:
        """Whether no serving process has fewer connections than this one."""
        return self._counts[slot] <= min(self._counts)


class Share:
    """The counter of one process."""

    def __init__(self, shares: Shares, slot: int) -> None:
        self._shares = shares
        self._slot = slot

    def put(self, connections: int) -> None:
        """This process has so many connections."""
        self._shares.put(self._slot, connections)

    def leave(self) -> None:
        """This process takes no more connections."""
        self._shares.leave(self._slot)

    def is_least(self) -> bool:
        """Whether no other process has fewer."""
        return self._shares.is_least(self._slot)


def alone() -> Share:
    """For a process that shares with nobody."""
    return Share(Shares(1), 0)
