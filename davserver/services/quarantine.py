"""The quarantine: what is infected, as an administrator sees it. Files stay where they are; only their content is held back."""

from dataclasses import dataclass

from sqlalchemy import func, select, update

from davserver.db.rows import RevisionRow, UserRow
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import Clock
from davserver.domain.errors import BadRequest, Conflict
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Revision
from davserver.domain.verdict import ScanReport, Verdict
from davserver.jobs.outbox import enqueue
from davserver.services.activity import record
from davserver.services.attaching import SCAN
from davserver.services.lookup import resolve
from davserver.services.scanned import found_places


@dataclass(frozen=True, slots=True)
class Found:
    """A file with a virus in it."""

    owner: str
    """The user's name."""
    path: str
    """Not encoded; that of the trash for what lies there."""
    size: int
    """Bytes."""
    scan: ScanReport


class Quarantine:
    """Use cases of administrators."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def found(self) -> tuple[Found, ...]:
        """All files, everybody's, that are infected or released."""
        with self._database.read() as connection:
            return tuple(
                Found(
                    row.owner,
                    row.path,
                    row.size,
                    ScanReport(Verdict(row.verdict), row.signature or "", row.signature_version or "", row.scanned_at),
                )
                for row in found_places(connection)
            )

    def counts(self) -> dict[Verdict, int]:
        """How many contents have which verdict; copies count once. Looks at all of them."""
        query = select(RevisionRow.verdict, func.count()).group_by(RevisionRow.verdict)
        with self._database.read() as connection:
            return {Verdict(verdict): count for verdict, count in connection.execute(query)}

    def release(self, principal: Principal, path: ResourcePath) -> str:
        """Let an infected file of the principal's be read, its copies too, for as long as nothing else is found in it.

        Returns what was found. Raises `NotFound`, `BadRequest` (a collection), `Conflict` (it is not infected).
        """
        with self._database.write() as unit:
            revision = _file(unit, principal, path)
            here = (RevisionRow.owner_id == principal.owner_id) & (RevisionRow.id == revision.id)
            is_infected = RevisionRow.verdict == Verdict.INFECTED.value
            released = update(RevisionRow).where(here, is_infected).values(verdict=Verdict.RELEASED.value)
            row = unit.connection.execute(released.returning(RevisionRow.signature)).one_or_none()
            if row is not None:
                record(unit, principal, Action.RELEASED, self._clock(), path, detail=row.signature)
        if row is None:
            raise Conflict(f"The file is not infected, it is {revision.verdict.word}.")
        return str(row.signature)

    def scan_again(self, principal: Principal, path: ResourcePath) -> None:
        """Have a file of the principal's scanned at once, whatever is known of it. What was released is infected again till then.

        Raises `NotFound`, `BadRequest` (a collection).
        """
        with self._database.write() as unit:
            revision = _file(unit, principal, path)
            here = (RevisionRow.owner_id == principal.owner_id) & (RevisionRow.id == revision.id)
            if revision.size == 0:
                return
            unit.connection.execute(update(RevisionRow).where(here).values(signature_version=""))
            taken_back = update(RevisionRow).where(here, RevisionRow.verdict == Verdict.RELEASED.value)
            unit.connection.execute(taken_back.values(verdict=Verdict.INFECTED.value))
            payload = {"owner_id": principal.owner_id, "revision_id": revision.id}
            enqueue(unit, SCAN, payload, self._clock())
            record(unit, principal, Action.RESCANNED, self._clock(), path)

    def scan_all_again(self, principal: Principal | None = None) -> int:
        """Have all files, or all of the principal's, scanned again in the background, as if signatures were new.

        Releases stay. Returns how many contents that is.
        """
        with self._database.read() as connection:
            everybody = connection.execute(select(UserRow.id)).scalars().all()
        count = 0
        for owner_id in everybody if principal is None else [principal.owner_id]:
            own = (RevisionRow.owner_id == owner_id) & (RevisionRow.signature_version != "")
            with self._database.write() as unit:
                unit.connection.execute(update(RevisionRow).where(own).values(signature_version=""))
                left = (RevisionRow.owner_id == owner_id) & (RevisionRow.signature_version == "")
                count += unit.connection.execute(select(func.count()).select_from(RevisionRow).where(left)).scalar_one()
        return count


def _file(unit: Unit, principal: Principal, path: ResourcePath) -> Revision:
    revision = resolve(unit.connection, principal, path).must_exist().revision
    if revision is None:
        raise BadRequest("That is a collection; name a file.")
    return revision
