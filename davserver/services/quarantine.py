"""The quarantine: what is infected, as an administrator sees it. Files stay where they are; only their content is held back."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update

from davserver.db.rows import ResourceRow, RevisionRow, UserRow
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import Clock, Micros
from davserver.domain.errors import BadRequest, Conflict, NotFound
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Revision
from davserver.domain.verdict import ScanReport, Verdict
from davserver.jobs.outbox import enqueue
from davserver.services.activity import record
from davserver.services.attaching import SCAN
from davserver.services.changes import discard, open_change, sever, taken_from_trash, touch
from davserver.services.guards import drop_locks_within
from davserver.services.lookup import resolve
from davserver.services.scanned import found_page, found_place, found_places
from davserver.services.users import refuse_others

_GONE: Final = "There is no such file, or it is infected no more."


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
    owner_id: int
    revision_id: int
    resource_id: int
    """Both among the owner's."""


class Quarantine:
    """Use cases of administrators. `retention`: how long the trash keeps what is deleted."""

    def __init__(self, database: Database, clock: Clock, retention: Micros = 0) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention

    def found(self) -> tuple[Found, ...]:
        """All files, everybody's, that are infected or released."""
        with self._database.read() as connection:
            return tuple(map(_found, found_places(connection)))

    def page(self, *, after: tuple[int, int, int] = (0, 0, 0), limit: int) -> tuple[Found, ...]:
        """Up to `limit` of these, by the ids of owner, revision and resource, behind the one of these ids.

        One query, whose cost does not depend on how many more there are.
        """
        with self._database.read() as connection:
            return tuple(map(_found, found_page(connection, after, limit)))

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

    def release_of(self, principal: Principal, owner_id: int, resource_id: int) -> Found:
        """The same for anybody's file, by ids; for administrators. Returns what was released."""
        refuse_others(principal)
        found = self._find(owner_id, resource_id)
        with self._database.write() as unit:
            revision_id = select(ResourceRow.revision_id).where(_is(owner_id, resource_id)).scalar_subquery()
            here = (RevisionRow.owner_id == owner_id) & (RevisionRow.id == revision_id)
            is_infected = RevisionRow.verdict == Verdict.INFECTED.value
            released = update(RevisionRow).where(here, is_infected).values(verdict=Verdict.RELEASED.value)
            row = unit.connection.execute(released.returning(RevisionRow.signature)).one_or_none()
            if row is None:
                raise Conflict(f"The file is not infected, it is {found.scan.verdict.word}.")
            path = path_of_names(found.path)
            record(unit, principal, Action.RELEASED, self._clock(), path, detail=row.signature, owner_id=owner_id)
        return found

    def delete_of(self, principal: Principal, owner_id: int, resource_id: int) -> None:
        """Delete anybody's infected file: it goes to its owner's trash, and out of that for good. Locks do not keep it.

        For administrators. Raises `NotFound`, also when it is infected no more.
        """
        refuse_others(principal)
        path = path_of_names(self._find(owner_id, resource_id).path)
        with self._database.write() as unit:
            change = open_change(unit, owner_id, self._clock())
            chain = resolve(unit.connection, owner_id, path)
            target = chain.must_exist()
            if target.id != resource_id or target.revision is None or target.revision.verdict is not Verdict.INFECTED:
                raise NotFound(_GONE)
            if chain.is_in_trash:
                drop_locks_within(unit.connection, owner_id, path)
                taken_from_trash(change, chain.found)
                sever(change, [target.id])
            else:
                discard(change, path, target, self._retention)
            touch(change, chain.found[-2])
            action = Action.PURGED if chain.is_in_trash else Action.DELETED
            record(unit, principal, action, change.now, path, detail="infected", owner_id=owner_id)

    def _find(self, owner_id: int, resource_id: int) -> Found:
        with self._database.read() as connection:
            row = found_place(connection, owner_id, resource_id)
        if row is None:
            raise NotFound(_GONE)
        return _found(row)

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


def path_of_names(path: str) -> ResourcePath:
    """The path of a `Found`."""
    return ResourcePath.of(name for name in path.split("/") if name)


def _found(row: Any) -> Found:
    scan = ScanReport(Verdict(row.verdict), row.signature or "", row.signature_version or "", row.scanned_at)
    return Found(row.owner, row.path, row.size, scan, row.owner_id, row.revision_id, row.resource_id)


def _is(owner_id: int, resource_id: int) -> ColumnElement[bool]:
    return (ResourceRow.owner_id == owner_id) & (ResourceRow.id == resource_id)


def _file(unit: Unit, principal: Principal, path: ResourcePath) -> Revision:
    revision = resolve(unit.connection, principal, path).must_exist().revision
    if revision is None:
        raise BadRequest("That is a collection; name a file.")
    return revision
