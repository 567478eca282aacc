"""The queue: who does which job, so that each is done at least once, and by one worker at a time.

A worker claims a job for a while and says now and then that it still lives. What it does not finish, because it was killed or
hangs, is taken by another when that while is over. Handlers must therefore do no harm when they are called again.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import case, delete, func, select, update

from davserver.db.rows import JobRow
from davserver.db.units import Database
from davserver.domain.clock import HOUR, SECOND, Clock, Micros
from davserver.domain.errors import NotFound

Random = Callable[[int], bytes]
"""n -> n unpredictable bytes."""

_JOB: Final = JobRow.__table__.c
_LONGEST_ERROR: Final = 500
_WORKER_GONE: Final = "Its worker died, or hung, in the middle of it."


class ClaimLost(Exception):
    """Another worker has the job by now: stop, and change nothing more."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How patient the queue is."""

    lease: Micros = 120 * SECOND
    """A worker that has not said for so long that it lives is taken for dead."""
    first_pause: Micros = 10 * SECOND
    """Before the second attempt; doubled for each further one."""
    longest_pause: Micros = HOUR
    attempts: int = 10
    """So many, then it is kept as failed."""
    longest_wait: Micros = 600 * SECOND
    """Between two looks whether what was unavailable is back."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that this worker has claimed."""

    id: int
    kind: str
    payload: dict[str, Any]
    attempts: int
    """This one included."""
    created_at: Micros
    claim: str


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job as people see it."""

    id: int
    kind: str
    payload: str
    state: str
    """``waiting``, ``running`` or ``failed``."""
    attempts: int
    run_at: Micros
    """When it is tried next; while it is running, when its worker is taken for dead."""
    last_error: str
    created_at: Micros


class Queue:
    """Jobs to do. `random` spreads the attempts of what failed together, and names claims."""

    def __init__(self, database: Database, clock: Clock, random: Random, settings: QueueSettings | None = None) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self.settings = settings or QueueSettings()

    def is_due(self) -> bool:
        """Whether there is something to claim."""
        with self._database.read() as connection:
            return connection.execute(self._due()).first() is not None

    def claim(self) -> Job | None:
        """The job that has been due for longest, for this worker alone until the lease ends; None when nothing is due."""
        while self.is_due() and (job := self._take()) is not None:  # most looks end here, without a writer's lock
            if job.attempts <= self.settings.attempts:
                return job
            self._end_attempt(job, state="failed")  # it took down every worker that had it
        return None

    def renew(self, job: Job) -> None:
        """Say that the worker lives. Raises `ClaimLost`."""
        if not self._set(job, run_at=self._clock() + self.settings.lease):
            raise ClaimLost

    def finish(self, job: Job) -> None:
        """The job is done, and gone."""
        with self._database.write() as unit:
            unit.connection.execute(delete(JobRow).where(_JOB.id == job.id, _JOB.claim == job.claim))

    def fail(self, job: Job, error: BaseException) -> bool:
        """The attempt failed: try again after a pause, or keep it as failed. Returns whether that was the last attempt."""
        is_last = job.attempts >= self.settings.attempts
        pause = min(self.settings.first_pause << min(job.attempts - 1, 32), self.settings.longest_pause)
        self._end_attempt(
            job,
            state="failed" if is_last else "waiting",
            run_at=self._clock() + self._spread(pause),
            last_error=_told(error),
        )
        return is_last

    def postpone(self, job: Job, error: BaseException) -> None:
        """What the job needs is away, which is not its fault: it waits, longer as time goes by, and does not fail of it."""
        now = self._clock()
        pause = min(max((now - job.created_at) // 4, self.settings.first_pause), self.settings.longest_wait)
        self._end_attempt(
            job,
            state="waiting",
            attempts=job.attempts - 1,
            run_at=now + self._spread(pause),
            last_error=_told(error),
        )

    def release(self, job: Job) -> None:
        """The worker has to go in the middle of it: another may take it at once."""
        self._end_attempt(job, state="waiting", attempts=job.attempts - 1, run_at=self._clock())

    def shown(self) -> tuple[ShownJob, ...]:
        """All jobs: what failed first, then as they will be done."""
        columns = (_JOB.id, _JOB.kind, _JOB.payload, _JOB.state, _JOB.attempts, _JOB.run_at, _JOB.last_error)
        query = select(*columns, _JOB.created_at).order_by(_JOB.state != "failed", _JOB.run_at, _JOB.id)
        with self._database.read() as connection:
            return tuple(ShownJob(*row) for row in connection.execute(query))

    def count(self) -> int:
        """How many jobs there are, in any state."""
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(JobRow)).scalar_one()

    def retry(self, job_id: int | None = None) -> int:
        """Have a failed or waiting job tried now, with all its attempts; without an id, all that failed. Returns how many.

        Raises `NotFound`.
        """
        which = _JOB.state == "failed" if job_id is None else (_JOB.id == job_id) & (_JOB.state != "running")
        with self._database.write() as unit:
            again = update(JobRow).where(which).values(state="waiting", attempts=0, run_at=self._clock())
            count = unit.connection.execute(again).rowcount
            unit.ring()
        if job_id is not None and not count:
            raise NotFound(f"No job {job_id} is waiting or failed.")
        return count

    def _due(self) -> Any:
        due = (_JOB.state != "failed") & (_JOB.run_at <= self._clock())
        return select(_JOB.id).where(due).order_by(_JOB.run_at, _JOB.id).limit(1)

    def _take(self) -> Job | None:
        token = self._random(16).hex()
        next_one = self._due().with_for_update(skip_locked=True).scalar_subquery()
        taken = (
            update(JobRow)
            .where(_JOB.id == next_one)
            .values(
                state="running",
                attempts=_JOB.attempts + 1,
                claim=token,
                run_at=self._clock() + self.settings.lease,
                last_error=case((_JOB.state == "running", _WORKER_GONE), else_=_JOB.last_error),
            )
            .returning(_JOB.id, _JOB.kind, _JOB.payload, _JOB.attempts, _JOB.created_at)
        )
        with self._database.write() as unit:
            row = unit.connection.execute(taken).one_or_none()
        if row is None:
            return None
        return Job(row.id, row.kind, json.loads(row.payload), row.attempts, row.created_at, token)

    def _end_attempt(self, job: Job, **values: Any) -> None:
        self._set(job, claim=None, **values)

    def _set(self, job: Job, **values: Any) -> bool:
        with self._database.write() as unit:
            own = update(JobRow).where(_JOB.id == job.id, _JOB.claim == job.claim)
            return unit.connection.execute(own.values(values)).rowcount == 1

    def _spread(self, pause: Micros) -> Micros:
        """Between three and five quarters of the pause."""
        return pause * 3 // 4 + pause * int.from_bytes(self._random(4)) // (2 << 32)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
