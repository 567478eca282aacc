"""The trash: nothing that was deleted or overwritten is lost before its time, and after it nothing is left."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection, event, func, select, update
from sqlalchemy.exc import OperationalError

from davserver.db.rows import TRASH_ID, BlobRow, JobRow, PropertyRow, ResourceRow, RevisionRow, TrashEntryRow, TreeRow
from davserver.db.units import Database
from davserver.domain.clock import HOUR
from davserver.domain.conditions import NO_CONDITIONS, EntityTag, Preconditions, TagSet
from davserver.domain.errors import BadRequest, Conflict, Forbidden, Locked, NotFound, PreconditionFailed
from davserver.domain.lock import ActiveLock, LockScope
from davserver.domain.preferences import Preferences
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.services.listing import Depth, Wanted
from davserver.services.locks import LockRequest
from davserver.services.quarantine import Quarantine
from davserver.services.trash import Trash
from davserver.stores.base import blob_key
from davserver.stores.memory import MemoryStore
from tests.support.core import Core, make_core, path, statements
from tests.support.upkeep import Helpers, helpers_of

LARGE = b"x" * 5000
"""More than is kept in a row."""
P = PropertyName("urn:test", "p")


@pytest.fixture
def helpers(core: Core) -> Helpers:
    """The trash as a service, and the worker that does what is due."""
    return helpers_of(core)


def lock(core: Core, who: Principal, where: str, *, deep: bool = True) -> ActiveLock:
    request = LockRequest(LockScope.EXCLUSIVE, deep, "", 600)
    return core.locks.acquire(who, path(where), request, NO_CONDITIONS).lock


def rows(core: Core, owner: Principal) -> int:
    count = select(func.count()).select_from(ResourceRow).where(ResourceRow.owner_id == owner.owner_id)
    return int(core.scalar(count))


# -- what is in it


def test_entries_tell_where_they_came_from_and_what_they_hold_the_latest_first(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.mkcol(alice, "/a", "/a/b", "/a/b/empty")
    core.put(alice, "/a/b/one", b"1")
    core.put(alice, "/a/b/two", LARGE)
    core.put(alice, "/f.txt", b"old")
    before = core.clock.now
    core.tree.discard(alice, path("/a/b"))
    core.put(alice, "/f.txt", b"new")
    replaced, tree = helpers.trash.entries(alice)
    assert (tree.resource.name, tree.discarded.origin, tree.files, tree.size) == ("b", path("/a/b"), 2, 5001)
    assert (tree.resource.is_collection, tree.discarded.is_replaced) == (True, False)
    assert before < tree.discarded.discarded_at < replaced.discarded.discarded_at <= core.clock.now
    assert tree.discarded.purge_at == tree.discarded.discarded_at + 24 * HOUR
    assert (replaced.resource.name, replaced.discarded.origin, replaced.files, replaced.size) == (
        "f.txt",
        path("/f.txt"),
        1,
        3,
    )
    assert (replaced.resource.is_collection, replaced.discarded.is_replaced) == (False, True)


def test_entries_cost_one_query(core: Core, alice: Principal, helpers: Helpers) -> None:
    for number in range(5):
        core.put(alice, f"/f{number}", b"x")
        core.tree.discard(alice, path(f"/f{number}"))
    with statements(core.database) as seen:
        assert len(helpers.trash.entries(alice)) == 5
    assert len([s for s in seen if not s.startswith("BEGIN")]) == 1


def figures(trash: Trash, who: Principal) -> list[tuple[str, int, int]]:
    return [(entry.resource.name, entry.files, entry.size) for entry in trash.entries(who)]


def test_what_a_folder_in_the_trash_holds_is_told_anew_when_a_part_of_it_goes(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.mkcol(alice, "/d", "/d/e", "/d/e/f")
    for number, name in enumerate(("/d/a", "/d/e/b", "/d/e/f/c", "/d/e/f/x"), 1):
        core.put(alice, name, bytes(number))
    core.tree.discard(alice, path("/d"))
    trash = helpers.trash
    assert figures(trash, alice) == [("d", 4, 10)]
    core.tree.discard(alice, path("/.trash/d/e/b"))
    assert figures(trash, alice) == [("d", 3, 8)]
    core.tree.copy(alice, path("/.trash/d/e"), path("/copied"), overwrite=False, deep=True)
    assert figures(trash, alice) == [("d", 3, 8)]
    core.tree.move(alice, path("/.trash/d/e/f/c"), path("/c"), overwrite=False)
    assert figures(trash, alice) == [("d", 2, 5)]
    core.runner().look()
    core.tree.move(alice, path("/.trash/d/e/f"), path("/f"), overwrite=False)
    assert figures(trash, alice) == [("d", 1, 1)]
    trash.restore(alice, "d")
    core.put(alice, "/d/new", bytes(100))
    core.tree.discard(alice, path("/d"))
    assert figures(trash, alice) == [("d", 2, 101)]
    assert core.verify().is_clean


def test_an_infected_file_that_an_administrator_deletes_in_the_trash_is_counted_no_more(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.mkcol(alice, "/d")
    for name in ("/d/good", "/d/bad"):
        core.put(alice, name, name.encode())
    found = core.tree.find(alice, path("/d/bad"))
    core.tree.discard(alice, path("/d"))
    assert figures(helpers.trash, alice) == [("d", 2, 13)]
    with core.database.write() as unit:
        here = RevisionRow.id == (found.revision.id if found.revision else 0)
        unit.connection.execute(update(RevisionRow).where(here).values(verdict="infected", signature="Test-Virus"))
    root = replace(core.add_user("root"), is_admin=True)
    Quarantine(core.database, core.clock).delete_of(root, alice.owner_id, found.id)
    assert figures(helpers.trash, alice) == [("d", 1, 7)]
    assert core.verify().is_clean


def test_what_was_counted_before_a_part_went_is_not_kept(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.mkcol(alice, "/d")
    for name in ("/d/a", "/d/b"):
        core.put(alice, name, b"x")
    core.tree.discard(alice, path("/d"))
    parts = ["/.trash/d/a"]

    def take_a_part(_: Connection) -> None:
        if parts:
            core.tree.discard(alice, path(parts.pop()))

    event.listen(core.database.engine, "rollback", take_a_part)  # the count is read, and not written down yet
    assert figures(helpers.trash, alice) == [("d", 2, 2)]
    event.remove(core.database.engine, "rollback", take_a_part)
    assert core.scalar(select(TrashEntryRow.files)) is None
    assert figures(helpers.trash, alice) == [("d", 1, 1)]
    assert core.scalar(select(TrashEntryRow.files)) == 1


@pytest.mark.parametrize("message", ["database or disk is full", "attempt to write a readonly database"])
def test_the_trash_is_shown_although_nothing_can_be_written(
    core: Core, alice: Principal, helpers: Helpers, message: str
) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/d/a", b"x")
    core.tree.discard(alice, path("/d"))

    def fail(_: Connection) -> None:
        raise OperationalError("BEGIN", {}, Exception(message))

    writer = core.database._writer
    event.listen(writer, "begin", fail)
    try:
        assert figures(helpers.trash, alice) == [("d", 1, 1)]
    finally:
        event.remove(writer, "begin", fail)
    assert core.scalar(select(TrashEntryRow.files)) is None


def test_pages_of_the_trash_miss_nothing_and_show_nothing_twice_while_entries_come_and_go(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    for number in range(6):
        core.put(alice, f"/f{number}", b"x" * number)
    for number in range(3):
        core.tree.discard(alice, path(f"/f{number}"))
    core.tree.copy(alice, path("/f5"), path("/d"), overwrite=False, deep=True)
    with core.database.write() as unit:  # entries of one moment are told apart by their ids
        unit.connection.execute(update(TrashEntryRow).values(discarded_at=core.clock.now))
    for number in range(3, 6):
        core.tree.discard(alice, path(f"/f{number}"))
    seen: list[str] = []
    after = None
    for turn in range(4):
        page = helpers.trash.page(alice, after=after, limit=2)
        seen += [entry.resource.name for entry in page]
        if page:
            after = (page[-1].discarded.discarded_at, page[-1].resource.id)
        if turn == 0:
            helpers.trash.restore(alice, "f3")
            core.tree.discard(alice, path("/d"))
    assert seen == ["f5", "f4", "f2", "f1", "f0"]
    assert [entry.size for entry in helpers.trash.entries(alice)] == [5, 5, 4, 2, 1, 0]


def test_an_entry_is_purged_by_its_id_and_what_is_not_in_the_trash_is_not(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.mkcol(alice, "/d", "/d/sub")
    core.put(alice, "/d/sub/f", LARGE)
    kept = core.put(alice, "/kept", b"x").resource
    inside = core.tree.find(alice, path("/d/sub")).id
    core.tree.discard(alice, path("/d"))
    (entry,) = helpers.trash.entries(alice)
    bob = core.add_user("bob")
    for who, wrong in ((alice, kept.id), (alice, inside), (alice, TRASH_ID), (alice, 10**9), (bob, entry.resource.id)):
        with pytest.raises(NotFound):
            helpers.trash.purge_entry(who, wrong)
    helpers.trash.purge_entry(alice, entry.resource.id)
    with pytest.raises(NotFound):
        helpers.trash.purge_entry(alice, entry.resource.id)
    helpers.work()
    assert (core.names(alice, "/.trash"), core.used(alice), list(core.store.list())) == ([], 1, [])


def test_a_listing_of_the_trash_has_the_latest_first_and_tells_of_its_members(core: Core, alice: Principal) -> None:
    for name in ("b", "a", "c"):
        core.mkcol(alice, f"/{name}", f"/{name}/inside")
    for name in ("a", "c", "b"):
        core.tree.discard(alice, path(f"/{name}"))
    assert core.names(alice, "/.trash") == ["b", "c", "a"]
    deep = core.names(alice, "/.trash", Depth.INFINITY)
    assert deep[:3] == ["b", "c", "a"]
    assert sorted(deep[3:]) == ["a/inside", "b/inside", "c/inside"]
    told = {entry.names: entry.discarded for entry in core.listing(alice, "/.trash", Depth.INFINITY)}
    assert told[()] is None
    assert told["c", "inside"] is None
    discarded = told["c",]
    assert discarded is not None
    assert discarded.origin == path("/c")
    assert core.listing(alice, "/.trash/c", Depth.ZERO)[0].discarded == discarded
    assert core.listing(alice, "/", Depth.ONE)[0].discarded is None


def test_the_trash_is_hidden_from_listings_of_who_wants_it_so_and_works_all_the_same(
    core: Core, alice: Principal
) -> None:
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/f"))
    hiding = Principal(alice.user_id, alice.name, hides_trash=True)
    for depth in (Depth.ONE, Depth.INFINITY):
        assert core.names(hiding, "/", depth) == []
    assert core.names(hiding, "/.trash") == ["f"]
    assert core.get(hiding, "/.trash/f") == b"x"
    assert core.names(alice, "/") == [".trash"]


def test_a_user_says_how_long_and_whether_the_trash_shows(core: Core, alice: Principal, helpers: Helpers) -> None:
    assert helpers.settings.of(alice) == Preferences()
    wanted = Preferences(2 * HOUR, hides_trash=True)
    helpers.settings.change(alice, lambda _: wanted)
    assert helpers.settings.of(alice) == wanted
    assert core.accounts.authenticate("alice", "a good password").hides_trash
    core.put(alice, "/f", b"1")
    core.put(alice, "/f", b"2")
    core.tree.discard(alice, path("/f"))
    for entry in helpers.trash.entries(alice):
        assert entry.discarded.purge_at - entry.discarded.discarded_at == 2 * HOUR
    for impossible in (25 * HOUR, -1):
        with pytest.raises(BadRequest):
            helpers.settings.change(alice, partial(replace, trash_retention=impossible))
    assert helpers.settings.of(alice) == wanted


def test_who_keeps_nothing_finds_nothing_in_the_trash(core: Core, alice: Principal, helpers: Helpers) -> None:
    helpers.settings.change(alice, partial(replace, trash_retention=0))
    core.put(alice, "/f", LARGE)
    core.put(alice, "/f", LARGE)
    core.mkcol(alice, "/d")
    core.tree.discard(alice, path("/f"))
    core.tree.move(alice, path("/d"), path("/.trash/d"), overwrite=False)
    assert helpers.trash.entries(alice) == ()
    helpers.work()
    assert (rows(core, alice), core.used(alice), list(core.store.list())) == (2, 0, [])


# -- into it and out of it


@pytest.mark.parametrize("where", ["/.trash", "/.trash/d", "/.trash/another name"])
def test_a_move_into_the_trash_is_a_discard(core: Core, alice: Principal, helpers: Helpers, where: str) -> None:
    core.mkcol(alice, "/a", "/a/d")
    core.put(alice, "/a/d/f", b"x")
    assert core.tree.move(alice, path("/a/d"), path(where), overwrite=False)
    (entry,) = helpers.trash.entries(alice)
    assert (entry.resource.name, entry.discarded.origin) == ("d", path("/a/d"))
    assert core.names(alice, "/", Depth.INFINITY) == ["a"]
    assert helpers.trash.restore(alice, "d") == path("/a/d")


def test_a_move_into_the_trash_heeds_locks_and_conditions_as_delete_does(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/d/f", b"x")
    token = lock(core, alice, "/d/f").token
    with pytest.raises(Locked):
        core.tree.move(alice, path("/d"), path("/.trash/d"), overwrite=True)
    stale = Preconditions(tokens=frozenset([token]), if_match=TagSet((EntityTag("another"),)))
    with pytest.raises(PreconditionFailed):
        core.tree.move(alice, path("/d/f"), path("/.trash/f"), overwrite=True, preconditions=stale)
    core.tree.move(
        alice, path("/d"), path("/.trash/d"), overwrite=True, preconditions=Preconditions(tokens=frozenset([token]))
    )
    assert core.names(alice, "/.trash") == ["d"]


@pytest.mark.parametrize("where", ["/.trash/x/y", "/.trash/d/y"])
def test_nothing_is_moved_into_what_is_in_the_trash(core: Core, alice: Principal, where: str) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/f")
    core.tree.discard(alice, path("/d"))
    with pytest.raises(Forbidden, match="trash"):
        core.tree.move(alice, path("/f"), path(where), overwrite=True)
    assert core.names(alice) == [".trash", "f"]


@pytest.mark.parametrize("where", ["/.trash", "/.trash/e", "/.trash/d/e", "/.trash/d"])
def test_nothing_is_moved_or_copied_within_the_trash(core: Core, alice: Principal, where: str) -> None:
    core.mkcol(alice, "/d", "/d/x")
    core.tree.discard(alice, path("/d"))
    for source in ("/.trash/d", "/.trash/d/x"):
        with pytest.raises(Forbidden):
            core.tree.move(alice, path(source), path(where), overwrite=True)
        with pytest.raises(Forbidden):
            core.tree.copy(alice, path(source), path(where), overwrite=True, deep=True)
    assert core.names(alice, "/.trash", Depth.INFINITY) == ["d", "d/x"]


def test_moving_out_of_the_trash_over_something_discards_that(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.put(alice, "/f", b"old")
    core.tree.discard(alice, path("/f"))
    core.put(alice, "/f", b"new")
    core.tree.move(alice, path("/.trash/f"), path("/f"), overwrite=True)
    assert core.get(alice, "/f") == b"old"
    (entry,) = helpers.trash.entries(alice)
    assert core.get(alice, f"/.trash/{entry.resource.name}") == b"new"


# -- restore


def test_what_is_restored_is_as_it_was_with_its_properties_times_and_content(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.mkcol(alice, "/a", "/a/b")
    core.put(alice, "/a/b/f", LARGE)
    core.properties.patch(alice, path("/a/b/f"), [PropertyUpdate(P, "<p/>")])
    before = core.listing(alice, "/a/b", Depth.INFINITY)
    core.tree.discard(alice, path("/a/b"))
    with statements(core.database) as seen:
        assert helpers.trash.restore(alice, "b") == path("/a/b")
    assert sum(s.startswith("UPDATE resource") for s in seen) == 3, "it, its parent and the trash"
    assert core.listing(alice, "/a/b", Depth.INFINITY) == before
    assert core.get(alice, "/a/b/f") == LARGE
    assert helpers.trash.entries(alice) == ()


def test_a_restore_makes_the_parents_that_are_missing(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.mkcol(alice, "/a", "/a/b", "/a/b/c")
    core.put(alice, "/a/b/c/f", b"x")
    core.tree.discard(alice, path("/a/b/c/f"))
    core.tree.discard(alice, path("/a"))
    assert helpers.trash.restore(alice, "f") == path("/a/b/c/f")
    assert core.get(alice, "/a/b/c/f") == b"x"
    assert core.names(alice, "/", Depth.INFINITY) == ["a", "a/b", "a/b/c", "a/b/c/f"]
    with pytest.raises(Conflict):
        helpers.trash.restore(alice, "a")


def test_a_restore_never_overwrites_unless_told_to(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.put(alice, "/f", b"old")
    core.tree.discard(alice, path("/f"))
    core.mkcol(alice, "/f")
    with pytest.raises(Conflict):
        helpers.trash.restore(alice, "f")
    assert core.tree.find(alice, path("/f")).is_collection
    assert core.names(alice, "/.trash") == ["f"]
    helpers.trash.restore(alice, "f", overwrite=True)
    assert core.get(alice, "/f") == b"old"
    (entry,) = helpers.trash.entries(alice)
    assert entry.resource.is_collection


def test_a_restore_goes_where_it_is_told_and_takes_a_name_or_an_id(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/f"))
    entry = helpers.trash.entries(alice)[0]
    assert helpers.trash.restore(alice, entry.resource.id, to=path("/new/place")) == path("/new/place")
    assert core.get(alice, "/new/place") == b"x"
    for unknown in ("f", entry.resource.id, 1, 2):
        with pytest.raises(NotFound):
            helpers.trash.restore(alice, unknown)


@pytest.mark.parametrize("where", ["/", "/.trash", "/.trash/f", "/.trash/g/h"])
def test_nothing_is_restored_to_the_root_or_within_the_trash(
    core: Core, alice: Principal, helpers: Helpers, where: str
) -> None:
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/f"))
    with pytest.raises(Forbidden):
        helpers.trash.restore(alice, "f", to=path(where), overwrite=True)
    assert core.names(alice, "/.trash") == ["f"]


def test_a_restore_through_a_file_is_a_conflict_and_changes_nothing(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/file", b"x")
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/f"))
    before = rows(core, alice)
    for where in ("/file/f", "/file/a/b/f"):
        with pytest.raises(Conflict):
            helpers.trash.restore(alice, "f", to=path(where))
    assert rows(core, alice) == before


def test_a_restore_heeds_locks(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/d/f", b"x")
    core.tree.discard(alice, path("/d/f"))
    lock(core, alice, "/d")
    with pytest.raises(Locked):
        helpers.trash.restore(alice, "f")
    with pytest.raises(Locked):
        helpers.trash.restore(alice, "f", to=path("/d/new/f"))
    assert core.names(alice, "/d") == []


def test_older_content_that_is_restored_becomes_the_files_content_and_trades_places(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/f.txt", LARGE)
    first = core.etag(alice, "/f.txt")
    core.put(alice, "/f.txt", b"new")
    core.properties.patch(alice, path("/f.txt"), [PropertyUpdate(P, "<p/>")])
    file = core.tree.find(alice, path("/f.txt"))
    used = core.used(alice)
    with pytest.raises(Conflict):
        helpers.trash.restore(alice, "f.txt")
    core.clock.advance(3600)
    helpers.trash.restore(alice, "f.txt", overwrite=True)
    assert core.get(alice, "/f.txt") == LARGE
    assert core.etag(alice, "/f.txt") == first
    assert core.tree.find(alice, path("/f.txt")).id == file.id
    assert core.listing(alice, "/f.txt", Depth.ZERO)[0].dead[0].name == P
    assert core.used(alice) == used
    (entry,) = helpers.trash.entries(alice)
    assert core.get(alice, "/.trash/f.txt") == b"new"
    assert entry.discarded.is_replaced
    assert entry.discarded.purge_at > core.clock.now + 23 * HOUR
    helpers.trash.restore(alice, "f.txt", overwrite=True)
    assert core.get(alice, "/f.txt") == b"new"


def test_older_content_of_a_file_that_is_gone_comes_back_as_a_file(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/f", b"one")
    core.put(alice, "/f", b"two")
    core.tree.move(alice, path("/f"), path("/g"), overwrite=False)
    helpers.trash.restore(alice, "f")
    assert (core.get(alice, "/f"), core.get(alice, "/g")) == (b"one", b"two")


def test_nobody_restores_or_purges_what_is_anothers(
    core: Core, alice: Principal, bob: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/f"))
    entry = helpers.trash.entries(alice)[0]
    for which in ("f", entry.resource.id):
        with pytest.raises(NotFound):
            helpers.trash.restore(bob, which)
    with pytest.raises(NotFound):
        helpers.trash.purge(bob, path("/.trash/f"))
    helpers.trash.empty(bob)
    helpers.work()
    assert core.get(alice, "/.trash/f") == b"x"


# -- purge


def test_a_delete_in_the_trash_purges_and_of_the_trash_empties_it(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    for name in ("a", "b", "c"):
        core.mkcol(alice, f"/{name}", f"/{name}/sub")
        core.put(alice, f"/{name}/sub/f", LARGE)
        core.tree.discard(alice, path(f"/{name}"))
    core.tree.discard(alice, path("/.trash/a/sub/f"))
    assert core.names(alice, "/.trash/a", Depth.INFINITY) == ["sub"]
    core.tree.discard(alice, path("/.trash/b"))
    assert core.names(alice, "/.trash") == ["c", "a"]
    with pytest.raises(NotFound):
        helpers.trash.restore(alice, "b")
    core.tree.discard(alice, path("/.trash"))
    assert core.names(alice) == [".trash"]
    assert core.names(alice, "/.trash") == []
    assert helpers.trash.entries(alice) == ()
    helpers.work()
    assert (rows(core, alice), core.used(alice), list(core.store.list())) == (2, 0, [])
    core.tree.discard(alice, path("/.trash"))


def test_only_what_is_in_the_trash_can_be_purged(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.put(alice, "/f", b"x")
    for where in ("/f", "/", "/.trash"):
        with pytest.raises(Forbidden):
            helpers.trash.purge(alice, path(where))
    core.tree.discard(alice, path("/f"))
    with pytest.raises(PreconditionFailed):
        core.tree.discard(alice, path("/.trash/f"), Preconditions(if_match=TagSet((EntityTag("another"),))))
    helpers.trash.purge(alice, path("/.trash/f"))
    assert core.names(alice, "/.trash") == []


def test_a_purge_frees_bytes_only_when_nothing_else_refers_to_them(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/f", LARGE)
    core.tree.copy(alice, path("/f"), path("/copy"), overwrite=False, deep=True)
    core.put(alice, "/alone", b"y" * 5000)
    alone = core.tree.find(alice, path("/alone")).revision
    core.tree.discard(alice, path("/f"))
    core.tree.discard(alice, path("/alone"))
    assert core.used(alice) == 15_000
    helpers.trash.empty(alice)
    helpers.work()
    assert core.used(alice) == 5000
    assert core.get(alice, "/copy") == LARGE
    assert core.scalar(select(func.count()).select_from(BlobRow)) == 1
    assert core.scalar(select(func.count()).select_from(RevisionRow)) == 1
    assert alone is not None
    assert blob_key(alone.blob_id) not in {blob.key for blob in core.store.list()}


def test_rows_go_before_bytes_do(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.put(alice, "/f", LARGE)
    core.tree.discard(alice, path("/f"))
    core.tree.discard(alice, path("/.trash/f"))
    assert core.scalar(select(JobRow.kind)) == "purge"
    helpers.work_once()
    assert core.scalar(select(func.count()).select_from(BlobRow)) == 0
    assert len(list(core.store.list())) == 1
    assert core.scalar(select(JobRow.kind)) == "remove_blobs"
    helpers.work_once()
    assert list(core.store.list()) == []


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
def test_a_purge_takes_apart_any_shape_in_pieces_of_any_size(
    core: Core, alice: Principal, helpers: Helpers, piece: int
) -> None:
    core.mkcol(alice, "/d", "/d/a", "/d/a/b", "/d/a/b/c", "/d/e", "/keep")
    for where in ("/d/f", "/d/a/f", "/d/a/b/f", "/d/a/b/c/f", "/d/a/b/c/g", "/d/e/f", "/keep/f"):
        core.put(alice, where, b"123")
    core.properties.patch(alice, path("/d/a/b/f"), [PropertyUpdate(P, "<p/>")])
    core.tree.discard(alice, path("/d"))
    core.tree.discard(alice, path("/.trash/d"))
    used = [core.used(alice)]
    while helpers.purge_piece(alice, piece):
        used.append(core.used(alice))
    assert (rows(core, alice), core.used(alice)) == (4, 3)
    assert core.names(alice, "/", Depth.INFINITY) == ["keep", "keep/f"]
    assert core.scalar(select(func.count()).select_from(PropertyRow)) == 0
    assert used == sorted(used, reverse=True)


def test_what_has_been_in_the_trash_for_its_time_is_purged(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.put(alice, "/early", b"1")
    core.put(alice, "/late", b"1")
    core.tree.discard(alice, path("/early"))
    core.clock.advance(12 * 3600)
    core.tree.discard(alice, path("/late"))
    helpers.recur()
    assert core.names(alice, "/.trash") == ["late", "early"]
    core.clock.advance(12 * 3600)
    helpers.recur()
    assert core.names(alice, "/.trash") == ["late"]
    core.clock.advance(12 * 3600)
    helpers.recur()
    assert rows(core, alice) == 2
    assert core.scalar(select(func.count()).select_from(TrashEntryRow)) == 0
    assert core.scalar(select(TreeRow.used_bytes).where(TreeRow.owner_id == alice.owner_id)) == 0


def test_discard_restore_and_purge_cost_no_more_statements_for_a_big_tree(
    database_url: str,
) -> None:
    core = make_core(Database(database_url), MemoryStore())
    alice = core.add_user("alice")
    helpers = helpers_of(core)

    def cost(where: str) -> tuple[int, int, int]:
        counts = []
        name = path(where).name
        for step in (
            lambda: core.tree.discard(alice, path(where)),
            lambda: helpers.trash.restore(alice, name),
            lambda: core.tree.discard(alice, path(where)),
            lambda: core.tree.discard(alice, path(f"/.trash/{name}")),
        ):
            with statements(core.database) as seen:
                step()
            counts.append(len(seen))
        return counts[0], counts[1], counts[3]

    for where, size in (("/small", 2), ("/big", 50)):
        core.mkcol(alice, where)
        for number in range(size):
            core.put(alice, f"{where}/f{number}", b"x")
    assert cost("/small") == cost("/big")
    core.close()


def test_a_hidden_trash_costs_no_query(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a")
    counts = []
    for who in (alice, Principal(alice.user_id, alice.name, hides_trash=True)):
        with statements(core.database) as seen:
            list(core.tree.listing(who, path("/"), Depth.ONE, Wanted()).entries)
        counts.append(len(seen))
    assert counts[0] == counts[1]
