"""Holds: while somebody copies what a snapshot of the database refers to, nothing is removed from the store.

A hold is written before the snapshot is taken. The removal of a blob is a job that is written together with the end of its
row; so the job of whatever the snapshot still shows begins after the hold, sees it and waits. A hold ends by itself when
its holder does not renew it. For services only.
"""

from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from davserver.db.rows import HoldRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock, Micros

LEASE: Final[Micros] = 900 * SECOND


class Hold:
    """One hold, from `begin` to `end`."""

    def __init__(self, database: Database, clock: Clock, hold_id: str, reason: str) -> None:
        self._database = database
        self._clock = clock
        self._id = hold_id
        self._reason = reason
        self._renew_at: Micros = 0

    def begin(self) -> None:
        """From now on nothing is removed. Also forgets the holds of those that died."""
        with self._database.write() as unit:
            now = self._clock()
            unit.connection.execute(delete(HoldRow).where(HoldRow.expires_at <= now))
            unit.connection.execute(
                insert(HoldRow), {"id": self._id, "reason": self._reason, "expires_at": now + LEASE}
            )
        self._renew_at = now + LEASE // 8

    def renew(self) -> None:
        """To be called often while the hold is needed; writes now and then."""
        now = self._clock()
        if now >= self._renew_at:
            with self._database.write() as unit:
                here = HoldRow.id == self._id
                unit.connection.execute(update(HoldRow).where(here).values(expires_at=now + LEASE))
            self._renew_at = now + LEASE // 8

    def end(self) -> None:
        """What waits may be removed."""
        with self._database.write() as unit:
            unit.connection.execute(delete(HoldRow).where(HoldRow.id == self._id))


def is_held(connection: Connection, now: Micros) -> bool:
    """Whether nothing may be removed at the moment."""
    return connection.execute(select(HoldRow.id).where(HoldRow.expires_at > now).limit(1)).first() is not None
