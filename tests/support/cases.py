"""The use cases of the drive as values, each with what must be there before it: for tests that let them fail."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from davserver.domain.conditions import NO_CONDITIONS, Preconditions
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.jobs.queue import Queue
from davserver.services.listing import Depth, Entry
from davserver.services.locks import LockRequest
from davserver.services.trash import Trash
from davserver.services.tree import TreeSettings
from tests.support.core import Core, path

SMALL, LARGE = b"small" * 10, bytes(range(256)) * 80
"""Content that is kept in its row, and content that goes into the store."""
PROPERTY = PropertyName("urn:x", "p")
State = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Something that a user does. `act` can be called again when it has failed."""

    name: str
    act: Callable[[Core, Principal], object]
    prepare: Callable[[Core, Principal], object] = lambda _core, _who: None
    units: int = 1
    """Transactions that change what is seen. With several, one that failed leaves what those before it did."""


def furnish(core: Core, who: Principal) -> None:
    """What every case finds: files of both kinds, a tree, something locked, something in the trash."""
    core.mkcol(who, "/d", "/d/e")
    core.put(who, "/small", SMALL)
    core.put(who, "/large", LARGE)
    core.put(who, "/d/large", LARGE[::-1])
    core.put(who, "/d/e/small", SMALL)
    core.properties.patch(who, path("/d/large"), [PropertyUpdate(PROPERTY, "<p/>")])
    core.mkcol(who, "/old")
    core.put(who, "/old/large", LARGE)
    core.tree.discard(who, path("/old"))
    core.put(who, "/locked", SMALL)
    lock(core, who, "/locked")


def lock(core: Core, who: Principal, where: str) -> str:
    """Lock something and return the token."""
    request = LockRequest(LockScope.EXCLUSIVE, is_deep=True, owner_xml="<o/>", seconds=100 * 24 * 3600)
    return core.locks.acquire(who, path(where), request, NO_CONDITIONS).lock.token


def held(core: Core, who: Principal) -> Preconditions:
    """The token of the lock on /locked, shown."""
    return Preconditions(tokens=frozenset(lock.token for lock in core.locks.covering(who, path("/locked"))))


def trash_of(core: Core) -> Trash:
    """The trash as a service."""
    return Trash(core.database, core.clock, core.tree, TreeSettings())


def work(core: Core, _who: Principal) -> None:
    """Let background work do all that there is, as long as it takes."""
    queue = Queue(core.database, core.clock, core.random)
    for _ in range(20):
        core.runner().look()
        if not queue.count():
            return
        core.clock.advance(3600)


def unlock(core: Core, who: Principal) -> None:
    for each in core.locks.covering(who, path("/locked")):
        core.locks.release(who, path("/locked"), each.token)


CASES = (
    Case("create a small file", lambda core, who: core.put(who, "/new", SMALL)),
    Case("create a large file", lambda core, who: core.put(who, "/new", LARGE)),
    Case("replace a small file by a large one", lambda core, who: core.put(who, "/small", LARGE)),
    Case("replace a large file by a small one", lambda core, who: core.put(who, "/large", SMALL)),
    Case("replace a large file by a large one", lambda core, who: core.put(who, "/large", LARGE[::-1])),
    Case("write a locked file", lambda core, who: core.put(who, "/locked", LARGE, held(core, who))),
    Case("make a collection", lambda core, who: core.mkcol(who, "/new")),
    Case(
        "copy a tree over another",
        lambda core, who: core.tree.copy(who, path("/d"), path("/small"), overwrite=True, deep=True),
    ),
    Case(
        "move a tree over another",
        lambda core, who: core.tree.move(who, path("/d"), path("/large"), overwrite=True),
    ),
    Case("discard a tree", lambda core, who: core.tree.discard(who, path("/d"))),
    Case("discard what is locked", lambda core, who: core.tree.discard(who, path("/locked"), held(core, who))),
    Case("lock a file", lambda core, who: lock(core, who, "/small")),
    Case("lock what is not there", lambda core, who: lock(core, who, "/new")),
    Case("unlock", unlock),
    Case(
        "refresh a lock",
        lambda core, who: core.locks.refresh(who, path("/locked"), 200 * 24 * 3600, held(core, who)),
    ),
    Case(
        "set and remove properties",
        lambda core, who: core.properties.patch(
            who,
            path("/d/large"),
            [PropertyUpdate(PROPERTY, None), PropertyUpdate(PropertyName("", "q"), "<q/>")],
            modified_at=1,
        ),
    ),
    Case("restore to where it was", lambda core, who: trash_of(core).restore(who, "old")),
    Case(
        "move out of the trash",
        lambda core, who: core.tree.move(who, path("/.trash/old"), path("/d"), overwrite=True),
    ),
    Case("empty the trash", lambda core, who: core.tree.discard(who, path("/.trash"))),
    Case("purge in the background", work, lambda core, who: core.tree.discard(who, path("/.trash")), units=2),
    Case("read a large file", lambda core, who: core.get(who, "/large")),
)  # fmt: skip


def state_of(core: Core, who: Principal) -> State:
    """All that the user can see, without what differs from run to run (ids, tokens, the exact time)."""
    seen: State = {"used": core.used(who)}
    for top, listing in (
        ("", core.listing(who, "/", Depth.INFINITY)),
        (".trash", core.listing(who, "/.trash", Depth.INFINITY)),
    ):
        for entry in listing:
            where = "/".join((top, *entry.names))
            seen[where] = _shown(core, who, where, entry)
    return seen


def _shown(core: Core, who: Principal, where: str, entry: Entry) -> Any:
    resource = entry.resource
    content = None if resource.revision is None else core.get(who, where)
    etag = None if resource.revision is None else resource.revision.etag
    dead = tuple((found.name, found.xml) for found in entry.dead)
    locks = tuple(sorted((found.root.key, found.scope, found.is_deep) for found in entry.locks))
    return {"content": content, "etag": etag, "dead": dead, "locks": locks}


def without_etags(state: State) -> State:
    """The same for comparing two runs, in which fresh etags differ."""
    return {
        where: {name: value for name, value in shown.items() if name != "etag"} if isinstance(shown, dict) else shown
        for where, shown in state.items()
    }
