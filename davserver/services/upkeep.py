"""Upkeep: the work that nobody waits for. Each method is the handler of one kind of job, and may be called again at any time."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import Connection, delete, func, select

from davserver.db.rows import BlobRow, DeviceTokenRow, InvitationRow, LockRow, SessionRow, TrashEntryRow, UploadRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, SECOND, Clock, Micros
from davserver.domain.preferences import Notice
from davserver.jobs.outbox import enqueue
from davserver.jobs.runner import Handler, Work
from davserver.services.activity import nobody, record
from davserver.services.changes import PURGE, REMOVE_BLOBS, enqueue_removal, open_change, sever, touch_trash
from davserver.services.holds import is_held
from davserver.services.post import SILENT, Post
from davserver.services.purging import PIECE, purge_piece
from davserver.stores.base import Store, blob_key

log = logging.getLogger(__name__)

PURGE_EXPIRED: Final = "purge_expired"
ABANDON_UPLOADS: Final = "abandon_uploads"
SWEEP_BLOBS: Final = "sweep_blobs"
EXPIRE_LOCKS: Final = "expire_locks"
EXPIRE_SIGN_INS: Final = "expire_sign_ins"

PERIODS: Final[Mapping[str, Micros]] = {
    PURGE_EXPIRED: 300 * SECOND,
    EXPIRE_LOCKS: 600 * SECOND,
    EXPIRE_SIGN_INS: HOUR,
    ABANDON_UPLOADS: HOUR,
    SWEEP_BLOBS: 24 * HOUR,
}
"""How often what recurs is done."""

STRAY_AGE: Final = 24 * HOUR
"""What nothing refers to is left alone in the store for so long, whatever it looks like."""
MANY_STRAYS: Final = 100
"""More than these, and more than half of all, is no litter: the database is not the one that belongs to the store."""
HELD_PAUSE: Final[Micros] = 60 * SECOND
"""Between two looks whether a backup still copies."""
_BATCH: Final = 500
_PIECES_A_JOB: Final = 50
_PREFIXES: Final = tuple(f"{number:02x}" for number in range(256))

T = TypeVar("T")


class WrongDatabase(Exception):
    """Most of what the store holds is unknown to the database. Nothing was removed."""


class Upkeep:
    """The handlers over one database and one store."""

    def __init__(self, database: Database, store: Store, clock: Clock, *, post: Post = SILENT) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._post = post

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does which kind of job."""
        return {
            PURGE: self.purge,
            REMOVE_BLOBS: self.remove_blobs,
            PURGE_EXPIRED: self.purge_expired,
            ABANDON_UPLOADS: self.abandon_uploads,
            SWEEP_BLOBS: self.sweep_blobs,
            EXPIRE_LOCKS: self.expire_locks,
            EXPIRE_SIGN_INS: self.expire_sign_ins,
        }

    def purge(self, work: Work) -> None:
        """Remove the rows of all that an owner had taken out of sight for good, piece by piece."""
        owner_id = int(work.payload["owner_id"])
        for _ in range(_PIECES_A_JOB):
            work.keep()
            with self._database.write() as unit:
                if not purge_piece(open_change(unit, owner_id, self._clock())):
                    return
        with self._database.write() as unit:
            enqueue(unit, PURGE, work.payload, self._clock())  # let other work have its turn

    def remove_blobs(self, work: Work) -> None:
        """Remove sealed bytes from the store, unless a row speaks for them after all."""
        blob_ids: Sequence[str] = work.payload["blob_ids"]
        with self._database.read() as connection:
            known = _known(connection, blob_ids)
            held = is_held(connection, self._clock())
        if held:
            with self._database.write() as unit:
                now = self._clock()
                enqueue(unit, REMOVE_BLOBS, dict(work.payload), now, run_at=now + HELD_PAUSE)
            return
        for blob_id in blob_ids:
            if blob_id in known:
                log.error("blob %s was to be removed, and is in use", blob_id)
                continue
            work.keep()
            self._store.remove(blob_key(blob_id))

    def purge_expired(self, work: Work) -> None:
        """Take what has been in the trash for its time out of sight; other jobs remove it."""
        expired = TrashEntryRow.purge_at <= self._clock()
        with self._database.read() as connection:
            owners = connection.execute(select(TrashEntryRow.owner_id).where(expired).distinct()).scalars().all()
        for owner_id in owners:
            while self._purge_expired_of(owner_id):
                work.keep()

    def _purge_expired_of(self, owner_id: int) -> bool:
        with self._database.write() as unit:
            change = open_change(unit, owner_id, self._clock())
            own = (TrashEntryRow.owner_id == owner_id) & (TrashEntryRow.purge_at <= change.now)
            ids = unit.connection.execute(select(TrashEntryRow.resource_id).where(own).limit(PIECE)).scalars().all()
            if ids:
                sever(change, ids)
                touch_trash(change)
                noun = "entry" if len(ids) == 1 else "entries"
                record(unit, nobody(owner_id), Action.TRASH_EXPIRED, change.now, detail=f"{len(ids)} {noun}")
                self._post.notify(unit, owner_id, Notice.TRASH_PURGED, change.now, count=len(ids))
            return len(ids) == PIECE

    def abandon_uploads(self, work: Work) -> None:
        """Let go of uploads that have shown no sign of life for too long, of the room they reserved and of their bytes."""
        with self._database.write() as unit:
            now = self._clock()
            # With its row, an upload loses the right to be attached: its bytes can go, even if it still runs somewhere.
            gone = delete(UploadRow).where(UploadRow.expires_at <= now).returning(UploadRow.blob_id)
            blob_ids = unit.connection.execute(gone).scalars().all()
            enqueue_removal(unit, blob_ids, now)
            oldest = unit.connection.execute(select(func.min(UploadRow.started_at))).scalar_one()
        work.keep()
        # What the store has begun and not ended is no object yet. Nothing that could still be running may be among it.
        before = min(now - STRAY_AGE, now if oldest is None else oldest - HOUR)
        self._store.remove_incomplete(_datetime(before))

    def sweep_blobs(self, work: Work) -> None:
        """Find what lies in the store and nothing refers to: what a crash left between a removed row and its bytes.

        Raises `WrongDatabase` when that is too much to be litter.
        """
        strays: list[str] = []
        seen = 0
        before = _datetime(self._clock() - STRAY_AGE)
        for prefix in _PREFIXES:
            for batch in _batches(self._store.list(prefix), _BATCH):
                work.keep()
                seen += len(batch)
                old = [blob.key.rpartition("/")[2] for blob in batch if blob.modified < before]
                with self._database.read() as connection:
                    known = _known(connection, old)
                strays += [blob_id for blob_id in old if blob_id not in known]
        if len(strays) > max(MANY_STRAYS, seen // 2):
            raise WrongDatabase(f"The database knows nothing of {len(strays)} of the {seen} blobs in the store.")
        if strays:
            log.warning("%d blobs in the store that nothing refers to are removed", len(strays))
            with self._database.write() as unit:
                enqueue_removal(unit, strays, self._clock())

    def expire_locks(self, work: Work) -> None:
        """Remove locks that have ended. They bind nobody since; this only frees their rows."""
        work.keep()
        with self._database.write() as unit:
            unit.connection.execute(delete(LockRow).where(LockRow.expires_at <= self._clock()))

    def expire_sign_ins(self, work: Work) -> None:
        """Remove sessions that have ended, and device tokens a month after: until then their user can see why one is shut out."""
        work.keep()
        now = self._clock()
        with self._database.write() as unit:
            unit.connection.execute(delete(InvitationRow).where(InvitationRow.expires_at <= now))
            unit.connection.execute(delete(SessionRow).where(SessionRow.expires_at <= now))
            unit.connection.execute(delete(DeviceTokenRow).where(DeviceTokenRow.expires_at <= now - 30 * 24 * HOUR))


def _known(connection: Connection, blob_ids: Sequence[str]) -> set[str]:
    """Those that a blob or an upload has."""
    # In this order: an upload that ended between the two queries has a blob by then.
    uploads = connection.execute(select(UploadRow.blob_id).where(UploadRow.blob_id.in_(blob_ids))).scalars().all()
    blobs = connection.execute(select(BlobRow.id).where(BlobRow.id.in_(blob_ids))).scalars().all()
    return {*blobs, *uploads}


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _datetime(at: Micros) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
