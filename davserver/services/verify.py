"""Verify: whether the database and the store say the same, and neither of them anything impossible.

Runs while the drive is in use. A tree is looked at as it is at one moment; what differs between the database and the store,
which change one after the other, is looked at again before it is called a finding. Memory does not grow with the drive.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from typing import Final

from sqlalchemy import func, select

from davserver.crypto.keyring import KeyRing
from davserver.db.rows import BlobRow, UserRow
from davserver.db.units import Database
from davserver.domain.clock import Clock
from davserver.services.verify_blobs import PREFIXES, BlobCheck
from davserver.services.verify_findings import Finding, Kind, Notebook, Report
from davserver.services.verify_trees import TreeCheck
from davserver.stores.base import Store

__all__ = ["Finding", "Kind", "Progress", "Report", "Stage", "Verify"]


class Stage(StrEnum):
    """What a run is at, and in what it counts."""

    TREES = "users"
    BLOBS = "parts of the store"
    BYTES = "bytes"
    """In place of `BLOBS` when every segment is opened."""


Progress = Callable[[Stage, int, int], None]
"""Told the stage, how much of it is done and how much there is; the drive may grow meanwhile, so `done` may end above."""
_USERS: Final = 500
SMALL_STORE: Final = 5_000
"""Objects of a store that is held in memory as a whole."""


class Verify:
    """The use case. Doors give it to administrators only."""

    def __init__(self, database: Database, store: Store, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._clock = clock

    def run(self, *, deep: bool = False, repair: bool = False, progress: Progress = lambda *_: None) -> Report:
        """Look at everything. `deep`: open every segment of every blob. `repair`: mend what can be mended without a loss.

        Repaired are the quota's count, bytes without a row that are older than a day, entries of the trash, and uploads
        that nobody goes on with. Raises `DatabaseUnavailable`, `StoreUnavailable`.
        """
        book = Notebook()
        self._trees(book, progress, repair=repair)
        self._blobs(book, progress, deep=deep, repair=repair)
        return book.report()

    def _trees(self, book: Notebook, progress: Progress, *, repair: bool) -> None:
        check = TreeCheck(self._database, self._clock, book, repair=repair)
        with self._database.read() as connection:
            total = connection.execute(select(func.count()).select_from(UserRow)).scalar_one()
        for done, (owner_id, name) in enumerate(self._users(), 1):
            check.run(owner_id, name)
            progress(Stage.TREES, done, max(done, total))
        check.dead_uploads()

    def _users(self) -> Iterator[tuple[int, str]]:
        last = 0
        while True:
            with self._database.read() as connection:
                page = select(UserRow.id, UserRow.name).where(UserRow.id > last).order_by(UserRow.id).limit(_USERS)
                rows = connection.execute(page).all()
            yield from ((row.id, row.name) for row in rows)
            if len(rows) < _USERS:
                return
            last = rows[-1].id

    def _blobs(self, book: Notebook, progress: Progress, *, deep: bool, repair: bool) -> None:
        with self._database.read() as connection:
            total = int(connection.execute(select(func.coalesce(func.sum(BlobRow.size), 0))).scalar_one())
        opened = 0

        def told(count: int) -> None:
            nonlocal opened
            opened += count
            progress(Stage.BYTES, opened, max(opened, total))

        check = BlobCheck(
            self._database, self._store, self._keyring, self._clock, book, deep=deep, repair=repair, opened=told
        )
        # What fits into memory is asked for once; a large store is looked at in parts.
        listed = list(islice(self._store.list(), SMALL_STORE + 1))
        parts = ("",) if len(listed) <= SMALL_STORE else PREFIXES
        for done, prefix in enumerate(parts, 1):
            check.run(prefix, self._store.list(prefix) if prefix else listed)
            if not deep:
                progress(Stage.BLOBS, done, len(parts))
        check.finish()
        check.unfinished()
