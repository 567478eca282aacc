"""Files that are put at the same time are stored together: in one unit, with one wait for the disk. For services only.

The content of a small file is sealed and at hand before its turn comes, so a PUT of one is rows and nothing else. One of a
larger file comes twice: to write down that an upload begins, and when its bytes are in the store. All that wait in this process
for the same writer's lock (of SQLite, or of the same tree) go into one unit. Each is checked as ever, gets an answer of its own,
and is answered when that unit is durable; one that is refused changes nothing and harms no other.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from davserver.crypto.segments import Random
from davserver.db.together import Together
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import Clock
from davserver.domain.conditions import Preconditions
from davserver.domain.errors import DavserverError, QuotaExceeded, Unavailable
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource, Revision
from davserver.services.activity import record, record_uploads
from davserver.services.attaching import (
    PutDetails,
    SealedContent,
    Stored,
    insert_revisions,
    make_file,
    make_revision,
)
from davserver.services.changes import Change, ask_change, hold_tree, insert_resources, touch
from davserver.services.credentials import check_credential
from davserver.services.guards import Touch, ask_for_locks, check_change, check_conditions, state_of
from davserver.services.lookup import Chain, ask_for_all, resolve
from davserver.services.quota import reserved_bytes
from davserver.services.tree import check_file_place
from davserver.services.uploads import Beginning, ask_for_reserved, end_held, finish, write_down

log = logging.getLogger(__name__)

Attach = Callable[[Change, Chain, SealedContent, PutDetails], Chain]

_IDS: Final = 2
"""Of the tree, for a new file: its revision and itself."""


@dataclass(frozen=True, slots=True)
class Put:
    """A PUT whose sealed content is at hand, or in the store."""

    principal: Principal
    path: ResourcePath
    content: SealedContent
    details: PutDetails
    preconditions: Preconditions
    is_upload: bool = False
    """Whether its content lies in the store, by an upload that was begun and ends with this."""

    @property
    def owner_id(self) -> int:
        """Whose tree it changes."""
        return self.principal.owner_id


Item = Put | Beginning
Outcome = Stored | int | None | Exception
"""Of a beginning, how many bytes the quota had room for; None without a quota."""


class Puts:
    """`attach` makes content the file at a path, new or not (`attaching.attach`)."""

    def __init__(self, database: Database, clock: Clock, random: Random, attach: Attach, *, scans: bool) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._attach = attach
        self._scans = scans
        self._together: Together[int | None, Item, Stored | int | None] = Together(self._work)

    def begin(self, beginning: Beginning) -> int | None:
        """Write down that an upload begins, and reserve its room, with others that wait. Raises `QuotaExceeded`.

        Returns the bytes that the quota has room for, None without a quota.
        """
        left = self._together.do(self._line_of(beginning), beginning)
        assert not isinstance(left, Stored)  # noqa: S101 - for the type checker
        return left

    def store(self, put: Put) -> Stored:
        """Store it, with others that wait. Raises what `Content.put` does."""
        stored = self._together.do(self._line_of(put), put)
        assert isinstance(stored, Stored)  # noqa: S101 - for the type checker
        return stored

    def _line_of(self, item: Item) -> int | None:
        # Two trees in one unit would be two locks, which two processes might take in different order; SQLite has one.
        return None if self._database.is_sqlite else item.owner_id

    def _work(self, owner_id: int | None, take: Callable[[], Sequence[Item]]) -> Sequence[Outcome]:
        items: Sequence[Item] = ()
        try:
            with self._database.write_in_packets() as unit:
                # Whoever comes while we wait for the tree's lock still comes along.
                held = {} if owner_id is None else {owner_id: hold_tree(unit, owner_id)}
                items = take()
                outcomes = self._store(unit, held, items)
                _NothingStored.unless_something(outcomes)
        except _NothingStored as nothing:
            return nothing.outcomes
        except DavserverError:
            raise  # the database is away, or full: for all of them
        except Exception:
            if len(items) < 2:
                raise
            log.exception("%d PUTs could not be stored together; each is tried alone", len(items))
            return [self._alone(item) for item in items]
        return outcomes

    def _alone(self, item: Item) -> Outcome:
        try:
            [outcome] = self._work(None, lambda: [item])
        except Exception as error:  # noqa: BLE001 - raised where it belongs, by who waits for it
            return error
        return outcome

    def _store(self, unit: Unit, held: dict[int, tuple[int, int]], items: Sequence[Item]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        for owner_id in dict.fromkeys(item.owner_id for item in items):
            tree = held.get(owner_id) or hold_tree(unit, owner_id)
            own = {number: item for number, item in enumerate(items) if item.owner_id == owner_id}
            outcomes |= self._store_own(unit, owner_id, tree, own, is_alone=len(items) == 1)
        return [outcomes[number] for number in range(len(items))]

    def _store_own(
        self, unit: Unit, owner_id: int, tree: tuple[int, int], items: dict[int, Item], *, is_alone: bool
    ) -> dict[int, Outcome]:
        """Do all for one tree: beginnings and plain new files in a fixed number of statements, then all others one by one.

        `is_alone`: there is one item in the whole unit, and when it fails the unit is undone.
        """
        now = self._clock()
        puts = {number: item for number, item in items.items() if isinstance(item, Put)}
        beginnings = {number: item for number, item in items.items() if isinstance(item, Beginning)}
        asked_change = ask_change(unit, owner_id, tree, now)
        asked_locks = ask_for_locks(unit.connection, owner_id, now)
        asked_uploads = {
            number: ask_for_reserved(unit.connection, put.content.envelope.blob_id)
            for number, put in puts.items()
            if put.is_upload
        }
        asked_chains = ask_for_all(unit.connection, owner_id, [put.path for put in puts.values()])
        change = asked_change()
        room = _Room(change)
        batch = _Batch(change, room, asked_locks())
        own: dict[int, int | DavserverError] = {number: _answer(asked) for number, asked in asked_uploads.items()}
        chains = dict(zip(puts, asked_chains(), strict=True))
        outcomes = _begin(change, room, beginnings)
        new: list[tuple[int, Put, Resource]] = []
        others: list[int] = []
        for number, put in puts.items():
            try:
                reserved = own.get(number, 0)
                if isinstance(reserved, DavserverError):
                    raise reserved
                _check_principal(change, put)
                if batch.admits(put, chains[number]):
                    new.append((number, put, batch.parent_for(put, chains[number], reserved)))
                else:
                    others.append(number)
            except DavserverError as error:
                outcomes[number] = error
        outcomes |= self._store_new(change, new)
        if others:
            unit.end_packets()
        for number in others:
            outcomes[number] = self._store_one(change, puts[number], is_alone=is_alone)
        return outcomes

    def _store_new(self, change: Change, new: Sequence[tuple[int, Put, Resource]]) -> dict[int, Outcome]:
        if not new:
            return {}
        outcomes: dict[int, Outcome] = {}
        made: list[tuple[Revision, SealedContent]] = []
        files: list[Resource] = []
        next_id = change.settle(_IDS * len(new), sum(put.content.size for _, put, _ in new))
        for number, put, parent in new:
            content, details = put.content, put.details
            revision = make_revision(next_id, content, details, self._random, change.now, scans=self._scans)
            made.append((revision, content))
            files.append(make_file(next_id + 1, parent, put.path.name, revision, details, change.now))
            outcomes[number] = Stored(files[-1], created=True)
            next_id += _IDS
        insert_revisions(change, made)
        insert_resources(change, files)
        for parent in {parent.id: parent for _, _, parent in new}.values():
            touch(change, parent)
        end_held(change.unit.connection, [put.content.envelope.blob_id for _, put, _ in new if put.is_upload])
        record_uploads(change.unit, [(put.principal, put.path, put.content.size) for _, put, _ in new], change.now)
        return outcomes

    def _store_one(self, change: Change, put: Put, *, is_alone: bool) -> Outcome:
        """One that replaces, or may be locked out, or has conditions on others: it may fail half-way, and is then undone."""
        if is_alone:
            try:
                return self._put(change, put)
            except DavserverError as error:
                return error  # the unit is undone with it
        before = (change.next_id, change.used_bytes)
        try:
            with change.unit.connection.begin_nested():
                return self._put(change, put)
        except DavserverError as error:
            change.next_id, change.used_bytes = before
            return error

    def _put(self, change: Change, put: Put) -> Stored:
        principal, connection = put.principal, change.unit.connection
        if put.is_upload:
            finish(change.unit, put.content.envelope.blob_id)
        chain = resolve(connection, principal, put.path)
        check_file_place(chain)
        check_change(
            connection, principal, [Touch(chain, membership=chain.target is None)], put.preconditions, change.now
        )
        after = self._attach(change, chain, put.content, put.details)
        action = Action.UPLOADED if chain.target is None else Action.REPLACED
        record(change.unit, principal, action, change.now, put.path, size=put.content.size)
        return Stored(after.must_exist(), created=chain.target is None)


def _check_principal(change: Change, put: Put) -> None:
    put.principal.check_write()
    change.check_enabled(put.principal)
    check_credential(change.unit.connection, put.principal, change.now)
    put.principal.check_reach(put.path)


def _answer(asked: Callable[[], int]) -> int | DavserverError:
    try:
        return asked()
    except Unavailable as error:
        return error


def _begin(change: Change, room: "_Room", beginnings: dict[int, Beginning]) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    begun: list[Beginning] = []
    for number, beginning in beginnings.items():
        try:
            outcomes[number] = room.left
            room.take(beginning.length or 0)
            begun.append(beginning)
        except QuotaExceeded as error:
            outcomes[number] = error
    write_down(change, begun)
    return outcomes


class _Room:
    """What the quota of a tree has left within a unit."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._left: int | None = None

    @property
    def left(self) -> int | None:
        """Bytes, perhaps fewer than none; None without a quota."""
        change = self._change
        if change.quota_bytes is None:
            return None
        if self._left is None:
            reserved = reserved_bytes(change.unit.connection, change.owner_id)
            self._left = change.quota_bytes - change.used_bytes - reserved
        return self._left

    def take(self, size: int, reserved: int = 0) -> None:
        """Take `size` bytes, of which an upload had reserved some before. Raises `QuotaExceeded`."""
        if size == 0 or self.left is None:
            return
        if size > self.left + reserved:
            raise QuotaExceeded
        self._left = self.left + reserved - size


class _Batch:
    """The plain new files of one tree, and the room that is left for them."""

    def __init__(self, change: Change, room: _Room, has_locks: bool) -> None:
        self._change = change
        self._room = room
        self._has_locks = has_locks
        self._keys: set[tuple[str, ...]] = set()

    def admits(self, put: Put, chain: Chain) -> bool:
        """Whether all that decides about the PUT is `chain`: no lock, no condition on another URL, no other PUT to the same."""
        keys = put.path.keys
        is_plain = chain.target is None and not self._has_locks and not put.preconditions.tagged_paths
        if not is_plain or keys in self._keys:
            return False
        self._keys.add(keys)
        return True

    def parent_for(self, put: Put, chain: Chain, reserved: int) -> Resource:
        """The collection that the new file goes into. Raises what a PUT that must not be raises."""
        check_file_place(chain)
        check_conditions(self._change.unit.connection, put.principal, chain, put.preconditions, ())
        put.preconditions.check_write(state_of(chain, ()))
        self._room.take(put.content.size, reserved)
        assert chain.parent is not None  # noqa: S101 - `check_file_place` has seen to it
        return chain.parent


class _NothingStored(Exception):
    """All were refused: the unit is undone, and the tree keeps its version."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__()
        self.outcomes = outcomes

    @classmethod
    def unless_something(cls, outcomes: list[Outcome]) -> None:
        if all(isinstance(outcome, Exception) for outcome in outcomes):
            raise cls(outcomes)
