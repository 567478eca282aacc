"""The trash: what was deleted or overwritten, until it is restored or its time is over.

WebDAV reaches it as the collection ``/.trash`` (see `davserver.services.tree`); this is what other doors need besides.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, text, update

from davserver.db.rows import TRASH_ID, ResourceRow, TrashEntryRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import Clock, Micros
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import Conflict, Forbidden, NotFound, StoreFull, Unavailable
from davserver.domain.paths import DEFAULT_MAX_DEPTH, ResourcePath, key_of
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource
from davserver.domain.trash import TrashEntry
from davserver.services.activity import record
from davserver.services.changes import (
    Change,
    discard,
    forget_in_trash,
    insert_resource,
    open_change,
    set_place,
    sever,
    touch,
    touch_trash,
)
from davserver.services.guards import Touch, check_change
from davserver.services.lookup import COLUMNS, REVISION_JOIN, Chain, resolve, resource_of
from davserver.services.trashed import discarded_of
from davserver.services.tree import TRASH_NAME, Tree, TreeSettings, refuse_too_deep

log = logging.getLogger(__name__)

_ALL: Final = 1 << 62
TRASH: Final = ResourcePath((TRASH_NAME,))
"""Where every tree has its trash."""


class Trash:
    """Use cases on the trash of a user."""

    def __init__(self, database: Database, clock: Clock, tree: Tree, settings: TreeSettings) -> None:
        self._database = database
        self._clock = clock
        self._tree = tree
        self._settings = settings

    def entries(self, principal: Principal) -> tuple[TrashEntry, ...]:
        """All members of the trash, the latest first. One query."""
        return self.page(principal)

    def page(
        self, principal: Principal, *, after: tuple[Micros, int] | None = None, limit: int = _ALL
    ) -> tuple[TrashEntry, ...]:
        """Up to `limit` members of the trash, the latest first, behind the one discarded at that time and of that id.

        One query, which looks at these entries, whatever else is in the trash. What lies below a collection is counted by the
        first that sees it, and written down until a part of it is taken out.
        """
        principal.check_reach(TRASH)
        at, resource_id = (_ALL, 0) if after is None else after
        bound = {"owner": principal.owner_id, "at": at, "id": resource_id, "limit": limit}
        with self._database.read() as connection:
            rows = connection.execute(_ENTRIES, bound).all()
        found = tuple(TrashEntry(resource_of(row), discarded_of(row), row.files, int(row.total_size)) for row in rows)
        counted = [
            {"b_id": entry.resource.id, "b_changes": row.changes, "files": entry.files, "size": entry.size}
            for entry, row in zip(found, rows, strict=True)
            if row.is_new and entry.resource.is_collection
        ]
        if counted:
            self._write_down(principal.owner_id, counted)
        return found

    def _write_down(self, owner_id: int, counted: Sequence[Mapping[str, int]]) -> None:
        here = (TrashEntryRow.owner_id == owner_id) & (TrashEntryRow.resource_id == bindparam("b_id"))
        unchanged = TrashEntryRow.changes == bindparam("b_changes")
        try:
            with self._database.write() as unit:
                unit.connection.execute(update(TrashEntryRow).where(here, unchanged), counted)
        except (Unavailable, StoreFull):
            log.info("what is in the trash was counted, and could not be written down: the next one counts again")

    def restore(
        self,
        principal: Principal,
        entry: str | int,
        *,
        to: ResourcePath | None = None,
        overwrite: bool = False,
        max_depth: int = DEFAULT_MAX_DEPTH,
    ) -> ResourcePath:
        """Bring a member of the trash, by its name there or its id, back to where it was, or `to` another place.

        Collections that are missing on the way are made. What stands there now is left alone, and `Conflict` raised; with
        `overwrite` it goes to the trash. Older content of a file that is still there then becomes that file's content, which
        keeps its dead properties and its locks. Returns where it is now. Raises `NotFound`, `Conflict`, `Forbidden`, `Locked`,
        `PathTooDeep`.
        """
        with self._database.write() as unit:
            principal.check_reach(TRASH)
            change = open_change(unit, principal, self._clock())
            row = _find(unit.connection, principal.owner_id, entry)
            path = to or ResourcePath.parse(row.origin, max_depth=max_depth)
            refuse_too_deep(change, row.resource_id, path, self._settings.max_depth)
            goal = self._clear_the_way(change, principal, path, row, overwrite=overwrite)
            source = TRASH.child(row.found_name)
            record(unit, principal, Action.RESTORED, change.now, source, to=path)
            if goal.target is not None and goal.target.id == row.replaced_id:
                self._swap_content(change, row.resource_id, goal.target)
                return path
            parent = _make_parents(change, goal)
            set_place(change, row.resource_id, parent.id, path.name)
            forget_in_trash(change, [row.resource_id])
            touch(change, parent)
            return path

    def purge(self, principal: Principal, path: ResourcePath) -> None:
        """Remove for good what is at a path in the trash. Raises `NotFound`, and `Forbidden` for any other path."""
        if len(path.names) < 2 or not path.is_within(TRASH):
            raise Forbidden("Only what is in the trash can be purged.")
        self._tree.discard(principal, path)

    def purge_entry(self, principal: Principal, entry_id: int) -> None:
        """Remove a member of the trash for good, by its id. Raises `NotFound`."""
        with self._database.write() as unit:
            principal.check_reach(TRASH)
            change = open_change(unit, principal, self._clock())
            row = _find(unit.connection, principal.owner_id, entry_id)
            sever(change, [entry_id])
            touch_trash(change)
            record(unit, principal, Action.PURGED, change.now, TRASH.child(row.found_name))

    def empty(self, principal: Principal) -> None:
        """Remove for good all that is in the trash."""
        self._tree.discard(principal, TRASH)

    def _clear_the_way(
        self, change: Change, principal: Principal, path: ResourcePath, row: Row[tuple[Any, ...]], *, overwrite: bool
    ) -> Chain:
        """Check everything about a restore, and discard what stands in its place."""
        connection = change.unit.connection
        goal = resolve(connection, principal, path)
        if path.is_root or goal.is_in_trash:
            raise Forbidden("Nothing is restored to the root itself or within the trash.")
        if goal.target is not None and not overwrite:
            raise Conflict("Something of that name is there now.")
        made = Chain(ResourcePath(path.names[: len(goal.found)]), goal.found) if goal.target is None else goal
        touched = Touch(made, membership=goal.target is None, subtree=goal.target is not None)
        check_change(connection, principal, [touched], NO_CONDITIONS, change.now)
        if goal.target is not None and goal.target.id != row.replaced_id:
            discard(change, path, goal.target, self._settings.trash_retention)
        return goal

    def _swap_content(self, change: Change, entry_id: int, file: Resource) -> None:
        """The file takes the entry's content, and the entry, as if it had just been replaced, the file's."""
        connection = change.unit.connection
        own = ResourceRow.owner_id == change.owner_id
        kept = connection.execute(
            select(ResourceRow.revision_id, ResourceRow.modified_at).where(own, ResourceRow.id == entry_id)
        ).one()
        current = None if file.revision is None else file.revision.id
        swapped = {"revision_id": current, "modified_at": file.modified_at}
        connection.execute(update(ResourceRow).where(own, ResourceRow.id == entry_id).values(swapped))
        restored = {"revision_id": kept.revision_id, "modified_at": change.now}
        connection.execute(update(ResourceRow).where(own, ResourceRow.id == file.id).values(restored))
        times = {
            "discarded_at": change.now,
            "purge_at": change.now + change.keeps_for(self._settings.trash_retention),
        }
        here = (TrashEntryRow.owner_id == change.owner_id) & (TrashEntryRow.resource_id == entry_id)
        connection.execute(update(TrashEntryRow).where(here).values(times))
        touch_trash(change)


def _find(connection: Connection, owner_id: int, entry: str | int) -> Row[tuple[Any, ...]]:
    query = (
        select(TrashEntryRow.__table__, ResourceRow.name.label("found_name"))
        .join(
            ResourceRow,
            (ResourceRow.owner_id == TrashEntryRow.owner_id) & (ResourceRow.id == TrashEntryRow.resource_id),
        )
        .where(TrashEntryRow.owner_id == owner_id, ResourceRow.parent_id == TRASH_ID)
    )
    which = ResourceRow.id == entry if isinstance(entry, int) else ResourceRow.name_key == key_of(entry)
    row = connection.execute(query.where(which)).one_or_none()
    if row is None:
        raise NotFound(f"There is no {entry!r} in the trash.")
    return row


def _make_parents(change: Change, goal: Chain) -> Resource:
    """The collection at the parent of the goal's path, made with all that is missing above it."""
    connection = change.unit.connection
    parent = goal.found[-1] if goal.target is None else goal.found[-2]
    for depth in range(len(goal.found), len(goal.path.names)):
        if not parent.is_collection:
            break
        resource_id = change.take_ids()
        times = {"created_at": change.now, "modified_at": change.now}
        name = goal.path.names[depth - 1]
        insert_resource(change, resource_id=resource_id, parent_id=parent.id, name=name, revision_id=None, **times)
        touch(change, parent)
        parent = resolve(connection, change.owner_id, ResourcePath(goal.path.names[:depth])).must_exist()
    if not parent.is_collection:
        raise Conflict("On the way there, a file stands where a collection is needed.")
    return parent


_ENTRIES: Final = text(
    "WITH RECURSIVE page AS (SELECT t.resource_id, t.origin, t.replaced_id, t.discarded_at, t.purge_at,"
    " t.files, t.size, t.changes FROM trash_entry t"
    " WHERE t.owner_id = :owner AND (t.discarded_at, t.resource_id) < (:at, :id)"
    " ORDER BY t.discarded_at DESC, t.resource_id DESC LIMIT :limit),"
    " sub(top, id) AS (SELECT resource_id, resource_id FROM page WHERE files IS NULL UNION ALL"
    " SELECT sub.top, m.id FROM sub JOIN resource m ON m.owner_id = :owner AND m.parent_id = sub.id),"
    " sums AS (SELECT sub.top, count(x.revision_id) AS files, coalesce(sum(y.size), 0) AS total_size FROM sub"
    " JOIN resource x ON x.owner_id = :owner AND x.id = sub.id"
    " LEFT JOIN revision y ON y.owner_id = x.owner_id AND y.id = x.revision_id GROUP BY sub.top)"
    f" SELECT {COLUMNS}, t.origin, t.replaced_id, t.discarded_at, t.purge_at, t.resource_id, t.changes,"
    " t.files IS NULL AS is_new, coalesce(t.files, s.files) AS files, coalesce(t.size, s.total_size) AS total_size"
    " FROM page t JOIN resource r ON r.owner_id = :owner AND r.id = t.resource_id"
    f" LEFT JOIN sums s ON s.top = r.id {REVISION_JOIN}"
    " ORDER BY t.discarded_at DESC, t.resource_id DESC"
)
