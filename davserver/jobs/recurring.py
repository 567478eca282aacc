"""What recurs: when its time has come, it becomes a job like any other, once, however many processes and machines look."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update

from davserver.db.rows import JobRow, RecurringRow
from davserver.db.units import Database, Unit
from davserver.domain.clock import Clock, Micros
from davserver.jobs.outbox import enqueue


class Recurring:
    """`periods`: how often each kind of job is caused. One that is new is caused a period after it was first seen."""

    def __init__(self, database: Database, clock: Clock, periods: Mapping[str, Micros]) -> None:
        self._database = database
        self._clock = clock
        self._periods = dict(periods)

    def cause_due(self) -> tuple[str, ...]:
        """Make a job of all that is due and return their kinds. One query when nothing is."""
        now = self._clock()
        with self._database.read() as connection:
            rows = connection.execute(select(RecurringRow.kind, RecurringRow.due_at))
            known = {row.kind: row.due_at for row in rows}
        wanted = [kind for kind in self._periods if known.get(kind, now) <= now]
        return tuple(kind for kind in wanted if self._cause(kind, is_new=kind not in known))

    def _cause(self, kind: str, *, is_new: bool) -> bool:
        now = self._clock()
        period = self._periods[kind]
        with self._database.write() as unit:
            if is_new:
                self._add(unit, kind, now + period)
                return False
            claimed = unit.connection.execute(
                update(RecurringRow)
                .where(RecurringRow.kind == kind, RecurringRow.due_at <= now)
                .values(due_at=now + period, caused_at=now)
            ).rowcount
            if claimed:
                self._renew_job(unit, kind, now)
            return bool(claimed)

    def _add(self, unit: Unit, kind: str, due_at: Micros) -> None:
        connection = unit.connection
        row = select(RecurringRow.kind).where(RecurringRow.kind == kind)
        if not self._database.is_sqlite:
            # Two processes may get here at once: the second waits, and then finds the row.
            connection.exec_driver_sql("LOCK TABLE recurring IN SHARE ROW EXCLUSIVE MODE")
        if connection.execute(row).first() is None:
            connection.execute(insert(RecurringRow), {"kind": kind, "due_at": due_at, "caused_at": None})

    def _renew_job(self, unit: Unit, kind: str, now: Micros) -> None:
        """One job of the kind at a time: not a second one while the last is not done, and a new one for one that failed."""
        states = set(unit.connection.execute(select(JobRow.state).where(JobRow.kind == kind)).scalars())
        if states - {"failed"}:
            return
        unit.connection.execute(delete(JobRow).where(JobRow.kind == kind))
        enqueue(unit, kind, {}, now)
