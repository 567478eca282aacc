"""What must hold before something is changed: locks, and the conditions of the request. For services only.

Used twice: as a courtesy before a long body is read, and for good in the unit that commits, where the tree has one writer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, bindparam, delete, or_, select

from davserver.db.rows import LockRow
from davserver.db.statements import Statement
from davserver.domain.clock import Micros
from davserver.domain.conditions import Preconditions, State
from davserver.domain.errors import Locked
from davserver.domain.lock import ActiveLock, LockScope
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.services.lookup import Chain, resolve

_LOCK = LockRow.__table__.c
_ANY_LOCK = Statement(
    select(_LOCK.token).where(_LOCK.owner_id == bindparam("b_owner"), _LOCK.expires_at > bindparam("b_now")).limit(1)
)


@dataclass(frozen=True, slots=True)
class Touch:
    """How an operation touches a URL, which decides whose locks stand in its way (RFC 4918 section 7)."""

    chain: Chain
    membership: bool = False
    """The resource is created or removed, which changes the state of its parent collection too."""
    subtree: bool = False
    """What is below it is removed as well."""


def locks_around(
    connection: Connection, owner_id: int, paths: Iterable[ResourcePath], now: Micros, *, below: bool
) -> tuple[ActiveLock, ...]:
    """Every live lock on the paths, their ancestors and, when asked, what is below them; newest first.

    One query, and a second only when the owner holds any lock at all: most trees have none most of the time.
    """
    if not ask_for_locks(connection, owner_id, now)():
        return ()
    exact: set[str] = set()
    ranges = []
    for path in paths:
        key = path.key
        exact.add(key)
        for _ in path.names:
            key = key.rpartition("/")[0]
            exact.add(key)
        if below:
            # "/" is followed by "0" in byte order: this is every key that starts with the path and a slash.
            ranges.append((_LOCK.path_key >= path.key + "/") & (_LOCK.path_key < path.key + "0"))
    query = select(LockRow.__table__).where(
        _LOCK.owner_id == owner_id, _LOCK.expires_at > now, or_(_LOCK.path_key.in_(sorted(exact)), *ranges)
    )
    return tuple(active_lock(row) for row in connection.execute(query.order_by(_LOCK.created_at.desc(), _LOCK.token)))


def active_lock(row: Row[tuple[object, ...]]) -> ActiveLock:
    """A frozen value of a row of the lock table."""
    return ActiveLock(
        token=row.token,
        root=ResourcePath.parse(row.path, max_depth=1 << 30),
        is_on_collection=row.is_on_collection,
        scope=LockScope(row.scope),
        is_deep=row.is_deep,
        owner_xml=row.owner_xml,
        user_id=row.user_id,
        expires_at=row.expires_at,
    )


def covers(lock: ActiveLock, path: ResourcePath) -> bool:
    """Whether a lock covers the URL: it is its root, or below the root of a deep lock."""
    return path.keys == lock.root.keys or (lock.is_deep and path.is_within(lock.root))


def check_change(
    connection: Connection,
    principal: Principal,
    touches: Iterable[Touch],
    preconditions: Preconditions,
    now: Micros,
    *,
    lock_is_own: bool = False,
) -> None:
    """Raise unless the request may change what it touches.

    The first touch is the request's own URL, against which untagged conditions are evaluated. Raises `PreconditionFailed`
    or `Locked`. With `lock_is_own` a lock of the principal counts as submitted (clients rule R44).
    """
    principal.check_write()
    touches = tuple(touches)
    paths = [t.chain.path for t in touches] + list(preconditions.tagged_paths)
    locks = locks_around(connection, principal.owner_id, paths, now, below=any(t.subtree for t in touches))
    check_conditions(connection, principal, touches[0].chain, preconditions, locks)
    preconditions.check_write(state_of(touches[0].chain, locks))
    in_the_way = {lock.token: lock for touch in touches for lock in locks if _stands_in_the_way(lock, touch)}
    opened = {
        lock.root.key
        for lock in in_the_way.values()
        if lock.user_id == principal.user_id and (lock_is_own or lock.token in preconditions.tokens)
    }
    closed = sorted({href_of(lock) for lock in in_the_way.values() if lock.root.key not in opened})
    if closed:
        raise Locked(hrefs=tuple(closed))


def ask_for_locks(connection: Connection, owner_id: int, now: Micros) -> Callable[[], bool]:
    """Ask whether the owner's tree holds any live lock. Call what is returned to wait for the answer."""
    asked = _ANY_LOCK.ask(connection, {"b_owner": owner_id, "b_now": now})
    return lambda: bool(asked.rows())


def check_conditions(
    connection: Connection,
    principal: Principal,
    chain: Chain,
    preconditions: Preconditions,
    locks: tuple[ActiveLock, ...],
) -> None:
    """Evaluate the If header. `locks` holds at least those on the request's URL and on every tagged one."""

    def look(path: ResourcePath | None) -> State:
        if path is None or path.keys == chain.path.keys:
            return state_of(chain, locks)
        return state_of(resolve(connection, principal, path), locks)

    preconditions.check_if(look)


def state_of(chain: Chain, locks: Iterable[ActiveLock]) -> State:
    """What conditions are evaluated against."""
    target = chain.target
    return State(
        exists=target is not None,
        etag=target.revision.etag if target is not None and target.revision is not None else None,
        tokens=frozenset(lock.token for lock in locks if covers(lock, chain.path)),
        modified_at=None if target is None else target.modified_at,
    )


def drop_locks_within(connection: Connection, owner_id: int, path: ResourcePath) -> None:
    """Remove the locks on the URL and below: what was there is gone (RFC 4918 section 7.6)."""
    inside = (_LOCK.path_key >= path.key + "/") & (_LOCK.path_key < path.key + "0")
    connection.execute(delete(LockRow).where(_LOCK.owner_id == owner_id, or_(_LOCK.path_key == path.key, inside)))


def href_of(lock: ActiveLock) -> str:
    """The root of a lock, percent-encoded, below the share."""
    return lock.root.encoded + ("/" if lock.is_on_collection else "")


def _stands_in_the_way(lock: ActiveLock, touch: Touch) -> bool:
    path = touch.chain.path
    if covers(lock, path):
        return True
    if touch.membership and path.names and lock.root.keys == path.keys[:-1]:
        return True
    return touch.subtree and lock.root.is_within(path)
