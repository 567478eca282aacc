"""The services put together on a database and a store, without a door: for tests that speak to them directly."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from davserver.crypto.keyring import KeyRing
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Micros
from davserver.domain.conditions import NO_CONDITIONS, Preconditions
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.jobs.queue import Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner
from davserver.services.accounts import Accounts
from davserver.services.attaching import KeepReplaced
from davserver.services.content import Content, ContentSettings, PutDetails, Stored
from davserver.services.listing import Depth, Entry, Wanted
from davserver.services.locks import Locks
from davserver.services.passwords import PasswordHasher
from davserver.services.properties import Properties
from davserver.services.tree import Tree, TreeSettings
from davserver.services.upkeep import Upkeep
from davserver.services.verify import Report, Verify
from davserver.stores.base import Store

INLINE_LIMIT = 1024
"""Small, so that tests reach both ways of keeping content with little data."""
SEGMENT_SIZE = 4096
PASSWORD = "a good password"
Random = Callable[[int], bytes]


@dataclass
class ManualClock:
    """A clock that goes on by a microsecond with every look, and as far as a test says."""

    now: Micros = 1_700_000_000 * SECOND

    def __call__(self) -> Micros:
        self.now += 1
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND)


class CountingRandom:
    """Bytes that are the same in every run and never the same twice."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_128(f"{self._seed}/{self._count}".encode()).digest(size)


@dataclass
class BytesBody:
    """A body of known bytes. `length` is what is declared: all of them unless a test says otherwise."""

    data: bytes
    length: int | None = None
    _at: int = 0

    def read(self, size: int) -> bytes:
        piece = self.data[self._at : self._at + size]
        self._at += len(piece)
        return piece


@dataclass
class GeneratedBody:
    """A body of `length` bytes that are made as they are read."""

    length: int | None
    left: int
    block: bytes = field(default=os.urandom(1 << 20), repr=False)

    def read(self, size: int) -> bytes:
        piece = self.block[: min(size, self.left)]
        self.left -= len(piece)
        return piece


def path(text: str) -> ResourcePath:
    """The path of plain (not percent-encoded) text such as ``/a/b``."""
    return ResourcePath.of(name for name in text.split("/") if name)


@dataclass
class Core:
    """All services over one database and one store, with shorthands that read well in tests."""

    database: Database
    store: Store
    keyring: KeyRing
    clock: ManualClock
    random: Random
    accounts: Accounts
    tree: Tree
    content: Content
    locks: Locks
    properties: Properties

    def add_user(self, name: str, quota: int | None = None) -> Principal:
        """A new user with an empty tree."""
        user = self.accounts.add(name, PASSWORD, quota_bytes=quota)
        return Principal(user.id, user.name)

    def put(
        self, who: Principal, where: str, data: bytes = b"", preconditions: Preconditions = NO_CONDITIONS
    ) -> Stored:
        """PUT of `data`, its length declared."""
        return self.content.put(who, path(where), BytesBody(data, len(data)), PutDetails(), preconditions)

    def mkcol(self, who: Principal, *where: str) -> None:
        """Make collections."""
        for each in where:
            self.tree.make_collection(who, path(each))

    def get(self, who: Principal, where: str) -> bytes:
        """The whole content of a file."""
        resource = self.tree.find(who, path(where))
        assert resource.revision is not None
        return b"".join(self.content.read(who, resource, 0, resource.revision.size))

    def etag(self, who: Principal, where: str) -> str:
        """The entity tag of a file."""
        revision = self.tree.find(who, path(where)).revision
        assert revision is not None
        return revision.etag

    def listing(self, who: Principal, where: str = "/", depth: Depth = Depth.ONE) -> list[Entry]:
        """A listing with everything that it can hold."""
        wanted = Wanted(dead=True, locks=True, usage=True)
        return list(self.tree.listing(who, path(where), depth, wanted).entries)

    def names(self, who: Principal, where: str = "/", depth: Depth = Depth.ONE) -> list[str]:
        """The names below a collection, joined by slashes."""
        return ["/".join(entry.names) for entry in self.listing(who, where, depth)[1:]]

    def used(self, who: Principal) -> int:
        """What the quota counts, in bytes."""
        return self.tree.usage(who).used

    def scalar(self, statement: Any) -> Any:
        """The single value that a query finds."""
        with self.database.read() as connection:
            return connection.execute(statement).scalar()

    def runner(self, *leave_out: str) -> Runner:
        """What does the jobs, without those that recur and those of the kinds left out."""
        upkeep = Upkeep(self.database, self.store, self.clock)
        handlers = {kind: do for kind, do in upkeep.handlers.items() if kind not in leave_out}
        queue = Queue(self.database, self.clock, self.random)
        return Runner(queue, Recurring(self.database, self.clock, {}), handlers)

    def verify(self, *, deep: bool = False, repair: bool = False) -> Report:
        """What `davserver verify` does."""
        return Verify(self.database, self.store, self.keyring, self.clock).run(deep=deep, repair=repair)

    def close(self) -> None:
        """Give everything back."""
        self.store.close()
        self.database.close()


def make_core(
    database: Database,
    store: Store,
    *,
    clock: ManualClock | None = None,
    random: Random = os.urandom,
    keyring: KeyRing | None = None,
    keep: KeepReplaced | None = None,
) -> Core:
    """Put the services together, as the composition root does."""
    clock = clock or ManualClock()
    keyring = keyring or KeyRing.generate()
    settings = ContentSettings(
        inline_limit=INLINE_LIMIT, segment_size=SEGMENT_SIZE, keep_replaced=keep or KeepReplaced()
    )
    content = Content(database, store, keyring, clock, random, settings)
    hasher = PasswordHasher(memory_kib=8, rounds=1)
    return Core(
        database=database,
        store=store,
        keyring=keyring,
        clock=clock,
        random=random,
        accounts=Accounts(database, clock, b"a secret of the tests", hasher=hasher),
        tree=Tree(database, clock, TreeSettings(), store.free_bytes),
        content=content,
        locks=Locks(database, clock, random, content),
        properties=Properties(database, clock),
    )


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the SQL statements that are executed meanwhile, in any thread."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, _p: Any, _ctx: Any, _many: Any) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
