"""Keys: what is known of the keys of the key ring, who holds them, and the way of a blob from one key to another.

The keys themselves never get into the database. A blob goes to another key by its row alone: its data key is wrapped anew,
and not a byte of content is read.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from davserver.crypto.keyring import KeyRing, WrappedKey
from davserver.db.rows import BlobRow, JobRow, KeyHolderRow, MasterKeyRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.errors import KeyRingError, KeyUnknown
from davserver.jobs.outbox import enqueue
from davserver.jobs.runner import Handler, Work

REWRAP: Final = "rewrap_keys"
"""The job that brings all blobs under one key."""
BEAT: Final[Micros] = 60 * SECOND
"""How often a process says which keys it holds."""
GONE: Final[Micros] = 600 * SECOND
"""A process that has not said so for so long does not run any more."""
GRACE: Final[Micros] = 600 * SECOND
"""After another key became current, what was wrapped under the old one an instant before may still be on its way."""
_BATCH: Final = 500
_BATCHES_A_JOB: Final = 20
_PROOF_KEY: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key as people see it."""

    key_id: str
    is_current: bool
    is_known: bool
    """Whether it is in the key ring here."""
    blobs: int
    """How many contents are sealed under it."""
    added_at: Micros | None
    superseded_at: Micros | None


class Keys:
    """`source` says where the ring comes from; two processes with the same one see the same ring at every moment."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock, *, source: str) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._source = source
        self._host = socket.gethostname()
        self._beat_at: Micros = 0
        self._told = ""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does which kind of job."""
        return {REWRAP: self.rewrap}

    def check(self) -> None:
        """See that every key is the one that the database knows by its id, and that all who seal and open know the current one.

        Raises `KeyRingError`, `DatabaseUnavailable`.
        """
        ring = self._keyring
        with self._database.write() as unit:
            if not self._database.is_sqlite:
                unit.connection.exec_driver_sql("LOCK TABLE master_key IN SHARE ROW EXCLUSIVE MODE")
            known = unit.connection.execute(select(MasterKeyRow.key_id, MasterKeyRow.proof))
            proofs = {row.key_id: row.proof for row in known}
            for key_id in ring.key_ids:
                self._prove(unit.connection, key_id, proofs.get(key_id))
            strangers = self._without(unit.connection, ring.current)
            if strangers:
                raise KeyRingError(not_yet(ring.current, strangers))

    def _prove(self, connection: Connection, key_id: str, proof: bytes | None) -> None:
        if proof is None:
            sealed = self._keyring.wrap(_PROOF_KEY, "proof", key_id=key_id).sealed
            row = {"key_id": key_id, "proof": sealed, "added_at": self._clock(), "superseded_at": None}
            connection.execute(insert(MasterKeyRow), row)
            return
        try:
            self._keyring.unwrap(WrappedKey(key_id, proof), "proof")
        except KeyRingError:
            raise KeyRingError(
                f"The key {key_id!r} of the key ring does not unwrap what was wrapped under that id: it is another key. "
                "Put the right one back (docs/keys.md)."
            ) from None

    def beat(self) -> None:
        """Say that this process lives and which keys it holds; does nothing until it is time again, or they changed."""
        now, held = self._clock(), ",".join(self._keyring.key_ids)
        if now < self._beat_at and held == self._told:
            return
        self._beat_at, self._told = now + BEAT, held
        row = {
            "id": self._name(), "host": self._host, "pid": os.getpid(), "source": self._source,
            "key_ids": held, "seen_at": now,
        }  # fmt: skip
        with self._database.write() as unit:
            gone = (KeyHolderRow.id == row["id"]) | (KeyHolderRow.seen_at < now - GONE)
            unit.connection.execute(delete(KeyHolderRow).where(gone))
            unit.connection.execute(insert(KeyHolderRow), row)

    def leave(self) -> None:
        """Say that this process ends, if it ever said that it lives."""
        if self._beat_at:
            with self._database.write() as unit:
                unit.connection.execute(delete(KeyHolderRow).where(KeyHolderRow.id == self._name()))

    def strangers(self, key_id: str) -> tuple[str, ...]:
        """The processes that run elsewhere and do not know that key, for people."""
        with self._database.read() as connection:
            return self._without(connection, key_id)

    def shown(self) -> tuple[ShownKey, ...]:
        """All keys, of the ring, of blobs and of the database; the current one first."""
        with self._database.read() as connection:
            counted = connection.execute(select(BlobRow.key_id, func.count()).group_by(BlobRow.key_id)).all()
            noted = connection.execute(select(MasterKeyRow)).all()
        counts = {str(key_id): int(count) for key_id, count in counted}
        notes = {row.key_id: row for row in noted}
        ring = self._keyring.key_ids
        found = []
        for key_id in dict.fromkeys((*ring, *sorted(counts), *sorted(notes))):
            note = notes.get(key_id)
            times = (note.added_at, note.superseded_at) if note is not None else (None, None)
            found.append(ShownKey(key_id, key_id == ring[0], key_id in ring, counts.get(key_id, 0), *times))
        return tuple(found)

    def begin_rewrap(self) -> int:
        """Have all blobs brought under the current key in the background. Returns how many there are under others."""
        current = self._keyring.current
        with self._database.write() as unit:
            connection, now = unit.connection, self._clock()
            others = (MasterKeyRow.key_id != current) & MasterKeyRow.superseded_at.is_(None)
            connection.execute(update(MasterKeyRow).where(others).values(superseded_at=now))
            here = MasterKeyRow.key_id == current
            connection.execute(update(MasterKeyRow).where(here).values(superseded_at=None))
            connection.execute(delete(JobRow).where(JobRow.kind == REWRAP, JobRow.state != "running"))
            enqueue(unit, REWRAP, {"to": current}, now)
            left = select(func.count()).select_from(BlobRow).where(BlobRow.key_id != current)
            return connection.execute(left).scalar_one()

    def rewrap(self, work: Work) -> None:
        """Bring blobs under the key that the job names, some thousands a job; where it stopped is in the rows themselves."""
        to = str(work.payload["to"])
        if to not in self._keyring.key_ids:
            raise KeyUnknown(f"The key ring here lacks the key {to!r}, which all content goes to (docs/keys.md).")
        with self._database.read() as connection:
            note = select(MasterKeyRow.superseded_at).where(MasterKeyRow.key_id == to)
            if connection.execute(note).scalar() is not None:
                return  # yet another one is current by now, and has a job of its own
            olds = [key_id for key_id in _used(connection) if key_id != to]
        for _ in range(_BATCHES_A_JOB):
            work.keep()
            while olds and not self._rewrap_some(olds[0], to):
                olds.pop(0)
        with self._database.write() as unit:
            left = [key_id for key_id in _used(unit.connection) if key_id != to]
            if left:
                # Soon, and not at once: what is left may be what others were just changing.
                enqueue(unit, REWRAP, dict(work.payload), self._clock(), run_at=self._clock() + SECOND)

    def _rewrap_some(self, old: str, to: str) -> int:
        columns = (BlobRow.id, BlobRow.wrapped_key)
        # What somebody else holds is passed over: this never waits, so it cannot be part of a deadlock.
        some = select(*columns).where(BlobRow.key_id == old).limit(_BATCH)
        with self._database.write() as unit:
            rows = unit.connection.execute(some.with_for_update(key_share=True, skip_locked=True)).all()
            for row in rows:
                data_key = self._keyring.unwrap(WrappedKey(old, row.wrapped_key), row.id)
                wrapped = self._keyring.wrap(data_key, row.id, key_id=to)
                values = {"key_id": to, "wrapped_key": wrapped.sealed}
                unit.connection.execute(update(BlobRow).where(BlobRow.id == row.id).values(values))
        return len(rows)

    def why_not_retire(self, key_id: str) -> str:
        """Why the key must stay in the ring for now; empty when it may go."""
        now = self._clock()
        with self._database.read() as connection:
            count = connection.execute(
                select(func.count()).select_from(BlobRow).where(BlobRow.key_id == key_id)
            ).scalar_one()
            note = select(MasterKeyRow.superseded_at).where(MasterKeyRow.key_id == key_id)
            superseded_at = connection.execute(note).scalar()
            alive = select(KeyHolderRow.host, KeyHolderRow.pid, KeyHolderRow.key_ids)
            holders = connection.execute(alive.where(KeyHolderRow.seen_at >= now - GONE)).all()
        if key_id == self._keyring.current:
            return f"The key {key_id} seals what is new: davserver keys rotate first."
        if count:
            return (
                f"{count} contents are still sealed under {key_id}: davserver keys rotate, and wait until it is done."
            )
        sealing = [f"{row.host} ({row.pid})" for row in holders if row.key_ids.split(",")[0] == key_id]
        if sealing:
            return f"These processes still seal with {key_id}, or did a minute ago: {', '.join(sealing)}."
        if superseded_at is not None and now < superseded_at + GRACE:
            seconds = (superseded_at + GRACE - now) // SECOND + 1
            return f"The key {key_id} was current until a moment ago; try again in {seconds} seconds."
        return ""

    def forget(self, key_id: str) -> None:
        """The key was taken out of the ring."""
        with self._database.write() as unit:
            unit.connection.execute(delete(MasterKeyRow).where(MasterKeyRow.key_id == key_id))

    def _without(self, connection: Connection, key_id: str) -> tuple[str, ...]:
        rows = connection.execute(
            select(KeyHolderRow).where(
                KeyHolderRow.source != self._source, KeyHolderRow.seen_at >= self._clock() - GONE
            )
        )
        return tuple(f"{row.host} ({row.pid})" for row in rows if key_id not in row.key_ids.split(","))

    def _name(self) -> str:
        return f"{self._host}:{os.getpid()}"


def not_yet(key_id: str, strangers: tuple[str, ...]) -> str:
    """That a key must not seal yet."""
    return (
        f"The key {key_id!r} must not seal anything yet: {', '.join(strangers)} (host and process) could not open it. First "
        "put it at the end of the key ring on every machine and restart, then make it the current one (docs/keys.md)."
    )


def _used(connection: Connection) -> Iterator[str]:
    """The ids of all keys that blobs are sealed under: a few steps in the index, however many blobs there are."""
    seen = ""
    while key_id := connection.execute(select(func.min(BlobRow.key_id)).where(BlobRow.key_id > seen)).scalar():
        seen = key_id
        yield key_id
