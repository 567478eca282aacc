"""Figures of the whole drive for whoever runs it: no names, no content."""

from dataclasses import dataclass

from sqlalchemy import func, select

from davserver.db.rows import JobRow, LockRow, RevisionRow, TrashEntryRow, TreeRow, UploadRow, UserRow
from davserver.db.units import Database
from davserver.domain.clock import Clock


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is at one moment."""

    jobs: dict[tuple[str, str], int]
    """By kind and state."""
    jobs_oldest_seconds: float
    """For how long the job has been due that has been for longest."""
    locks: int
    uploads: int
    users: int
    used_bytes: int
    quota_bytes: int
    """Of the users that have one."""
    found: dict[str, int]
    """Contents that are infected or were released, by verdict."""
    trash_entries: int


class Drive:
    """Counts. None of it grows with the number of files, but for the small indexes of locks and of the trash."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def figures(self) -> Figures:
        """Count now. Raises `DatabaseUnavailable`."""
        now = self._clock()
        with self._database.read() as connection:
            job_counts = connection.execute(
                select(JobRow.kind, JobRow.state, func.count()).group_by(JobRow.kind, JobRow.state)
            )
            jobs = {(kind, state): count for kind, state, count in job_counts}
            oldest = connection.execute(select(func.min(JobRow.run_at)).where(JobRow.state == "waiting")).scalar()
            locks = select(func.count()).select_from(LockRow).where(LockRow.expires_at > now)
            found = select(RevisionRow.verdict, func.count()).where(RevisionRow.verdict.in_(["infected", "released"]))
            quotas = select(func.count(), func.coalesce(func.sum(UserRow.quota_bytes), 0)).where(
                UserRow.removed_at.is_(None)
            )
            users, quota_bytes = connection.execute(quotas).one()
            return Figures(
                jobs=jobs,
                jobs_oldest_seconds=max(now - oldest, 0) / 1_000_000 if oldest is not None else 0.0,
                locks=connection.execute(locks).scalar_one(),
                uploads=connection.execute(select(func.count()).select_from(UploadRow)).scalar_one(),
                users=users,
                used_bytes=int(connection.execute(select(func.coalesce(func.sum(TreeRow.used_bytes), 0))).scalar_one()),
                quota_bytes=int(quota_bytes or 0),
                found={row[0]: row[1] for row in connection.execute(found.group_by(RevisionRow.verdict))},
                trash_entries=connection.execute(select(func.count()).select_from(TrashEntryRow)).scalar_one(),
            )
