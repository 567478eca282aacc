"""The part of verify that looks at one user's tree, as it is at one moment. For `davserver.services.verify`."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, TextClause, delete, func, insert, select, text, update

from davserver.db.rows import ROOT_ID, TRASH_ID, LockRow, ResourceRow, RevisionRow, TrashEntryRow, TreeRow, UploadRow
from davserver.db.units import Database
from davserver.domain.clock import HOUR, Clock
from davserver.domain.errors import DavserverError
from davserver.domain.lock import ActiveLock, LockScope
from davserver.domain.paths import ResourcePath, check_name, key_of
from davserver.services.changes import enqueue_removal, open_change
from davserver.services.guards import active_lock, covers
from davserver.services.lookup import resolve
from davserver.services.verify_findings import MOST_SHOWN, Kind, Notebook
from davserver.services.verify_statistics import count_again, wrong_statistics

PAGE: Final = 1_000
_GRACE: Final = 24 * HOUR
"""How long a member of the trash stays that nobody knows when it came."""

_UNREACHABLE: Final = text(
    "WITH RECURSIVE seen(id) AS (SELECT id FROM resource WHERE owner_id = :owner AND parent_id IS NULL UNION ALL"
    " SELECT m.id FROM seen JOIN resource m ON m.owner_id = :owner AND m.parent_id = seen.id)"
    " SELECT id, 'its way up leads to no root' FROM resource WHERE owner_id = :owner"
    " EXCEPT SELECT id, 'its way up leads to no root' FROM seen LIMIT :most"
)
_IN_A_FILE: Final = text(
    "SELECT r.id, 'it lies in a file' FROM resource r JOIN resource p ON p.owner_id = r.owner_id AND p.id = r.parent_id"
    " WHERE r.owner_id = :owner AND p.revision_id IS NOT NULL LIMIT :most"
)
_WITHOUT_REVISION: Final = text(
    "SELECT r.id, 'its revision is gone' FROM resource r WHERE r.owner_id = :owner AND r.revision_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM revision v WHERE v.owner_id = r.owner_id AND v.id = r.revision_id) LIMIT :most"
)
_SAME_NAME: Final = text(
    "SELECT min(r.id), 'several members of its collection have its name' FROM resource r WHERE r.owner_id = :owner"
    " AND r.parent_id IS NOT NULL GROUP BY r.parent_id, r.name_key HAVING count(*) > 1 LIMIT :most"
)
_UNUSED_REVISION: Final = text(
    "SELECT v.id, 'no resource refers to it' FROM revision v WHERE v.owner_id = :owner AND NOT EXISTS"
    " (SELECT 1 FROM resource r WHERE r.owner_id = v.owner_id AND r.revision_id = v.id) LIMIT :most"
)
_REVISION_AND_BLOB: Final = text(
    "SELECT v.id, CASE WHEN b.id IS NULL THEN 'its blob is gone' WHEN b.owner_id <> v.owner_id THEN"
    " 'its blob belongs to somebody else' ELSE 'it has another size than its blob' END"
    " FROM revision v LEFT JOIN blob b ON b.id = v.blob_id WHERE v.owner_id = :owner"
    " AND (b.id IS NULL OR b.size <> v.size OR b.owner_id <> v.owner_id) LIMIT :most"
)
_PROPERTY_OF_NOTHING: Final = text(
    "SELECT d.resource_id, 'it has dead properties and does not exist' FROM property d WHERE d.owner_id = :owner"
    " AND NOT EXISTS (SELECT 1 FROM resource r WHERE r.owner_id = d.owner_id AND r.id = d.resource_id) LIMIT :most"
)
_WITHOUT_ENTRY: Final = text(
    "SELECT r.id, r.name FROM resource r WHERE r.owner_id = :owner AND r.parent_id = :trash AND NOT EXISTS"
    " (SELECT 1 FROM trash_entry t WHERE t.owner_id = r.owner_id AND t.resource_id = r.id) LIMIT :most"
)
_ENTRY_OF_NOTHING: Final = text(
    "SELECT t.resource_id, 'it has an entry and is not in the trash' FROM trash_entry t WHERE t.owner_id = :owner AND NOT EXISTS"
    " (SELECT 1 FROM resource r WHERE r.owner_id = t.owner_id AND r.id = t.resource_id AND r.parent_id = :trash) LIMIT :most"
)
# UNION, not UNION ALL: damaged trees may have cycles.
_MISCOUNTED: Final = text(
    "WITH RECURSIVE sub(top, id) AS (SELECT t.resource_id, t.resource_id FROM trash_entry t"
    " WHERE t.owner_id = :owner AND t.files IS NOT NULL UNION"
    " SELECT sub.top, m.id FROM sub JOIN resource m ON m.owner_id = :owner AND m.parent_id = sub.id),"
    " sums AS (SELECT sub.top, count(x.revision_id) AS files, coalesce(sum(y.size), 0) AS size FROM sub"
    " JOIN resource x ON x.owner_id = :owner AND x.id = sub.id"
    " LEFT JOIN revision y ON y.owner_id = x.owner_id AND y.id = x.revision_id GROUP BY sub.top)"
    " SELECT s.top, 'counted ' || t.files || ' files, there are ' || s.files FROM sums s"
    " JOIN trash_entry t ON t.owner_id = :owner AND t.resource_id = s.top"
    " WHERE t.files <> s.files OR t.size <> s.size LIMIT :most"
)
_BAD_UPLOAD: Final = text(
    "SELECT u.blob_id, 'it reserves less than nothing, or its bytes are attached' FROM upload u WHERE u.owner_id = :owner"
    " AND (u.reserved_bytes < 0 OR EXISTS (SELECT 1 FROM blob b WHERE b.id = u.blob_id)) LIMIT :most"
)
_PREVIEW_OF_NOTHING: Final = text(
    "SELECT p.revision_id, 'its revision is gone' FROM preview p WHERE p.owner_id = :owner AND NOT EXISTS"
    " (SELECT 1 FROM revision v WHERE v.owner_id = p.owner_id AND v.id = p.revision_id) LIMIT :most"
)
_PLAIN: Final[Iterable[tuple[Kind, str, TextClause]]] = (
    (Kind.UNREACHABLE, "resource", _UNREACHABLE),
    (Kind.RESOURCE_IMPOSSIBLE, "resource", _IN_A_FILE),
    (Kind.RESOURCE_IMPOSSIBLE, "resource", _WITHOUT_REVISION),
    (Kind.NAME_WRONG, "resource", _SAME_NAME),
    (Kind.REVISION_UNUSED, "revision", _UNUSED_REVISION),
    (Kind.REVISION_IMPOSSIBLE, "revision", _REVISION_AND_BLOB),
    (Kind.PROPERTY_LOST, "resource", _PROPERTY_OF_NOTHING),
    (Kind.UPLOAD_IMPOSSIBLE, "upload", _BAD_UPLOAD),
    (Kind.PREVIEW_LOST, "preview of revision", _PREVIEW_OF_NOTHING),
)
"""Each finds the ids of what is wrong, and what is wrong with it."""


class TreeCheck:
    """Looks at trees. `repair`: mend what can be mended without a loss."""

    def __init__(self, database: Database, clock: Clock, book: Notebook, *, repair: bool) -> None:
        self._database = database
        self._clock = clock
        self._book = book
        self._repair = repair

    def run(self, owner_id: int, name: str) -> None:
        """Look at the tree of one user."""
        whose = f"user {owner_id} ({name})"
        with snapshot(self._database) as connection:
            self._book.checked["users"] += 1
            if not self._has_frame(connection, owner_id, whose):
                return
            for kind, noun, query in _PLAIN:
                for found, detail in connection.execute(query, {"owner": owner_id, "most": MOST_SHOWN}):
                    self._book.add(kind, f"{whose}, {noun} {found}", detail)
            self._names(connection, owner_id, whose)
            self._locks(connection, owner_id, whose)
            self._waiting(connection, owner_id, whose)
            usage = _usage(connection, owner_id)
            miscounted = wrong_statistics(connection, owner_id)
            bound = {"owner": owner_id, "trash": TRASH_ID, "most": MOST_SHOWN}
            unknown = [tuple(row) for row in connection.execute(_WITHOUT_ENTRY, bound)]
            lost = [tuple(row) for row in connection.execute(_ENTRY_OF_NOTHING, bound)]
            wrong = [tuple(row) for row in connection.execute(_MISCOUNTED, {"owner": owner_id, "most": MOST_SHOWN})]
        if usage[0] != usage[1]:
            repaired = self._repair and self._settle(owner_id)
            self._book.add(
                Kind.USAGE_WRONG, whose, f"counted {usage[0]}, there are {usage[1]} bytes", repaired=repaired
            )
        if miscounted:
            repaired = self._repair and count_again(self._database, self._clock, owner_id)
            self._book.add(Kind.STATISTICS_WRONG, whose, miscounted, repaired=repaired)
        for resource_id, named in unknown:
            repaired = self._repair and self._note(owner_id, resource_id)
            self._book.add(Kind.TRASH_UNKNOWN, f"{whose}, resource {resource_id}", named, repaired=repaired)
        for resource_id, detail in lost:
            repaired = self._repair and self._unnote(owner_id, resource_id)
            self._book.add(Kind.ENTRY_LOST, f"{whose}, resource {resource_id}", detail, repaired=repaired)
        for resource_id, detail in wrong:
            repaired = self._repair and self._uncount(owner_id, resource_id)
            self._book.add(Kind.TRASH_MISCOUNTED, f"{whose}, resource {resource_id}", detail, repaired=repaired)

    def dead_uploads(self) -> None:
        """Tell of uploads that nobody goes on with; a repair lets go of them."""
        ended = UploadRow.expires_at <= self._clock()
        with self._database.read() as connection:
            found = connection.execute(select(UploadRow.blob_id, UploadRow.reserved_bytes).where(ended)).all()
        if self._repair and found:
            with self._database.write() as unit:
                gone = delete(UploadRow).where(ended).returning(UploadRow.blob_id)
                enqueue_removal(unit, unit.connection.execute(gone).scalars().all(), self._clock())
        for blob_id, reserved in found:
            self._book.add(Kind.UPLOAD_DEAD, f"upload {blob_id}", f"{reserved} bytes reserved", repaired=self._repair)

    def _has_frame(self, connection: Connection, owner_id: int, whose: str) -> bool:
        here = (ResourceRow.owner_id == owner_id) & ResourceRow.id.in_([ROOT_ID, TRASH_ID])
        columns = (ResourceRow.id, ResourceRow.parent_id, ResourceRow.revision_id)
        frame = {row.id: (row.parent_id, row.revision_id) for row in connection.execute(select(*columns).where(here))}
        tree = connection.execute(select(TreeRow.next_id).where(TreeRow.owner_id == owner_id)).scalar()
        highest = connection.execute(select(func.max(ResourceRow.id)).where(ResourceRow.owner_id == owner_id)).scalar()
        if tree is None or frame != {ROOT_ID: (None, None), TRASH_ID: (ROOT_ID, None)}:
            self._book.add(Kind.TREE_BROKEN, whose, "its row, its root or its trash is missing or out of place")
            return tree is not None
        if highest is not None and highest >= tree:
            self._book.add(Kind.TREE_BROKEN, whose, f"the next id is {tree}, and {highest} is taken")
        return True

    def _names(self, connection: Connection, owner_id: int, whose: str) -> None:
        columns = select(ResourceRow.id, ResourceRow.name, ResourceRow.name_key)
        last = 0
        while True:
            page = columns.where(ResourceRow.owner_id == owner_id, ResourceRow.id > last).order_by(ResourceRow.id)
            rows = connection.execute(page.limit(PAGE)).all()
            for resource_id, name, name_key in rows:
                if wrong := _wrong_name(resource_id, name, name_key):
                    self._book.add(Kind.NAME_WRONG, f"{whose}, resource {resource_id}", f"{name!r}: {wrong}")
            self._book.checked["resources"] += len(rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].id

    def _locks(self, connection: Connection, owner_id: int, whose: str) -> None:
        now = self._clock()
        rows = connection.execute(select(LockRow.__table__).where(LockRow.owner_id == owner_id)).all()
        live = {row.token: active_lock(row) for row in rows if row.expires_at > now}
        if ended := len(rows) - len(live):
            self._book.add(Kind.LOCK_ENDED, whose, f"{ended} locks that ended bind nobody, and are removed by upkeep")
        for row in rows:
            lock = live.get(row.token)
            if lock is None:
                continue
            target = resolve(connection, owner_id, lock.root).target
            if target is None or target.id != row.resource_id or row.path_key != lock.root.key:
                self._book.add(
                    Kind.LOCK_WRONG, f"{whose}, lock on {row.path or '/'}", "another resource is at its path"
                )
        for path in _conflicts(live.values()):
            self._book.add(Kind.LOCK_WRONG, f"{whose}, lock on {path.encoded or '/'}", "it conflicts with another lock")

    def _waiting(self, connection: Connection, owner_id: int, whose: str) -> None:
        loose = (ResourceRow.owner_id == owner_id) & ResourceRow.parent_id.is_(None) & (ResourceRow.id != ROOT_ID)
        count = connection.execute(select(func.count()).select_from(ResourceRow).where(loose)).scalar_one()
        if count:
            self._book.add(Kind.PURGE_WAITING, whose, f"{count} resources, with all below them")

    def _settle(self, owner_id: int) -> bool:
        with self._database.write() as unit:
            open_change(unit, owner_id, self._clock())
            used = _usage(unit.connection, owner_id)[1]
            unit.connection.execute(update(TreeRow).where(TreeRow.owner_id == owner_id).values(used_bytes=used))
        return True

    def _note(self, owner_id: int, resource_id: int) -> bool:
        """Give a member of the trash an entry, as if it had been discarded now."""
        with self._database.write() as unit:
            change = open_change(unit, owner_id, self._clock())
            bound = {"owner": owner_id, "trash": TRASH_ID, "most": PAGE}
            names: dict[int, str] = {row.id: row.name for row in unit.connection.execute(_WITHOUT_ENTRY, bound)}
            if resource_id not in names:
                return True
            name = names[resource_id]
            values: Mapping[str, object] = {
                "owner_id": owner_id,
                "resource_id": resource_id,
                "name": name,
                "name_key": key_of(name),
                "origin": ResourcePath((name,)).encoded,
                "replaced_id": None,
                "discarded_at": change.now,
                "purge_at": change.now + _GRACE,
            }
            unit.connection.execute(insert(TrashEntryRow), values)
        return True

    def _unnote(self, owner_id: int, resource_id: int) -> bool:
        """Remove an entry whose resource is not in the trash."""
        in_trash = select(ResourceRow.id).where(ResourceRow.owner_id == owner_id, ResourceRow.parent_id == TRASH_ID)
        with self._database.write() as unit:
            open_change(unit, owner_id, self._clock())
            here = (TrashEntryRow.owner_id == owner_id) & (TrashEntryRow.resource_id == resource_id)
            unit.connection.execute(delete(TrashEntryRow).where(here, TrashEntryRow.resource_id.not_in(in_trash)))
        return True

    def _uncount(self, owner_id: int, resource_id: int) -> bool:
        """Have what lies in a member of the trash counted again by the next that asks."""
        with self._database.write() as unit:
            here = (TrashEntryRow.owner_id == owner_id) & (TrashEntryRow.resource_id == resource_id)
            forgotten = {"files": None, "size": None, "changes": TrashEntryRow.changes + 1}
            unit.connection.execute(update(TrashEntryRow).where(here).values(forgotten))
        return True


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A connection whose queries all see the same moment, and may take their time."""
    with database.read() as connection:
        if not database.is_sqlite:
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        yield connection


def _usage(connection: Connection, owner_id: int) -> tuple[int, int]:
    """What the tree's row says is used, and what is used."""
    revision = (RevisionRow.owner_id == ResourceRow.owner_id) & (RevisionRow.id == ResourceRow.revision_id)
    there = (
        select(func.coalesce(func.sum(RevisionRow.size), 0))
        .select_from(ResourceRow)
        .join(RevisionRow, revision)
        .where(ResourceRow.owner_id == owner_id)
    )
    row = connection.execute(
        select(TreeRow.used_bytes, there.scalar_subquery().label("there")).where(TreeRow.owner_id == owner_id)
    ).one()
    return row.used_bytes, int(row.there)


def _wrong_name(resource_id: int, name: str, name_key: str) -> str:
    """What is wrong with a name; empty when it is as it should be."""
    if resource_id == ROOT_ID:
        return "" if name == name_key == "" else "the root has no name"
    try:
        check_name(name)
    except DavserverError as error:
        return error.detail
    return "" if name_key == key_of(name) else "it is not matched by its own spelling"


def _conflicts(locks: Iterable[ActiveLock]) -> Iterator[ResourcePath]:
    """The roots of locks that should never have been granted beside another (RFC 4918 section 6.2)."""
    by_root: dict[str, list[ActiveLock]] = {}
    for lock in locks:
        by_root.setdefault(lock.root.key, []).append(lock)
    for lock in locks:
        path = lock.root
        above = [path, *(ResourcePath(path.names[:depth]) for depth in range(len(path.names)))]
        others = (other for place in above for other in by_root.get(place.key, ()) if other.token != lock.token)
        if any(covers(other, path) and LockScope.EXCLUSIVE in {lock.scope, other.scope} for other in others):
            yield path
