"""Background work, as an administrator sees it: what waits, runs or failed; to have it tried again, or to forget it."""

from typing import Final

from sqlalchemy import delete, select, update

from davserver.db.rows import JobRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import Clock
from davserver.domain.errors import Conflict, NotFound
from davserver.domain.paging import DEFAULT_PAGE
from davserver.domain.principal import Principal
from davserver.jobs.queue import ShownJob
from davserver.services.activity import record
from davserver.services.users import refuse_others

STATES: Final = ("waiting", "running", "failed")
_J: Final = JobRow.__table__.c
_SHOWN: Final = (_J.id, _J.kind, _J.payload, _J.state, _J.attempts, _J.run_at, _J.last_error, _J.created_at)


class BackgroundWork:
    """Use cases of administrators; all raise `Forbidden` for others."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(
        self,
        principal: Principal,
        *,
        state: str | None = None,
        kind: str | None = None,
        after: int | None = None,
        limit: int = DEFAULT_PAGE,
    ) -> tuple[ShownJob, ...]:
        """Jobs of this state and kind, the newest first, those before the id `after`. What is done is no job any more."""
        refuse_others(principal)
        query = select(*_SHOWN).order_by(_J.id.desc()).limit(limit)
        for column, value in ((_J.state, state), (_J.kind, kind)):
            if value is not None:
                query = query.where(column == value)
        if after is not None:
            query = query.where(_J.id < after)
        with self._database.read() as connection:
            return tuple(ShownJob(*row) for row in connection.execute(query))

    def find(self, principal: Principal, job_id: int) -> ShownJob:
        """A job. Raises `NotFound`."""
        refuse_others(principal)
        with self._database.read() as connection:
            row = connection.execute(select(*_SHOWN).where(_J.id == job_id)).one_or_none()
        if row is None:
            raise NotFound("There is no such job; what is done is not kept.")
        return ShownJob(*row)

    def retry(self, principal: Principal, job_id: int) -> None:
        """Have a job that failed or waits tried now, with all its attempts. Raises `NotFound`, `Conflict` (it runs)."""
        refuse_others(principal)
        with self._database.write() as unit:
            here = (_J.id == job_id) & (_J.state != "running")
            again = update(JobRow).where(here).values(state="waiting", attempts=0, run_at=self._clock())
            kind = unit.connection.execute(again.returning(_J.kind)).scalar()
            if kind is not None:
                record(unit, principal, Action.JOB_RETRIED, self._clock(), detail=f"{kind} {job_id}")
                unit.ring()
        if kind is None:
            self.find(principal, job_id)
            raise Conflict("This job runs already.")

    def forget(self, principal: Principal, job_id: int) -> None:
        """Remove a job that failed; what it was to do stays undone. Raises `NotFound`, `Conflict` (it did not fail)."""
        refuse_others(principal)
        with self._database.write() as unit:
            here = (_J.id == job_id) & (_J.state == "failed")
            kind = unit.connection.execute(delete(JobRow).where(here).returning(_J.kind)).scalar()
            if kind is not None:
                record(unit, principal, Action.JOB_FORGOTTEN, self._clock(), detail=f"{kind} {job_id}")
        if kind is None:
            state = self.find(principal, job_id).state
            raise Conflict(f"Only a job that failed is forgotten; this one is {state}.")
