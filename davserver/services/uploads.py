"""Uploads: bytes on their way into the store, written down before they come so that nothing of them is ever forgotten.

The upload's row decides what becomes of the bytes. The unit that attaches them removes the row; whoever gives them up marks
it first. Both change the same row, so that only one of them happens, even when nobody knows whether a commit went through.
For services only.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from davserver.db.rows import BlobRow, UploadRow
from davserver.db.statements import Statement
from davserver.db.units import Database, Unit
from davserver.domain.clock import Clock, Micros
from davserver.domain.errors import DavserverError, QuotaExceeded, Unavailable
from davserver.services.changes import Change, open_change
from davserver.services.quota import room_left
from davserver.stores.base import Store, blob_key

log = logging.getLogger(__name__)

SIGNS_OF_LIFE: Final = 8
"""How often an upload says that it lives within the time after which it would be taken for dead."""
_GIVEN_UP: Final = "The upload lasted so long that it was given up; send it again."

_INSERT = Statement(insert(UploadRow), columns=("blob_id", "owner_id", "reserved_bytes", "started_at", "expires_at"))
_HOLD = Statement(select(UploadRow.reserved_bytes).where(UploadRow.blob_id == bindparam("b_blob")).with_for_update())
_REMOVE = Statement(delete(UploadRow).where(UploadRow.blob_id == bindparam("b_blob")))


@dataclass(frozen=True, slots=True)
class Beginning:
    """An upload that is to be written down before its bytes come."""

    owner_id: int
    blob_id: str
    length: int | None
    """How many bytes were announced: room for them is reserved."""
    ttl: Micros


def write_down(change: Change, beginnings: Sequence[Beginning]) -> None:
    """Write down that bytes are coming. The caller has seen to it that there is room for those that were announced."""
    rows = [
        {
            "blob_id": one.blob_id,
            "owner_id": one.owner_id,
            "reserved_bytes": one.length or 0,
            "started_at": change.now,
            "expires_at": change.now + one.ttl,
        }
        for one in beginnings
    ]
    _INSERT.run_many(change.unit.connection, rows)


def ask_for_reserved(connection: Connection, blob_id: str) -> Callable[[], int]:
    """Ask for the bytes that an upload has reserved, and keep it from being given up until the unit ends.

    Call what is returned to wait for the answer. It raises `Unavailable` when the upload was given up before.
    """
    asked = _HOLD.ask(connection, {"b_blob": blob_id})

    def reserved() -> int:
        row = asked.first()
        if row is None:
            raise Unavailable(_GIVEN_UP)
        return int(row[0])

    return reserved


def end_held(connection: Connection, blob_ids: Sequence[str]) -> None:
    """End uploads that this unit has asked for, and attaches."""
    _REMOVE.run_many(connection, [{"b_blob": blob_id} for blob_id in blob_ids])


def finish(unit: Unit, blob_id: str) -> None:
    """End the upload, in the unit that attaches its bytes. Raises `Unavailable` when it was given up meanwhile."""
    if not _remove(unit.connection, blob_id):
        raise Unavailable(_GIVEN_UP)


class Uploads:
    """Begin, then finish or give up. `ttl` is how long an upload may show no sign of life."""

    def __init__(self, database: Database, store: Store, clock: Clock, ttl: Micros) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._ttl = ttl

    def begin(self, owner_id: int, blob_id: str, length: int | None) -> int | None:
        """Write down that bytes are coming, and reserve room for those that were announced.

        Returns the bytes that the quota has room for, None without a quota. Raises `QuotaExceeded`.
        """
        with self._database.write() as unit:
            change = open_change(unit, owner_id, self._clock())
            left = room_left(unit.connection, owner_id)
            if length and left is not None and length > left:
                raise QuotaExceeded
            write_down(change, [Beginning(owner_id, blob_id, length, self._ttl)])
            return left

    def sign_of_life(self, blob_id: str) -> "SignOfLife":
        """What is to be called while bytes arrive."""
        return SignOfLife(self._database, self._clock, blob_id, self._ttl)

    def give_up(self, blob_id: str) -> bool:
        """Take back what an upload that failed has left, unless its bytes were attached all the same.

        Never raises a `DavserverError`: what cannot be undone now is found later by its row. Returns whether all is undone.
        When somebody else gave it up before, its bytes may have come after that, and are removed too.
        """
        try:
            with self._database.write() as unit:
                here = UploadRow.blob_id == blob_id
                claim = update(UploadRow).where(here).values(expires_at=self._clock(), reserved_bytes=0)
                if unit.connection.execute(claim).rowcount == 0 and _is_attached(unit.connection, blob_id):
                    return False
            self._store.remove(blob_key(blob_id))
            with self._database.write() as unit:
                _remove(unit.connection, blob_id)
        except DavserverError as error:
            log.warning("what the upload %s has left is removed later (%s)", blob_id, error.code)
            return False
        return True


class SignOfLife:
    """Pushes on the time after which an upload is taken for dead, now and then while it is called."""

    def __init__(self, database: Database, clock: Clock, blob_id: str, ttl: Micros) -> None:
        self._database = database
        self._clock = clock
        self._blob_id = blob_id
        self._ttl = ttl
        self._next = clock() + ttl // SIGNS_OF_LIFE

    def __call__(self) -> None:
        """Raises `Unavailable` when the upload was given up meanwhile. That the database is away is no reason to stop."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._ttl // SIGNS_OF_LIFE
        here = UploadRow.blob_id == self._blob_id
        try:
            with self._database.write() as unit:
                alive = unit.connection.execute(update(UploadRow).where(here).values(expires_at=now + self._ttl))
        except Unavailable as error:
            log.warning("the upload %s could not say that it lives (%s)", self._blob_id, error.code)
            return
        if alive.rowcount == 0:
            raise Unavailable(_GIVEN_UP)


def _is_attached(connection: Connection, blob_id: str) -> bool:
    return connection.execute(select(BlobRow.id).where(BlobRow.id == blob_id)).first() is not None


def _remove(connection: Connection, blob_id: str) -> bool:
    return connection.execute(delete(UploadRow).where(UploadRow.blob_id == blob_id)).rowcount > 0
