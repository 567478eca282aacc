"""The tree: finding, listing, making, moving, copying and discarding resources.

A change is one unit with the tree's row updated first, so that conditions, locks, names and quota are checked against what
will still be true at the commit. MOVE and DELETE touch one resource row however much is below; COPY shares revisions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select

from davserver.db.rows import FIRST_FREE_ID, ROOT_ID, TRASH_ID, ResourceRow, TreeRow, UserRow
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, Clock, Micros
from davserver.domain.conditions import NO_CONDITIONS, Preconditions
from davserver.domain.errors import (
    AlreadyExists,
    DestinationHoldsSource,
    DestinationInsideSource,
    Forbidden,
    IsCollection,
    ParentMissing,
    PathTooDeep,
    PreconditionFailed,
    SameResource,
)
from davserver.domain.lock import ActiveLock
from davserver.domain.paths import DEFAULT_MAX_DEPTH, ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource, Usage
from davserver.services.activity import record
from davserver.services.changes import (
    Change,
    discard,
    insert_resource,
    open_change,
    set_place,
    sever,
    sever_trash,
    taken_from_trash,
    touch,
)
from davserver.services.copying import copy_subtree
from davserver.services.guards import Touch, check_change, check_conditions, drop_locks_within, locks_around, state_of
from davserver.services.listing import Depth, Entry, Listing, Wanted, entries
from davserver.services.lookup import Chain, descendants_of, height_of, members_of, resolve
from davserver.services.properties import dead_properties
from davserver.services.quota import reserved_bytes
from davserver.services.scanned import refuse_infected, scan_reports
from davserver.services.trashed import discarded_roots, newest_first

__all__ = ["Depth", "Entry", "Listing", "Tree", "TreeSettings", "Wanted", "plant"]


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """What an operator may set about trees."""

    trash_retention: Micros = 24 * HOUR
    max_depth: int = DEFAULT_MAX_DEPTH
    """Levels of a path. What lies deeper could be listed and not be reached."""


def plant(unit: Unit, owner_id: int, now: Micros) -> None:
    """Give a new user an empty tree, with its root and its trash."""
    unit.connection.execute(
        insert(TreeRow), {"owner_id": owner_id, "version": 1, "next_id": FIRST_FREE_ID, "used_bytes": 0}
    )
    root = {"owner_id": owner_id, "id": ROOT_ID, "parent_id": None, "name": "", "name_key": ""}
    trash = {"owner_id": owner_id, "id": TRASH_ID, "parent_id": ROOT_ID, "name": TRASH_NAME, "name_key": TRASH_NAME}
    times = {"revision_id": None, "created_at": now, "modified_at": now}
    unit.connection.execute(insert(ResourceRow), [{**root, **times}, {**trash, **times}])


TRASH_NAME: Final = ".trash"
_IN_TRASH: Final = "Nothing is written in the trash. Move what is here out of it to restore it."
_WITHIN_TRASH: Final = "What is in the trash stays as it was. Move it out of the trash to restore it."


class Tree:
    """Use cases on users' trees. `free_bytes` tells what the store has left, or None when it cannot say."""

    def __init__(
        self, database: Database, clock: Clock, settings: TreeSettings, free_bytes: Callable[[], int | None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._free_bytes = free_bytes

    def find(self, principal: Principal, path: ResourcePath) -> Resource:
        """The resource at `path`. Raises `NotFound`."""
        with self._database.read() as connection:
            return resolve(connection, principal, path).must_exist()

    def check(self, principal: Principal, path: ResourcePath, preconditions: Preconditions) -> None:
        """Evaluate the If header for a method that only reads. Raises `PreconditionFailed`."""
        if not preconditions.if_lists:
            return
        with self._database.read() as connection:
            chain = resolve(connection, principal, path)
            around = [path, *preconditions.tagged_paths]
            locks = locks_around(connection, principal.owner_id, around, self._clock(), below=False)
            check_conditions(connection, principal, chain, preconditions, locks)

    def listing(self, principal: Principal, path: ResourcePath, depth: Depth, wanted: Wanted) -> Listing:
        """A resource with its members (`ONE`) or all below it (`INFINITY`), in a fixed number of queries.

        The trash is one of the root's members, unless the principal hides it, but nothing of it is below the root with
        `INFINITY`. What is in it is listed when the listing starts there, newest first. Raises `NotFound`.
        """
        with self._database.read() as connection:
            chain = resolve(connection, principal, path)
            target = chain.must_exist()
            below: Iterable[Resource] = ()
            if target.is_collection and depth is not Depth.ZERO:
                below = (members_of if depth is Depth.ONE else descendants_of)(connection, target)
            resources = [target, *below]
            if target.id == ROOT_ID and principal.hides_trash:
                resources = [resource for resource in resources if resource.id != TRASH_ID]
            discarded = discarded_roots(connection, target) if chain.is_in_trash else {}
            if chain.is_trash:
                resources = newest_first(resources, discarded)
            dead = dead_properties(connection, target, depth) if wanted.dead else {}
            scans = scan_reports(connection, target, depth) if wanted.scans else {}
            locks: tuple[ActiveLock, ...] = ()
            if wanted.locks:
                locks = locks_around(
                    connection, principal.owner_id, [path], self._clock(), below=depth is not Depth.ZERO
                )
        usage = self.usage(principal) if wanted.usage else None
        shown = None if usage is None or usage.is_hidden else usage
        return Listing(entries(path, resources, dead, locks, discarded, scans), shown)

    def usage(self, principal: Principal) -> Usage:
        """What the principal's tree uses and may still use, in bytes (RFC 4331)."""
        with self._database.read() as connection:
            row = connection.execute(
                select(TreeRow.used_bytes, UserRow.quota_bytes, UserRow.hides_quota)
                .join(UserRow, UserRow.id == TreeRow.owner_id)
                .where(TreeRow.owner_id == principal.owner_id)
            ).one()
            reserved = reserved_bytes(connection, principal.owner_id)
        left = None if row.quota_bytes is None else row.quota_bytes - row.used_bytes - reserved
        limits = [n for n in (self._free_bytes(), left) if n is not None]
        return Usage(row.used_bytes, max(0, min(limits)) if limits else None, row.hides_quota)

    def make_collection(
        self,
        principal: Principal,
        path: ResourcePath,
        preconditions: Preconditions = NO_CONDITIONS,
        *,
        modified_at: Micros | None = None,
    ) -> Resource:
        """MKCOL (RFC 4918 section 9.3). Raises `AlreadyExists`, `ParentMissing`, `Locked`, `PreconditionFailed`, `Forbidden`."""
        principal.check_write()
        with self._database.read() as connection:
            # Sync programs make each folder again with every file in it: that takes no turn among the writers.
            if resolve(connection, principal, path).target is not None:
                raise AlreadyExists
        with self._database.write() as unit:
            change = open_change(unit, principal, self._clock(), ids=1)
            chain = resolve(unit.connection, principal, path)
            if chain.target is not None:
                raise AlreadyExists
            parent = writable_parent(chain)
            check_change(unit.connection, principal, [Touch(chain, membership=True)], preconditions, change.now)
            insert_resource(
                change,
                resource_id=change.next_id - 1,
                parent_id=parent.id,
                name=path.name,
                revision_id=None,
                created_at=change.now,
                modified_at=change.now if modified_at is None else modified_at,
            )
            touch(change, parent)
            record(unit, principal, Action.COLLECTION_MADE, change.now, path)
            return resolve(unit.connection, principal, path).must_exist()

    def discard(self, principal: Principal, path: ResourcePath, preconditions: Preconditions = NO_CONDITIONS) -> None:
        """DELETE (RFC 4918 section 9.6): move what is at `path` to the trash. What is there already goes for good.

        DELETE of the trash itself empties it. Raises `NotFound`, `Locked`, `PreconditionFailed`, `Forbidden` (the root).
        """
        with self._database.write() as unit:
            change = open_change(unit, principal, self._clock())
            chain = resolve(unit.connection, principal, path)
            target = chain.must_exist()
            if target.parent_id is None:
                raise Forbidden("The root of a drive cannot be deleted.")
            touched = Touch(chain, membership=not chain.is_trash, subtree=True)
            check_change(unit.connection, principal, [touched], preconditions, change.now)
            if chain.is_trash:
                sever_trash(change)
                record(unit, principal, Action.TRASH_EMPTIED, change.now)
                return
            if chain.is_in_trash:
                taken_from_trash(change, chain.found)
                sever(change, [target.id])
            else:
                discard(change, path, target, self._settings.trash_retention)
            touch(change, chain.found[-2])
            record(unit, principal, Action.PURGED if chain.is_in_trash else Action.DELETED, change.now, path)

    def copy(
        self,
        principal: Principal,
        source: ResourcePath,
        destination: ResourcePath,
        *,
        overwrite: bool,
        deep: bool,
        preconditions: Preconditions = NO_CONDITIONS,
    ) -> bool:
        """COPY (RFC 4918 section 9.8): new resources over the same revisions; no content is moved.

        Returns whether the destination was created rather than replaced. Raises `NotFound`, `ParentMissing`, `SameResource`,
        `DestinationInsideSource` (deep only), `DestinationHoldsSource`, `PreconditionFailed`, `Locked`, `QuotaExceeded`,
        `Infected`, `PathTooDeep`.
        """
        with self._database.write() as unit:
            change = open_change(unit, principal, self._clock())
            origin = resolve(unit.connection, principal, source)
            target = origin.must_exist()
            if deep and target.is_collection:
                _refuse_inside(source, destination)
                refuse_too_deep(change, target.id, destination, self._settings.max_depth)
            refuse_infected(unit.connection, target, deep=deep)
            goal = self._clear_the_way(change, principal, origin, destination, overwrite, preconditions, moving=False)
            parent = writable_parent(goal)
            copy_subtree(change, target, parent, destination.name, deep=deep)
            touch(change, parent)
            record(unit, principal, Action.COPIED, change.now, source, to=destination)
            return goal.target is None

    def move(
        self,
        principal: Principal,
        source: ResourcePath,
        destination: ResourcePath,
        *,
        overwrite: bool,
        preconditions: Preconditions = NO_CONDITIONS,
    ) -> bool:
        """MOVE (RFC 4918 section 9.9): one row changes, however much is below it. Locks stay behind and end.

        Out of the trash it restores; into the trash it is what DELETE is, under whatever name.

        Returns whether the destination was created rather than replaced. Raises as `copy` does.
        """
        with self._database.write() as unit:
            change = open_change(unit, principal, self._clock())
            origin = resolve(unit.connection, principal, source)
            target = origin.must_exist()
            if target.id in {ROOT_ID, TRASH_ID}:
                raise Forbidden("The root of a drive and its trash cannot be moved.")
            if resolve(unit.connection, principal, destination).is_in_trash:
                self._move_to_trash(change, principal, origin, destination, preconditions)
                return True
            _refuse_inside(source, destination)
            if origin.is_in_trash or len(destination.names) > len(source.names):
                refuse_too_deep(change, target.id, destination, self._settings.max_depth)
            goal = self._clear_the_way(change, principal, origin, destination, overwrite, preconditions, moving=True)
            parent = writable_parent(goal)
            drop_locks_within(unit.connection, principal.owner_id, source)
            set_place(change, target.id, parent.id, destination.name)
            if origin.is_in_trash:
                taken_from_trash(change, origin.found)
            for collection in {origin.found[-2].id: origin.found[-2], parent.id: parent}.values():
                touch(change, collection)
            action = Action.RESTORED if origin.is_in_trash else Action.MOVED
            record(unit, principal, action, change.now, source, to=destination)
            return goal.target is None

    def _move_to_trash(
        self,
        change: Change,
        principal: Principal,
        origin: Chain,
        destination: ResourcePath,
        preconditions: Preconditions,
    ) -> None:
        if origin.is_in_trash:
            raise Forbidden(_WITHIN_TRASH)
        if len(destination.names) > 2:
            raise Forbidden("What is moved to the trash goes to its top, not into what is there.")
        touched = Touch(origin, membership=True, subtree=True)
        check_change(change.unit.connection, principal, [touched], preconditions, change.now)
        discard(change, origin.path, origin.must_exist(), self._settings.trash_retention)
        touch(change, origin.found[-2])
        record(change.unit, principal, Action.DELETED, change.now, origin.path)

    def _clear_the_way(
        self,
        change: Change,
        principal: Principal,
        origin: Chain,
        destination: ResourcePath,
        overwrite: bool,
        preconditions: Preconditions,
        *,
        moving: bool,
    ) -> Chain:
        """Check everything about a COPY or MOVE, and discard what stands at the destination."""
        connection = change.unit.connection
        goal = resolve(connection, principal, destination)
        if goal.target is not None and goal.target.id == origin.must_exist().id:
            raise SameResource
        if origin.path.is_within(destination):
            raise DestinationHoldsSource
        if goal.target is not None and not overwrite:
            raise PreconditionFailed("The destination exists, and Overwrite is F.")
        writable_parent(goal)
        touches = [
            Touch(origin, membership=True, subtree=True) if moving else Touch(origin),
            Touch(goal, membership=goal.target is None, subtree=goal.target is not None),
        ]
        if not moving:
            # COPY does not write its source: only the conditions are evaluated there, no lock stands in the way.
            around = [origin.path, *preconditions.tagged_paths]
            locks = locks_around(connection, principal.owner_id, around, change.now, below=False)
            check_conditions(connection, principal, origin, preconditions, locks)
            preconditions.check_write(state_of(origin, locks))
            preconditions = Preconditions(tokens=preconditions.tokens)
            touches = touches[1:]
        check_change(connection, principal, touches, preconditions, change.now)
        if goal.target is not None:
            discard(change, destination, goal.target, self._settings.trash_retention)
        return goal


def writable_parent(chain: Chain) -> Resource:
    """The collection that a new member of `chain.path` goes into. Raises `ParentMissing`, or `Forbidden` in the trash."""
    if chain.path.is_root:
        raise Forbidden("The root of a drive cannot be replaced.")
    if chain.is_in_trash:
        raise Forbidden(_IN_TRASH)
    if chain.parent is None:
        raise ParentMissing
    return chain.parent


def check_file_place(chain: Chain) -> None:
    """Raise unless a file may be put at `chain.path`: `IsCollection`, and what `writable_parent` does."""
    if chain.target is not None and chain.target.is_collection:
        raise IsCollection
    writable_parent(chain)


def refuse_too_deep(change: Change, resource_id: int, destination: ResourcePath, max_depth: int) -> None:
    """Raise `PathTooDeep` when something below the resource would lie too deep at the destination."""
    if len(destination.names) + height_of(change.unit.connection, change.owner_id, resource_id) > max_depth:
        raise PathTooDeep(f"What is below would lie deeper than {max_depth} levels.")


def _refuse_inside(source: ResourcePath, destination: ResourcePath) -> None:
    if destination.keys == source.keys:
        raise SameResource
    if destination.is_within(source):
        raise DestinationInsideSource
