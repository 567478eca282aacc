"""Write locks, kept in the database: every process and every machine honours each other's (RFC 4918 sections 6, 7, 9.10)."""

import uuid
from dataclasses import dataclass, replace

from sqlalchemy import delete, insert, update

from davserver.crypto.segments import Random
from davserver.db.rows import LockRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock
from davserver.domain.conditions import Preconditions
from davserver.domain.errors import BadRequest, Forbidden, LockConflict, LockTokenMismatch, PreconditionFailed
from davserver.domain.lock import ActiveLock, LockScope
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource
from davserver.services.activity import record
from davserver.services.changes import Change, open_change
from davserver.services.content import Content
from davserver.services.guards import (
    Touch,
    check_change,
    check_conditions,
    covers,
    href_of,
    locks_around,
    state_of,
)
from davserver.services.lookup import Chain, resolve
from davserver.services.tree import writable_parent


@dataclass(frozen=True, slots=True)
class LockRequest:
    """What a LOCK asks for. `seconds` is granted as it is: the door keeps it within the server's limits."""

    scope: LockScope
    is_deep: bool
    owner_xml: str
    """The client's `owner` element, serialised; empty when it sent none."""
    seconds: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A new lock, the resource that it is on, and whether that was created for it (RFC 4918 section 7.3)."""

    lock: ActiveLock
    created: bool
    resource: Resource


class Locks:
    """Use cases on locks. Acquiring is atomic: the tree has one writer while a lock is checked for and added."""

    def __init__(self, database: Database, clock: Clock, random: Random, content: Content) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._content = content

    def acquire(
        self, principal: Principal, path: ResourcePath, request: LockRequest, preconditions: Preconditions
    ) -> Granted:
        """LOCK with a body. On an unmapped URL it makes an empty file.

        Raises `LockConflict`, `Locked` (the parent's lock, when a file is made), `ParentMissing`, `PreconditionFailed`,
        `Forbidden`.
        """
        empty = self._content.seal_empty()
        with self._database.write() as unit:
            change = open_change(unit, principal, self._clock())
            chain = resolve(unit.connection, principal, path)
            if chain.is_in_trash:
                raise Forbidden("Nothing is locked in the trash.")
            around = [path, *preconditions.tagged_paths]
            locks = locks_around(unit.connection, principal.owner_id, around, change.now, below=request.is_deep)
            check_conditions(unit.connection, principal, chain, preconditions, locks)
            preconditions.check_write(state_of(chain, locks))
            _refuse_conflict(chain, locks, request)
            created = chain.target is None
            if created:
                writable_parent(chain)
                touches = [Touch(chain, membership=True)]
                check_change(unit.connection, principal, touches, preconditions, change.now)
                chain = self._content.attach_empty(change, chain, empty)
                record(unit, principal, Action.UPLOADED, change.now, path, size=0)
            return Granted(self._add(change, principal, chain, request), created, chain.must_exist())

    def refresh(
        self, principal: Principal, path: ResourcePath, seconds: int, preconditions: Preconditions
    ) -> ActiveLock:
        """LOCK without a body (RFC 4918 section 9.10.2): the lock named in If lasts `seconds` from now.

        Raises `BadRequest` when no token was submitted, `PreconditionFailed` when none of those submitted locks this URL.
        """
        if not preconditions.tokens:
            raise BadRequest("A refresh needs the lock's token in the If header; a new lock needs a body.")
        with self._database.write() as unit:
            # The tree's one writer: nobody is granted a lock that conflicts because this one was about to end.
            now = open_change(unit, principal, self._clock()).now
            chain = resolve(unit.connection, principal, path)
            around = [path, *preconditions.tagged_paths]
            locks = locks_around(unit.connection, principal.owner_id, around, now, below=False)
            check_conditions(unit.connection, principal, chain, preconditions, locks)
            for lock in locks:
                if lock.token in preconditions.tokens and covers(lock, path) and lock.user_id == principal.user_id:
                    expires_at = now + seconds * SECOND
                    here = (LockRow.token == lock.token) & (LockRow.owner_id == principal.owner_id)
                    unit.connection.execute(update(LockRow).where(here).values(expires_at=expires_at))
                    return replace(lock, expires_at=expires_at)
            raise PreconditionFailed("The lock token does not lock this resource, or the lock has ended.")

    def release(self, principal: Principal, path: ResourcePath, token: str) -> None:
        """UNLOCK (RFC 4918 section 9.11), through any URL that the lock covers. Raises `NotFound`, `LockTokenMismatch`."""
        principal.check_write()
        with self._database.write() as unit:
            chain = resolve(unit.connection, principal, path)
            chain.must_exist()
            locks = locks_around(unit.connection, principal.owner_id, [path], self._clock(), below=False)
            for lock in locks:
                if lock.token == token and covers(lock, path) and lock.user_id == principal.user_id:
                    unit.connection.execute(
                        delete(LockRow).where(LockRow.token == token, LockRow.owner_id == principal.owner_id)
                    )
                    return
            raise LockTokenMismatch

    def covering(self, principal: Principal, path: ResourcePath) -> tuple[ActiveLock, ...]:
        """The locks that cover the URL, newest first."""
        principal.check_reach(path)
        with self._database.read() as connection:
            locks = locks_around(connection, principal.owner_id, [path], self._clock(), below=False)
        return tuple(lock for lock in locks if covers(lock, path))

    def _add(self, change: Change, principal: Principal, chain: Chain, request: LockRequest) -> ActiveLock:
        target = chain.must_exist()
        lock = ActiveLock(
            token=uuid.UUID(bytes=self._random(16), version=4).urn,
            root=chain.path,
            is_on_collection=target.is_collection,
            scope=request.scope,
            is_deep=request.is_deep and target.is_collection,
            owner_xml=request.owner_xml,
            user_id=principal.user_id,
            expires_at=change.now + request.seconds * SECOND,
        )
        change.unit.connection.execute(
            insert(LockRow),
            {
                "token": lock.token,
                "owner_id": change.owner_id,
                "resource_id": target.id,
                "path": chain.path.encoded,
                "path_key": chain.path.key,
                "is_on_collection": lock.is_on_collection,
                "scope": lock.scope.value,
                "is_deep": lock.is_deep,
                "owner_xml": lock.owner_xml,
                "user_id": lock.user_id,
                "created_at": change.now,
                "expires_at": lock.expires_at,
            },
        )
        return lock


def _refuse_conflict(chain: Chain, locks: tuple[ActiveLock, ...], request: LockRequest) -> None:
    """RFC 4918 section 6.2: an exclusive lock goes with no other, shared ones go together."""
    for lock in locks:
        is_near = covers(lock, chain.path) or (request.is_deep and lock.root.is_within(chain.path))
        if is_near and LockScope.EXCLUSIVE in {lock.scope, request.scope}:
            raise LockConflict(hrefs=(href_of(lock),))
