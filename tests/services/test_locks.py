"""Locks: who may change what, until when, and that two never hold what only one may hold."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from davserver.db.rows import LockRow
from davserver.db.units import Database
from davserver.domain.conditions import NO_CONDITIONS, Condition, EntityTag, IfList, Preconditions
from davserver.domain.errors import (
    BadRequest,
    DavserverError,
    Forbidden,
    LockConflict,
    Locked,
    LockTokenMismatch,
    NotFound,
    ParentMissing,
    PreconditionFailed,
)
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.services.listing import Depth
from davserver.services.locks import Granted, LockRequest
from davserver.stores.folder import FolderStore
from tests.support.core import Core, make_core, path

Change = Callable[[Preconditions], object]
NFC, NFD = "caf\u00e9", "cafe\u0301"


def lock(
    core: Core,
    who: Principal,
    where: str,
    scope: LockScope = LockScope.EXCLUSIVE,
    *,
    deep: bool = False,
    seconds: int = 600,
    preconditions: Preconditions = NO_CONDITIONS,
) -> Granted:
    return core.locks.acquire(who, path(where), LockRequest(scope, deep, "<o/>", seconds), preconditions)


def shared(core: Core, who: Principal, where: str, *, deep: bool = False) -> str:
    return lock(core, who, where, LockScope.SHARED, deep=deep).lock.token


def showing(*tokens: str) -> Preconditions:
    return Preconditions(tokens=frozenset(tokens))


def put(core: Core, who: Principal, where: str, *tokens: str) -> None:
    core.put(who, where, b"x", showing(*tokens))


def test_a_locked_file_changes_only_with_its_token(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"old")
    token = lock(core, alice, "/f").lock.token
    changes: list[Change] = [
        lambda p: core.put(alice, "/f", b"new", p),
        lambda p: core.properties.patch(
            alice, path("/f"), [PropertyUpdate(PropertyName("", "p"), "<p/>")], preconditions=p
        ),
        lambda p: core.tree.move(alice, path("/f"), path("/g"), overwrite=True, preconditions=p),
        lambda p: core.tree.discard(alice, path("/g"), p),
    ]
    for change in changes[:3]:
        with pytest.raises(Locked) as refused:
            change(NO_CONDITIONS)
        assert refused.value.hrefs == ("/f",)
    with pytest.raises(Locked):
        core.tree.discard(alice, path("/f"))
    for change in changes:
        change(showing(token))


def test_a_copy_of_what_is_locked_is_free_and_not_locked(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"x")
    lock(core, alice, "/f")
    core.tree.copy(alice, path("/f"), path("/g"), overwrite=False, deep=True)
    put(core, alice, "/g")


def test_a_copy_onto_what_is_locked_needs_the_token(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"new")
    core.put(alice, "/g", b"old")
    token = lock(core, alice, "/g").lock.token
    with pytest.raises(Locked):
        core.tree.copy(alice, path("/f"), path("/g"), overwrite=True, deep=True)
    assert core.get(alice, "/g") == b"old"
    core.tree.copy(alice, path("/f"), path("/g"), overwrite=True, deep=True, preconditions=showing(token))
    assert core.get(alice, "/g") == b"new"


def test_an_exclusive_lock_goes_with_no_other_and_shared_ones_go_together(core: Core, alice: Principal) -> None:
    core.put(alice, "/f")
    first, second = shared(core, alice, "/f"), shared(core, alice, "/f")
    assert {found.token for found in core.locks.covering(alice, path("/f"))} == {first, second}
    with pytest.raises(LockConflict):
        lock(core, alice, "/f")
    for token in (first, second):
        core.locks.release(alice, path("/f"), token)
    lock(core, alice, "/f")
    for scope in LockScope:
        with pytest.raises(LockConflict):
            lock(core, alice, "/f", scope)


def test_one_of_the_shared_locks_is_enough(core: Core, alice: Principal) -> None:
    core.put(alice, "/f")
    first, second = shared(core, alice, "/f"), shared(core, alice, "/f")
    with pytest.raises(Locked):
        put(core, alice, "/f")
    put(core, alice, "/f", first)
    put(core, alice, "/f", second)


def test_a_deep_lock_covers_what_is_and_what_comes_below(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d", "/d/e")
    core.put(alice, "/d/e/f", b"x")
    token = lock(core, alice, "/d", deep=True).lock.token
    for where in ("/d/e/f", "/d/e/new"):
        with pytest.raises(Locked) as refused:
            put(core, alice, where)
        assert refused.value.hrefs == ("/d/",)
        put(core, alice, where, token)
    with pytest.raises(Locked):
        core.mkcol(alice, "/d/e/g")
    with pytest.raises(LockConflict):
        lock(core, alice, "/d/e/f")
    (entry,) = core.listing(alice, "/d/e/f", Depth.ZERO)
    assert [found.token for found in entry.locks] == [token]


def test_a_shallow_lock_on_a_collection_keeps_its_members_and_leaves_their_content_free(
    core: Core, alice: Principal
) -> None:
    core.mkcol(alice, "/d", "/d/e")
    core.put(alice, "/d/f", b"x")
    core.put(alice, "/outside", b"x")
    token = lock(core, alice, "/d").lock.token
    put(core, alice, "/d/f")
    put(core, alice, "/d/e/deeper")
    refused: list[Change] = [
        lambda p: core.put(alice, "/d/new", b"x", p),
        lambda p: core.tree.make_collection(alice, path("/d/col"), p),
        lambda p: core.tree.copy(alice, path("/d/f"), path("/d/g"), overwrite=False, deep=True, preconditions=p),
        lambda p: core.tree.move(alice, path("/outside"), path("/d/in"), overwrite=False, preconditions=p),
        lambda p: core.tree.move(alice, path("/d/f"), path("/out"), overwrite=False, preconditions=p),
        lambda p: lock(core, alice, "/d/unmapped", preconditions=p),
        lambda p: core.tree.discard(alice, path("/d/e"), p),
    ]
    for change in refused:
        with pytest.raises(Locked):
            change(NO_CONDITIONS)
        change(showing(token))


def test_a_lock_below_blocks_the_removal_of_what_holds_it(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a", "/a/b", "/ab", "/other")
    core.put(alice, "/a/b/f", b"x")
    token = lock(core, alice, "/a/b/f").lock.token
    for where in ("/a", "/a/b"):
        with pytest.raises(Locked) as refused:
            core.tree.discard(alice, path(where))
        assert refused.value.hrefs == ("/a/b/f",)
        with pytest.raises(Locked):
            core.tree.move(alice, path(where), path("/elsewhere"), overwrite=False)
        with pytest.raises(Locked):
            core.tree.copy(alice, path("/other"), path("/a/b"), overwrite=True, deep=True)
    core.tree.discard(alice, path("/ab"))  # a name that begins alike lies not below
    core.tree.discard(alice, path("/a"), showing(token))


def test_a_deep_lock_is_refused_where_something_below_is_locked(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a")
    core.put(alice, "/a/f", b"x")
    lock(core, alice, "/a/f")
    with pytest.raises(LockConflict) as refused:
        lock(core, alice, "/a", deep=True)
    assert refused.value.hrefs == ("/a/f",)
    lock(core, alice, "/a")


def test_locks_end_with_a_move_and_with_a_discard(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/d/f", b"x")
    token = lock(core, alice, "/d/f").lock.token
    core.tree.move(alice, path("/d"), path("/e"), overwrite=False, preconditions=showing(token))
    put(core, alice, "/e/f")
    core.mkcol(alice, "/d")
    put(core, alice, "/d/f")
    token = lock(core, alice, "/d/f").lock.token
    core.tree.discard(alice, path("/d/f"), showing(token))
    put(core, alice, "/d/f")
    assert core.scalar(select(func.count()).select_from(LockRow)) == 0


def test_a_lock_on_an_unmapped_url_makes_an_empty_file(core: Core, alice: Principal) -> None:
    granted = lock(core, alice, "/new")
    assert granted.created
    assert core.get(alice, "/new") == b""
    put(core, alice, "/new", granted.lock.token)
    with pytest.raises(ParentMissing):
        lock(core, alice, "/no/new")
    with pytest.raises(Forbidden):
        lock(core, alice, "/.trash/new")


def test_a_lock_ends_when_its_time_is_over_and_not_before(core: Core, alice: Principal) -> None:
    core.put(alice, "/f")
    first = lock(core, alice, "/f", seconds=100).lock
    core.clock.advance(99)
    with pytest.raises(Locked):
        put(core, alice, "/f")
    assert core.locks.refresh(alice, path("/f"), 100, showing(first.token)).token == first.token
    core.clock.advance(99)
    with pytest.raises(LockConflict):
        lock(core, alice, "/f")
    core.clock.advance(2)
    put(core, alice, "/f")
    with pytest.raises(PreconditionFailed):
        core.locks.refresh(alice, path("/f"), 100, showing(first.token))
    lock(core, alice, "/f")


def test_a_refresh_needs_a_token_that_locks_this_url(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/d/f")
    token = lock(core, alice, "/d", deep=True).lock.token
    with pytest.raises(BadRequest):
        core.locks.refresh(alice, path("/d"), 10, NO_CONDITIONS)
    with pytest.raises(PreconditionFailed):
        core.locks.refresh(alice, path("/"), 10, showing(token))
    assert core.locks.refresh(alice, path("/d/f"), 10, showing(token)).root == path("/d")


def test_unlock_works_through_every_url_that_the_lock_covers(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/d/f")
    token = lock(core, alice, "/d", deep=True).lock.token
    for where, wrong in (("/", token), ("/d", "urn:uuid:0")):
        with pytest.raises(LockTokenMismatch):
            core.locks.release(alice, path(where), wrong)
    with pytest.raises(NotFound):
        core.locks.release(alice, path("/d/none"), token)
    core.locks.release(alice, path("/d/f"), token)
    put(core, alice, "/d/f")


def test_another_user_can_do_nothing_with_a_token(core: Core, alice: Principal, bob: Principal) -> None:
    core.put(alice, "/f", b"x")
    core.put(bob, "/f", b"x")
    token = lock(core, alice, "/f").lock.token
    with pytest.raises(LockTokenMismatch):
        core.locks.release(bob, path("/f"), token)
    with pytest.raises(PreconditionFailed):
        core.locks.refresh(bob, path("/f"), 10, showing(token))
    assert core.locks.covering(bob, path("/f")) == ()
    put(core, bob, "/f")  # his own is not locked
    lock(core, bob, "/f")
    condition = IfList(None, (Condition(token=token),))
    with pytest.raises(PreconditionFailed):
        core.tree.check(bob, path("/f"), Preconditions(if_lists=(condition,)))
    core.tree.check(alice, path("/f"), Preconditions(if_lists=(condition,)))


def test_a_lock_is_found_by_whichever_spelling_of_its_url(core: Core, alice: Principal) -> None:
    core.mkcol(alice, f"/{NFC}")
    core.put(alice, f"/{NFC}/f")
    token = lock(core, alice, f"/{NFD}", deep=True).lock.token
    with pytest.raises(Locked):
        put(core, alice, f"/{NFC}/f")
    with pytest.raises(LockConflict):
        lock(core, alice, f"/{NFD}/f")
    core.locks.release(alice, path(f"/{NFC}"), token)


def if_header(*lists: IfList, tokens: tuple[str, ...] = ()) -> Preconditions:
    return Preconditions(if_lists=lists, tokens=frozenset(tokens))


def test_conditions_of_an_if_header_are_evaluated_on_their_urls(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"x")
    core.put(alice, "/g", b"x")
    core.mkcol(alice, "/d")
    core.put(alice, "/d/f", b"x")
    token = lock(core, alice, "/d", deep=True).lock.token
    f, g = (EntityTag(core.etag(alice, where)) for where in ("/f", "/g"))
    wrong = EntityTag("wrong")
    holds = [
        (IfList(None, (Condition(etag=f),)),),
        (IfList(None, (Condition(etag=wrong),)), IfList(None, (Condition(etag=f),))),
        (IfList(None, (Condition(etag=f), Condition(etag=wrong, negated=True))),),
        (IfList(path("/g"), (Condition(etag=g),)),),
        (IfList(path("/d/f"), (Condition(token=token),)),),
        (IfList(path("/d/unmapped"), (Condition(token=token),)),),
        (IfList(None, (Condition(token="DAV:no-lock", negated=True),)),),
        (IfList(path("/none"), (Condition(token=token, negated=True),)),),
        (IfList(None, (Condition(token=token, negated=True),), elsewhere=True),),
    ]
    fails = [
        (IfList(None, (Condition(etag=g),)),),
        (IfList(None, (Condition(etag=f), Condition(etag=wrong))),),
        (IfList(None, (Condition(token=token),)),),
        (IfList(path("/none"), (Condition(token=token),)),),
        (IfList(path("/d"), (Condition(token=token, negated=True),)),),
        (IfList(None, (Condition(etag=EntityTag(f.opaque, weak=True)),)),),
        (IfList(None, (Condition(token=token),), elsewhere=True),),
    ]
    for lists in holds:
        core.tree.check(alice, path("/f"), if_header(*lists))
    for lists in fails:
        with pytest.raises(PreconditionFailed):
            core.tree.check(alice, path("/f"), if_header(*lists))
        with pytest.raises(PreconditionFailed):
            core.put(alice, "/f", b"new", if_header(*lists))
    assert core.get(alice, "/f") == b"x"


def try_to_lock(database_url: str, folder: Path, owner_id: int, times: int, threads: int) -> list[str]:
    """In a process of its own: the tokens that were granted, and the errors that were not `LockConflict`."""
    core = make_core(Database(database_url), FolderStore(folder))
    who = Principal(owner_id, "alice")

    def one(_: int) -> str | None:
        try:
            return lock(core, who, "/new", seconds=3600).lock.token
        except LockConflict:
            return None
        except DavserverError as error:
            return f"error: {error.code}"

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(one, range(times)))
    core.close()
    return [result for result in results if result is not None]


def test_of_200_locks_at_once_from_four_processes_exactly_one_is_granted(
    core: Core, alice: Principal, database_url: str, tmp_path: Path
) -> None:
    core.clock.now = 0  # those processes have clocks of their own, which begin later
    arguments = (database_url, tmp_path / "blobs", alice.owner_id, 50, 10)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.starmap(try_to_lock, [arguments] * 4)
        pool.close()
        pool.join()
    granted = [token for tokens in found for token in tokens]
    assert len(granted) == 1
    assert granted[0].startswith("urn:uuid:")
    assert core.scalar(select(LockRow.token)) == granted[0]
    assert core.names(alice) == [".trash", "new"]
