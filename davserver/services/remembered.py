"""What a process remembers of trees: answers that are true for as long as the tree's version stays. In memory, bounded.

`tree.version` is raised by every change of a tree, in the unit that makes it (docs/decisions/0001). What was made from a tree
after its version was read is therefore true while a later look finds the same version. Not covered, because no version is
raised: scans, the end of locks, quota and free space.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import HEADER_SIZE, Opener
from davserver.db.quick import QuickReadFailed, Row
from davserver.db.units import Database
from davserver.domain.principal import Principal
from davserver.domain.resource import Revision
from davserver.domain.tally import Tally
from davserver.services.blobs import SealedBlob

T = TypeVar("T")

MAX_BYTES: Final = 48 << 20
"""Of one process, of everything that it remembers."""
MAX_ENTRY_BYTES: Final = 8 << 20
"""What is larger is not remembered: a listing of some 20,000 members."""
_OVERHEAD: Final = 600
"""Bytes that an entry takes beside its content, roughly."""

_VERDICT: Final = "SELECT verdict FROM revision WHERE owner_id = ? AND id = ?"


@dataclass(frozen=True, slots=True)
class Seen:
    """Who asks, and the state of their tree a moment ago."""

    principal: Principal
    stamp: tuple[int, int, int]
    """Owner, when the account was made (ids of removed accounts come again), version of the tree."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One who comes with what was right a moment ago, before the database has said whether it still is."""

    user_id: int
    token_id: int | None
    """The device token that they come with; None for the account's password."""
    seen: Callable[[Row], Seen | None] = field(repr=False)
    """Who that is, by the columns `GLANCED` of `accounts` or `devices`; None when it takes more to know."""


class Remembered(Generic[T]):
    """Values by key, each true at one stamp. The ones not asked for longest make room. Safe in many threads."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._mutex = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[tuple[int, int, int], T, int]] = OrderedDict()
        self.tally = Tally()

    def get(self, key: Hashable, seen: Seen) -> T | None:
        """The value, when it is still true."""
        found = self._entries.get(key)
        if found is None or found[0] != seen.stamp:
            self.tally.misses += 1
            return None
        self.tally.hits += 1
        with self._mutex:
            if key in self._entries:
                self._entries.move_to_end(key)
        return found[1]

    def held(self, key: Hashable) -> T | None:
        """The value, which may be true no more."""
        found = self._entries.get(key)
        return None if found is None else found[1]

    def put(self, key: Hashable, seen: Seen, value: T, size: int) -> None:
        """Remember a value of `size` bytes that was made after `seen`."""
        size += _OVERHEAD
        if size > MAX_ENTRY_BYTES:
            return
        with self._mutex:
            before = self._entries.pop(key, None)
            self.tally.size += size - (before[2] if before is not None else 0)
            self._entries[key] = (seen.stamp, value, size)
            while self.tally.size > self._max_bytes:
                self.tally.size -= self._entries.popitem(last=False)[1][2]


class SmallContent:
    """A small file's content, sealed as it lies in its row, and the cipher that opens it: opened again for every reader."""

    def __init__(self, blob: SealedBlob, sealed: bytes, keyring: KeyRing, revision: Revision) -> None:
        envelope = blob.envelope
        key = envelope.data_key(keyring)
        self._opener = Opener(key, envelope.associated_data, envelope.layout, sealed[:HEADER_SIZE])
        self._sealed = memoryview(sealed)[HEADER_SIZE:]
        self._revision = revision
        self.size = len(sealed)
        """Bytes that it takes."""

    def read(self) -> bytes:
        """All of it. Raises `ContentDamaged`."""
        return self._opener.open_segment(0, self._sealed, is_last=True)

    def is_as_it_was(self, database: Database, owner_id: int) -> bool:
        """Whether its verdict is the one that it was let through with: scans change no version. One query."""
        try:
            row = database.quick.first(_VERDICT, owner_id, self._revision.id)
        except QuickReadFailed:
            return False
        return row is not None and self.had(row[0])

    @property
    def revision_id(self) -> int:
        """Of what it is the content."""
        return self._revision.id

    def had(self, verdict: str | None) -> bool:
        """Whether this is the verdict that it was let through with."""
        return verdict == self._revision.verdict.value
