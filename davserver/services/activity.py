"""The activity log: one row for each thing that is done, written in the unit that does it.

So the log holds what happened and nothing that did not: when the unit is undone, so is its row. A COPY or DELETE of a large
tree is one row. Rows are only ever added, and removed when their time is over; nothing changes one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, delete, insert, or_, select, text, tuple_
from sqlalchemy.orm import aliased

from davserver.db.rows import ActivityRow, UserRow
from davserver.db.statements import Statement
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action, ActivityEntry, ActivityFilter
from davserver.domain.clock import HOUR, Clock, Micros
from davserver.domain.errors import Forbidden
from davserver.domain.paging import DEFAULT_PAGE, Page, check_limit, make_cursor, read_cursor
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Door, Origin, Principal
from davserver.jobs.runner import Handler, Work

PRUNE_ACTIVITY: Final = "prune_activity"
"""The job that removes entries whose time is over."""
PERIODS: Final[Mapping[str, Micros]] = {PRUNE_ACTIVITY: HOUR}
"""How often that is done."""
LOOK: Final = 5_000
"""Entries that one page looks at, however few of them the filter lets pass."""
MAX_DETAIL: Final = 200
_PRUNE: Final = 1_000

_COLUMNS: Final = (
    "at", "action", "is_audit", "owner_id", "actor_id", "path", "to_path", "size", "detail", "door", "address", "device",
)  # fmt: skip
_INSERT: Final = Statement(insert(ActivityRow), columns=_COLUMNS)


def record(
    unit: Unit,
    who: Principal,
    action: Action,
    now: Micros,
    path: ResourcePath | None = None,
    *,
    to: ResourcePath | None = None,
    size: int | None = None,
    detail: str | None = None,
    owner_id: int | None = None,
) -> None:
    """Note what `who` does in this unit. One INSERT.

    `owner_id`: whose drive or account it is done to, when it is not their own. `detail` is shown to that owner and to
    administrators: no secret may be in it.
    """
    values = _values(who.owner_id if owner_id is None else owner_id, _actor(who), who.origin, action, now, detail)
    if path is not None:
        values["path"] = path.key or "/"
    if to is not None:
        values["to_path"] = to.key or "/"
    values["size"] = size
    _INSERT.run(unit.connection, values)


def record_uploads(unit: Unit, uploads: Sequence[tuple[Principal, ResourcePath, int]], now: Micros) -> None:
    """Note new files, by whom, where and of how many bytes each, in their own drives."""
    rows = [
        _values(who.owner_id, _actor(who), who.origin, Action.UPLOADED, now, None) | {"path": path.key, "size": size}
        for who, path, size in uploads
    ]
    _INSERT.run_many(unit.connection, rows)


def _actor(who: Principal) -> int | None:
    return None if who.origin.door is Door.BACKGROUND else who.user_id


def record_stranger(
    unit: Unit, owner_id: int | None, origin: Origin, action: Action, now: Micros, detail: str | None
) -> None:
    """Note what somebody does of whom it is not known who they are, to an account or to none."""
    _INSERT.run(unit.connection, _values(owner_id, None, origin, action, now, detail))


By = Principal | Origin
"""Who does something: somebody, or, where nobody is signed in (the command line, a stranger), from where."""


def record_about(unit: Unit, owner_id: int, by: By, action: Action, now: Micros, detail: str | None = None) -> None:
    """Note what is done to somebody's account."""
    if isinstance(by, Principal):
        record(unit, by, action, now, detail=detail, owner_id=owner_id)
    else:
        record_stranger(unit, owner_id, by, action, now, detail)


def _values(
    owner_id: int | None, actor_id: int | None, origin: Origin, action: Action, now: Micros, detail: str | None
) -> dict[str, Any]:
    return {
        "at": now,
        "action": action.value,
        "is_audit": action.is_audit,
        "owner_id": owner_id,
        "actor_id": actor_id,
        "path": None,
        "to_path": None,
        "size": None,
        "detail": None if detail is None else detail[:MAX_DETAIL],
        "door": origin.door.value,
        "address": origin.address,
        "device": origin.device,
    }


def nobody(owner_id: int) -> Principal:
    """The principal who does what the server does by itself, in the tree of this owner."""
    return Principal(owner_id, "", origin=Origin(Door.BACKGROUND))


class Activity:
    """Use cases on the log. `retention`: how long an entry is kept."""

    def __init__(self, database: Database, clock: Clock, retention: Micros) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention

    @property
    def handlers(self) -> dict[str, Handler]:
        """What does which kind of job."""
        return {PRUNE_ACTIVITY: self.prune}

    def of(
        self,
        principal: Principal,
        wanted: ActivityFilter,
        *,
        after: str | None = None,
        limit: int = DEFAULT_PAGE,
    ) -> Page[ActivityEntry]:
        """What was done to the principal's drive and account, the latest first. Raises `BadRequest` (the cursor, the limit).

        A page looks at no more than `LOOK` entries: with a filter that lets few pass it may be short, and there be more.
        """
        return self._page(ActivityRow.owner_id == principal.owner_id, wanted, after, limit)

    def audit(
        self,
        principal: Principal,
        wanted: ActivityFilter,
        *,
        after: str | None = None,
        limit: int = DEFAULT_PAGE,
    ) -> Page[ActivityEntry]:
        """What concerns access and safety, everybody's, the latest first. Raises `Forbidden` for who is no administrator."""
        if not principal.is_admin:
            raise Forbidden("Only an administrator may see the audit log.")
        return self._page(text("is_audit"), wanted, after, limit)

    def note(self, who: Principal, action: Action, *, detail: str | None = None, owner_id: int | None = None) -> None:
        """Note what changes nothing else, in a unit of its own."""
        with self._database.write() as unit:
            record(unit, who, action, self._clock(), detail=detail, owner_id=owner_id)

    def prune(self, work: Work) -> None:
        """Remove what is older than the retention, a bounded number a unit."""
        before = self._clock() - self._retention
        # The oldest have the lowest ids, but for the clocks of several machines: no index over times is needed.
        oldest = select(ActivityRow.id).order_by(ActivityRow.id).limit(_PRUNE).scalar_subquery()
        expired = delete(ActivityRow).where(ActivityRow.id.in_(oldest), ActivityRow.at < before)
        while True:
            work.keep()
            with self._database.write() as unit:
                if unit.connection.execute(expired).rowcount == 0:
                    return

    def _page(self, whose: Any, wanted: ActivityFilter, after: str | None, limit: int) -> Page[ActivityEntry]:
        check_limit(limit)
        place = tuple_(ActivityRow.at, ActivityRow.id)
        ranges = [whose, *_times(wanted)]
        if wanted.audit_only:
            ranges.append(text("is_audit"))
        if after is not None:
            ranges.append(place < tuple_(*read_cursor(after, 2)))
        newest = (ActivityRow.at.desc(), ActivityRow.id.desc())
        looked = select(ActivityRow.id, ActivityRow.at).where(*ranges).order_by(*newest).limit(LOOK)
        with self._database.read() as connection:
            rows = connection.execute(_query(looked, wanted).limit(limit + 1)).all()
            last = None if len(rows) > limit else connection.execute(looked.offset(LOOK - 1).limit(1)).first()
        entries = tuple(map(_entry, rows[:limit]))
        if len(rows) > limit:
            return Page(entries, make_cursor(entries[-1].at, entries[-1].id))
        return Page(entries, None if last is None else make_cursor(last.at, last.id))


def _times(wanted: ActivityFilter) -> list[ColumnElement[bool]]:
    found = []
    if wanted.since is not None:
        found.append(ActivityRow.at >= wanted.since)
    if wanted.until is not None:
        found.append(ActivityRow.at < wanted.until)
    return found


def _query(looked: Select[*tuple[Any, ...]], wanted: ActivityFilter) -> Select[Any]:
    """The entries among those looked at that the filter lets pass, with the names of their people."""
    ids = looked.subquery("looked")
    owner, actor = aliased(UserRow), aliased(UserRow)
    row = ActivityRow.__table__.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.actions is not None:
        conditions.append(row.action.in_(sorted(wanted.actions)))
    if wanted.path is not None and not wanted.path.is_root:
        conditions.append(or_(_is_below(row.path, wanted.path), _is_below(row.to_path, wanted.path)))
    if wanted.user is not None:
        # Who was deleted is found by the name that they had.
        conditions.append(or_(owner.name == wanted.user, actor.name == wanted.user))
    for column, value in ((row.door, wanted.door), (row.device, wanted.device), (row.address, wanted.address)):
        if value is not None:
            conditions.append(column == str(value))
    return (
        select(*row, owner.name.label("owner"), actor.name.label("actor"))
        .join(ids, ids.c.id == row.id)
        .outerjoin(owner, owner.id == row.owner_id)
        .outerjoin(actor, actor.id == row.actor_id)
        .where(*conditions)
        .order_by(row.at.desc(), row.id.desc())
    )


def _is_below(column: ColumnElement[Any], path: ResourcePath) -> ColumnElement[bool]:
    """At the path or below it; '0' is what follows '/' in the order of bytes."""
    return or_(column == path.key, and_(column > path.key + "/", column < path.key + "0"))


def _entry(row: Row[Any]) -> ActivityEntry:
    return ActivityEntry(
        id=row.id,
        at=row.at,
        action=Action(row.action),
        owner=row.owner,
        actor=row.actor,
        path=row.path,
        to_path=row.to_path,
        size=row.size,
        detail=row.detail,
        origin=Origin(Door(row.door), row.address, row.device),
    )
