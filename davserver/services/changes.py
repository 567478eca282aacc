"""The pieces that every change of a tree is made of. For services only; all of them run inside one unit.

`open_change` comes first: it updates the tree's row, so that the tree has one writer at a time and all that is read after it
stays true until the commit.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, update

from davserver.db.rows import TRASH_ID, BlobRow, PreviewRow, ResourceRow, RevisionRow, TrashEntryRow, TreeRow, UserRow
from davserver.db.statements import Statement
from davserver.db.units import Unit
from davserver.domain.clock import Micros
from davserver.domain.errors import QuotaExceeded, Unauthenticated
from davserver.domain.paths import MAX_NAME_BYTES, ResourcePath, key_of
from davserver.domain.principal import Door, Principal
from davserver.domain.resource import Resource
from davserver.jobs.outbox import enqueue
from davserver.services.credentials import check_credential
from davserver.services.guards import drop_locks_within
from davserver.services.quota import reserved_bytes

REMOVE_BLOBS: Final = "remove_blobs"
"""The job that removes sealed bytes from the store, of blobs that no row refers to any more."""
LONGEST_EXTENSION: Final = 64
"""Bytes after the last dot of a name that are still taken for its extension."""
PURGE: Final = "purge"
"""The job that removes what an owner had taken out of sight for good."""
_BLOBS_A_JOB: Final = 200


@dataclass(slots=True)
class Change:
    """A change under way: the tree's one writer, and the ids and the room that it has taken."""

    unit: Unit
    owner_id: int
    now: Micros
    next_id: int
    used_bytes: int
    quota_bytes: int | None
    trash_retention: Micros | None
    """What the owner set; see `keeps_for`."""
    is_disabled: bool
    """Whether the owner's account was disabled."""

    def keeps_for(self, retention: Micros) -> Micros:
        """How long the owner's trash keeps what the server would keep for `retention`."""
        return retention if self.trash_retention is None else min(retention, self.trash_retention)

    def check_enabled(self, who: Principal) -> None:
        """Raise `Unauthenticated` when the owner was shut out since the request of `who` began."""
        if self.is_disabled and who.origin.door is not Door.CLI:
            raise Unauthenticated("The account was disabled; nothing was changed.")

    def take_ids(self, count: int = 1) -> int:
        """The first of `count` fresh ids."""
        first = self.next_id
        self.next_id += count
        _SET_NEXT_ID.run(self.unit.connection, {"b_owner": self.owner_id, "b_next": self.next_id})
        return first

    def settle(self, ids: int, delta: int) -> int:
        """Take `ids` ids and count `delta` bytes, which were seen to have room, in one statement. The first of the ids."""
        first = self.next_id
        self.next_id += ids
        self.used_bytes += delta
        params = {"b_owner": self.owner_id, "b_next": self.next_id, "b_delta": delta}
        _SETTLE.run(self.unit.connection, params)
        return first

    def use(self, delta: int) -> None:
        """Count `delta` more bytes (or fewer). Raises `QuotaExceeded`, also when it is uploads that have reserved the room."""
        if delta > 0 and self.quota_bytes is not None:
            reserved = reserved_bytes(self.unit.connection, self.owner_id)
            if self.used_bytes + reserved + delta > self.quota_bytes:
                raise QuotaExceeded
        if delta:
            self.used_bytes += delta
            _ADD_USED.run(self.unit.connection, {"b_owner": self.owner_id, "b_delta": delta})


_OPEN = Statement(
    update(TreeRow)
    .where(TreeRow.owner_id == bindparam("b_owner"))
    .values(version=TreeRow.version + 1, next_id=TreeRow.next_id + bindparam("b_ids"))
    .returning(TreeRow.next_id, TreeRow.used_bytes)
)
_SET_NEXT_ID = Statement(
    update(TreeRow).where(TreeRow.owner_id == bindparam("b_owner")).values(next_id=bindparam("b_next"))
)
_ADD_USED = Statement(
    update(TreeRow)
    .where(TreeRow.owner_id == bindparam("b_owner"))
    .values(used_bytes=TreeRow.used_bytes + bindparam("b_delta"))
)
_READ_SETTINGS = Statement(
    select(UserRow.quota_bytes, UserRow.trash_retention, UserRow.disabled_at).where(UserRow.id == bindparam("b_owner"))
)
_SETTLE = Statement(
    update(TreeRow)
    .where(TreeRow.owner_id == bindparam("b_owner"))
    .values(next_id=bindparam("b_next"), used_bytes=TreeRow.used_bytes + bindparam("b_delta"))
)


def open_change(unit: Unit, who: Principal | int, now: Micros, *, ids: int = 0) -> Change:
    """Become the one writer of the owner's tree until the unit ends, with `ids` fresh ids from `Change.next_id - ids` on.

    By the id of the owner it is the server itself that changes. Raises `ReadOnlyToken`, and `Unauthenticated` when what
    somebody came with was revoked since their request began: what is under way then is not committed.
    """
    if isinstance(who, Principal):
        who.check_write()
        check_credential(unit.connection, who, now)
        owner_id = who.owner_id
    else:
        owner_id = who
    held = hold_tree(unit, owner_id, ids=ids)
    change = ask_change(unit, owner_id, held, now)()
    if isinstance(who, Principal):
        change.check_enabled(who)
    return change


def hold_tree(unit: Unit, owner_id: int, *, ids: int = 0) -> tuple[int, int]:
    """The first half of `open_change`: become the tree's one writer. What `ask_change` needs of the tree."""
    next_id, used_bytes = _OPEN.one(unit.connection, {"b_owner": owner_id, "b_ids": ids})
    return next_id, used_bytes


def ask_change(unit: Unit, owner_id: int, held: tuple[int, int], now: Micros) -> Callable[[], Change]:
    """The second half: ask for what is set for the owner. Call what is returned to wait for the answer.

    Not in one statement with the first: that one may wait, and would tell what was set when it began to.
    """
    asked = _READ_SETTINGS.ask(unit.connection, {"b_owner": owner_id})

    def change() -> Change:
        row = asked.first()
        if row is None:
            raise LookupError(f"there is no user {owner_id}")
        return Change(unit, owner_id, now, *held, row.quota_bytes, row.trash_retention, row.disabled_at is not None)

    return change


_TOUCH = Statement(
    update(ResourceRow)
    .where(ResourceRow.owner_id == bindparam("b_owner"), ResourceRow.id == bindparam("b_id"))
    .values(modified_at=bindparam("b_now"))
)


def touch(change: Change, collection: Resource) -> None:
    """Note that the membership of a collection changed."""
    _touch(change, collection.id)


def touch_trash(change: Change) -> None:
    """Note that something came into the trash or left it."""
    _touch(change, TRASH_ID)


def _touch(change: Change, resource_id: int) -> None:
    params = {"b_owner": change.owner_id, "b_id": resource_id, "b_now": change.now}
    _TOUCH.run(change.unit.connection, params)


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
    _INSERT_RESOURCE.run(
        change.unit.connection,
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


def insert_resources(change: Change, resources: Sequence[Resource]) -> None:
    """Add members to collections, as they are."""
    _INSERT_RESOURCE.run_many(
        change.unit.connection,
        [
            {
                "owner_id": change.owner_id,
                "id": resource.id,
                "parent_id": resource.parent_id,
                "name": resource.name,
                "name_key": key_of(resource.name),
                "revision_id": None if resource.revision is None else resource.revision.id,
                "created_at": resource.created_at,
                "modified_at": resource.modified_at,
            }
            for resource in resources
        ],
    )


_INSERT_RESOURCE = Statement(
    insert(ResourceRow),
    columns=("owner_id", "id", "parent_id", "name", "name_key", "revision_id", "created_at", "modified_at"),
)


_SET_PLACE = Statement(
    update(ResourceRow)
    .where(ResourceRow.owner_id == bindparam("b_owner"), ResourceRow.id == bindparam("b_id"))
    .values(parent_id=bindparam("b_parent"), name=bindparam("b_name"), name_key=bindparam("b_key"))
)


def set_place(change: Change, resource_id: int, parent_id: int, name: str) -> None:
    """Make a resource the member `name` of a collection, with all below it: one row, however much that is."""
    params = {"b_owner": change.owner_id, "b_id": resource_id}
    place = {"b_parent": parent_id, "b_name": name, "b_key": key_of(name)}
    _SET_PLACE.run(change.unit.connection, {**params, **place})


def discard(change: Change, path: ResourcePath, resource: Resource, retention: Micros) -> None:
    """Move what is at `path`, with all below it, into the trash. With a retention of 0 it goes for good."""
    drop_locks_within(change.unit.connection, change.owner_id, path)
    if change.keeps_for(retention) <= 0:
        sever(change, [resource.id])
        return
    set_place(change, resource.id, TRASH_ID, free_name_in_trash(change, resource.name))
    note_in_trash(change, path, resource.id, retention)


def sever(change: Change, resource_ids: Collection[int]) -> None:
    """Take resources out of sight for good, with all below them. A job removes the rows, and then the bytes."""
    connection = change.unit.connection
    here = (ResourceRow.owner_id == change.owner_id) & ResourceRow.id.in_(resource_ids)
    connection.execute(update(ResourceRow).where(here).values(parent_id=None))
    forget_in_trash(change, resource_ids)
    enqueue(change.unit, PURGE, {"owner_id": change.owner_id}, change.now)


def sever_trash(change: Change) -> None:
    """Take all that is in the trash out of sight for good, in as many statements as one resource takes."""
    connection = change.unit.connection
    sever_members(change, TRASH_ID)
    connection.execute(delete(TrashEntryRow).where(TrashEntryRow.owner_id == change.owner_id))
    touch_trash(change)
    enqueue(change.unit, PURGE, {"owner_id": change.owner_id}, change.now)


def sever_members(change: Change, collection_id: int) -> None:
    """Take the members of a collection out of sight, all but the trash; what has them removed, the caller causes."""
    here = (ResourceRow.owner_id == change.owner_id) & (ResourceRow.parent_id == collection_id)
    members = update(ResourceRow).where(here, ResourceRow.id != TRASH_ID)
    change.unit.connection.execute(members.values(parent_id=None))


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
            "purge_at": change.now + change.keeps_for(retention),
        },
    )
    touch_trash(change)


def forget_in_trash(change: Change, resource_ids: Collection[int]) -> None:
    """These resources are no roots in the trash any more, if they were."""
    here = (TrashEntryRow.owner_id == change.owner_id) & TrashEntryRow.resource_id.in_(resource_ids)
    if change.unit.connection.execute(delete(TrashEntryRow).where(here)).rowcount:
        touch_trash(change)


def taken_from_trash(change: Change, found: Sequence[Resource]) -> None:
    """Something at the end of this way down from the root leaves the trash: a member, or a part of one, to be counted anew."""
    if len(found) == 3:
        forget_in_trash(change, [found[-1].id])
        return
    here = (TrashEntryRow.owner_id == change.owner_id) & (TrashEntryRow.resource_id == found[2].id)
    counted = update(TrashEntryRow).where(here)
    change.unit.connection.execute(counted.values(files=None, size=None, changes=TrashEntryRow.changes + 1))


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


def release_revisions(change: Change, revision_ids: Collection[int]) -> None:
    """Remove those of the revisions that no resource refers to any more, and their blobs. The caller settles the quota."""
    connection = change.unit.connection
    gone = connection.execute(
        delete(RevisionRow)
        .where(
            RevisionRow.owner_id == change.owner_id,
            RevisionRow.id.in_(revision_ids),
            ~select(ResourceRow.id)
            .where(ResourceRow.owner_id == change.owner_id, ResourceRow.revision_id == RevisionRow.id)
            .exists(),
        )
        .returning(RevisionRow.id, RevisionRow.blob_id)
    ).all()
    if gone:
        remove_previews(change.unit, change.owner_id, [row.id for row in gone], change.now)
    removed = connection.execute(
        delete(BlobRow)
        .where(
            BlobRow.id.in_([row.blob_id for row in gone]),
            ~select(RevisionRow.id).where(RevisionRow.blob_id == BlobRow.id).exists(),
        )
        # Not `sealed IS NULL`: SQLite 3.40 says 0 to that in a RETURNING, whatever the row held.
        .returning(BlobRow.id, func.length(BlobRow.sealed).label("kept_here"))
    )
    enqueue_removal(change.unit, [row.id for row in removed if row.kept_here is None], change.now)


def remove_previews(unit: Unit, owner_id: int, revision_ids: Sequence[int], now: Micros) -> None:
    """Remove the previews of revisions that are gone, and what is sealed of them."""
    connection = unit.connection
    own = (PreviewRow.owner_id == owner_id) & PreviewRow.revision_id.in_(revision_ids)
    gone = connection.execute(delete(PreviewRow).where(own).returning(PreviewRow.blob_id)).scalars().all()
    blob_ids = [blob_id for blob_id in gone if blob_id is not None]
    if not blob_ids:
        return
    removed = connection.execute(
        delete(BlobRow)
        .where(BlobRow.id.in_(blob_ids))
        .returning(BlobRow.id, func.length(BlobRow.sealed).label("kept_here"))
    ).all()
    enqueue_removal(unit, [row.id for row in removed if row.kept_here is None], now)


def enqueue_removal(unit: Unit, blob_ids: Sequence[str], now: Micros) -> None:
    """Have these blobs removed from the store, a number of them a job."""
    for start in range(0, len(blob_ids), _BLOBS_A_JOB):
        enqueue(unit, REMOVE_BLOBS, {"blob_ids": blob_ids[start : start + _BLOBS_A_JOB]}, now)
