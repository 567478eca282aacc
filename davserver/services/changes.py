"""The pieces that every change of a tree is made of. For services only; all of them run inside one unit.

`open_change` comes first: it updates the tree's row, so that the tree has one writer at a time and all that is read after it
stays true until the commit.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from davserver.db.rows import TRASH_ID, BlobRow, ResourceRow, RevisionRow, TrashEntryRow, TreeRow, UserRow
from davserver.db.units import Unit
from davserver.domain.clock import Micros
from davserver.domain.errors import QuotaExceeded
from davserver.domain.paths import MAX_NAME_BYTES, ResourcePath, key_of
from davserver.domain.resource import Resource
from davserver.jobs.outbox import enqueue
from davserver.services.guards import drop_locks_within

REMOVE_BLOB: Final = "remove_blob"
"""The job that removes sealed bytes which no row refers to any more."""
LONGEST_EXTENSION: Final = 64
"""Bytes after the last dot of a name that are still taken for its extension."""
PURGE: Final = "purge"
"""The job that removes what was taken out of sight for good."""


@dataclass(slots=True)
class Change:
    """A change under way: the tree's one writer, and the ids and the room that it has taken."""

    unit: Unit
    owner_id: int
    now: Micros
    next_id: int
    used_bytes: int
    quota_bytes: int | None

    def take_ids(self, count: int = 1) -> int:
        """The first of `count` fresh ids."""
        first = self.next_id
        self.next_id += count
        self.unit.connection.execute(_SET_NEXT_ID, {"b_owner": self.owner_id, "b_next": self.next_id})
        return first

    def use(self, delta: int, *, reserved: int = 0) -> None:
        """Count `delta` more bytes (or fewer). Raises `QuotaExceeded`; `reserved` is what other uploads have announced."""
        if delta > 0 and self.quota_bytes is not None and self.used_bytes + reserved + delta > self.quota_bytes:
            raise QuotaExceeded
        if delta:
            self.used_bytes += delta
            self.unit.connection.execute(_ADD_USED, {"b_owner": self.owner_id, "b_delta": delta})


_OPEN = (
    update(TreeRow)
    .where(TreeRow.owner_id == bindparam("b_owner"))
    .values(version=TreeRow.version + 1, next_id=TreeRow.next_id + bindparam("b_ids"))
    .returning(TreeRow.next_id, TreeRow.used_bytes)
)
_SET_NEXT_ID = update(TreeRow).where(TreeRow.owner_id == bindparam("b_owner")).values(next_id=bindparam("b_next"))
_ADD_USED = (
    update(TreeRow)
    .where(TreeRow.owner_id == bindparam("b_owner"))
    .values(used_bytes=TreeRow.used_bytes + bindparam("b_delta"))
)
_READ_QUOTA = select(UserRow.quota_bytes).where(UserRow.id == bindparam("b_owner"))


def open_change(unit: Unit, owner_id: int, now: Micros, *, ids: int = 0) -> Change:
    """Become the one writer of the owner's tree until the unit ends, with `ids` fresh ids from `Change.next_id - ids` on."""
    row = unit.connection.execute(_OPEN, {"b_owner": owner_id, "b_ids": ids}).one()
    quota = unit.connection.execute(_READ_QUOTA, {"b_owner": owner_id}).scalar_one()
    return Change(unit, owner_id, now, row.next_id, row.used_bytes, quota)


_TOUCH = (
    update(ResourceRow)
    .where(ResourceRow.owner_id == bindparam("b_owner"), ResourceRow.id == bindparam("b_id"))
    .values(modified_at=bindparam("b_now"))
)


def touch(change: Change, collection: Resource) -> None:
    """Note that the membership of a collection changed."""
    params = {"b_owner": change.owner_id, "b_id": collection.id, "b_now": change.now}
    change.unit.connection.execute(_TOUCH, params)


def insert_resource(
    change: Change,
    *,
    resource_id: int,
    parent_id: int,
    name: str,
    revision_id: int | None,
    created_at: Micros,
    modified_at: Micros,
) -> None:
    """Add a member to a collection."""
    change.unit.connection.execute(
        _INSERT_RESOURCE,
        {
            "owner_id": change.owner_id,
            "id": resource_id,
            "parent_id": parent_id,
            "name": name,
            "name_key": key_of(name),
            "revision_id": revision_id,
            "created_at": created_at,
            "modified_at": modified_at,
        },
    )


_INSERT_RESOURCE = insert(ResourceRow)


def discard(
    change: Change, path: ResourcePath, resource: Resource, retention: Micros, *, keep_locks: bool = False
) -> None:
    """Move what is at `path`, with all below it, into the trash: one row, however much is under it."""
    connection = change.unit.connection
    if not keep_locks:
        drop_locks_within(connection, change.owner_id, path)
    name = free_name_in_trash(change, resource.name)
    connection.execute(
        update(ResourceRow)
        .where(ResourceRow.owner_id == change.owner_id, ResourceRow.id == resource.id)
        .values(parent_id=TRASH_ID, name=name, name_key=key_of(name))
    )
    note_in_trash(change, path, resource.id, retention)


def note_in_trash(
    change: Change, path: ResourcePath, resource_id: int, retention: Micros, *, replaced_id: int | None = None
) -> None:
    """Write down where a new member of the trash came from and when it goes."""
    change.unit.connection.execute(
        insert(TrashEntryRow),
        {
            "owner_id": change.owner_id,
            "resource_id": resource_id,
            "name": path.name,
            "name_key": key_of(path.name),
            "origin": path.encoded,
            "replaced_id": replaced_id,
            "discarded_at": change.now,
            "purge_at": change.now + retention,
        },
    )


def free_name_in_trash(change: Change, name: str) -> str:
    """The name, or the name with a number before its extension when something of that name lies in the trash."""
    connection = change.unit.connection
    same = (TrashEntryRow.owner_id == change.owner_id) & (TrashEntryRow.name_key == key_of(name))
    count = connection.execute(select(func.count()).where(same)).scalar_one()
    candidate = name
    while _is_in_trash(change, candidate):
        count += 1
        candidate = _numbered(name, count)
    return candidate


def _is_in_trash(change: Change, name: str) -> bool:
    taken = select(ResourceRow.id).where(
        ResourceRow.owner_id == change.owner_id,
        ResourceRow.parent_id == TRASH_ID,
        ResourceRow.name_key == key_of(name),
    )
    return change.unit.connection.execute(taken).first() is not None


def _numbered(name: str, number: int) -> str:
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > LONGEST_EXTENSION:
        stem, dot, extension = name, "", ""
    suffix = f" ({number}){dot}{extension}"
    # A name near the limit is cut, not refused: discarding must always work.
    while len((stem + suffix).encode()) > MAX_NAME_BYTES or len(key_of(stem + suffix).encode()) > MAX_NAME_BYTES:
        stem = stem[:-1]
    return stem + suffix


def release_revision(change: Change, revision_id: int) -> None:
    """Remove a revision, and its blob, unless some resource still refers to it.

    What the quota gets back is for the caller to count: it counts every resource's content, shared or not.
    """
    connection = change.unit.connection
    row = connection.execute(
        delete(RevisionRow)
        .where(
            RevisionRow.owner_id == change.owner_id,
            RevisionRow.id == revision_id,
            ~select(ResourceRow.id)
            .where(ResourceRow.owner_id == change.owner_id, ResourceRow.revision_id == revision_id)
            .exists(),
        )
        .returning(RevisionRow.blob_id)
    ).first()
    if row is None:
        return
    removed = connection.execute(
        delete(BlobRow)
        .where(BlobRow.id == row.blob_id, ~select(RevisionRow.id).where(RevisionRow.blob_id == row.blob_id).exists())
        .returning(BlobRow.id, BlobRow.sealed.is_(None).label("in_store"))
    ).first()
    if removed is not None and removed.in_store:
        enqueue(change.unit, REMOVE_BLOB, {"blob_id": removed.id}, change.now)
