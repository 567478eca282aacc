"""The tree: what MKCOL, COPY, MOVE and DELETE do to it, and what they cost."""

import pytest
from sqlalchemy import func, select, text

from davserver.db.rows import BlobRow, ResourceRow, RevisionRow
from davserver.domain.errors import (
    AlreadyExists,
    BlobMissing,
    DestinationHoldsSource,
    DestinationInsideSource,
    Forbidden,
    NotFound,
    ParentMissing,
    PathTooDeep,
    PreconditionFailed,
    SameResource,
)
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.services.listing import Depth, Wanted
from davserver.services.tree import TreeSettings
from tests.support.core import Core, path, statements

NFC, NFD = "caf\u00e9", "cafe\u0301"


def rows(core: Core, owner: Principal) -> dict[int, tuple[object, ...]]:
    with core.database.read() as connection:
        found = connection.execute(select(ResourceRow.__table__).where(ResourceRow.owner_id == owner.owner_id))
        return {row.id: tuple(row) for row in found}


def fill(core: Core, who: Principal, where: str, count: int) -> None:
    core.mkcol(who, where)
    for number in range(count):
        core.put(who, f"{where}/f{number:04}", b"x")


def test_a_collection_is_made_once(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a", "/a/b")
    with pytest.raises(AlreadyExists):
        core.mkcol(alice, "/a")
    assert core.names(alice, "/", Depth.INFINITY) == ["a", "a/b"]


def test_nothing_is_made_where_the_parent_is_missing_or_a_file(core: Core, alice: Principal) -> None:
    core.put(alice, "/file")
    for where in ("/no/a", "/file/a"):
        with pytest.raises(ParentMissing):
            core.mkcol(alice, where)
        with pytest.raises(ParentMissing):
            core.put(alice, where, b"x")
        with pytest.raises(ParentMissing):
            core.tree.copy(alice, path("/file"), path(where), overwrite=True, deep=True)


def test_two_spellings_of_a_name_are_one_resource_shown_as_first_written(core: Core, alice: Principal) -> None:
    core.put(alice, f"/{NFD}", b"one")
    core.put(alice, f"/{NFC}", b"two")
    assert core.names(alice) == [".trash", NFD]
    assert core.get(alice, f"/{NFC}") == core.get(alice, f"/{NFD}") == b"two"


def test_names_that_differ_in_case_are_two_resources(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"small")
    core.put(alice, "/A", b"big")
    assert core.get(alice, "/a") == b"small"
    assert core.get(alice, "/A") == b"big"


def test_a_move_changes_one_row_besides_the_two_parents(core: Core, alice: Principal) -> None:
    fill(core, alice, "/a", 30)
    core.mkcol(alice, "/b")
    before = rows(core, alice)
    moved = core.tree.find(alice, path("/a")).id
    parents = {core.tree.find(alice, path(p)).id for p in ("/", "/b")}
    with statements(core.database) as seen:
        core.tree.move(alice, path("/a"), path("/b/c"), overwrite=False)
    after = rows(core, alice)
    assert {i for i in after if after[i] != before[i]} == {moved, *parents}
    assert sum(s.startswith("UPDATE resource") for s in seen) == 3
    assert len(core.names(alice, "/b/c")) == 30


def test_a_discard_changes_one_row_besides_the_parent_and_the_trash(core: Core, alice: Principal) -> None:
    fill(core, alice, "/a", 30)
    before = rows(core, alice)
    ids = {core.tree.find(alice, path(p)).id for p in ("/", "/a", "/.trash")}
    core.tree.discard(alice, path("/a"))
    after = rows(core, alice)
    assert {i for i in after if after[i] != before[i]} == ids
    assert core.names(alice, "/", Depth.INFINITY) == []
    assert len(core.names(alice, "/.trash/a")) == 30


@pytest.mark.parametrize("change", ["move", "copy", "discard"])
def test_a_change_costs_as_many_statements_for_a_big_tree_as_for_a_small_one(
    core: Core, alice: Principal, change: str
) -> None:
    fill(core, alice, "/small", 2)
    fill(core, alice, "/big", 40)
    counts = []
    for name in ("small", "big"):
        with statements(core.database) as seen:
            if change == "discard":
                core.tree.discard(alice, path(f"/{name}"))
            elif change == "copy":
                core.tree.copy(alice, path(f"/{name}"), path(f"/{name}2"), overwrite=False, deep=True)
            else:
                core.tree.move(alice, path(f"/{name}"), path(f"/{name}2"), overwrite=False)
        counts.append(len(seen))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("depth", list(Depth))
def test_a_listing_costs_as_many_queries_whatever_its_size(core: Core, alice: Principal, depth: Depth) -> None:
    fill(core, alice, "/small", 2)
    fill(core, alice, "/big", 40)
    counts = []
    for name in ("small", "big"):
        with statements(core.database) as seen:
            listing = core.tree.listing(alice, path(f"/{name}"), depth, Wanted(dead=True, locks=True, usage=True))
            list(listing.entries)
        counts.append(len(seen))
    assert counts[0] == counts[1]
    # Where it is, what is below, dead properties, locks, usage and what is reserved; SQLite begins twice by itself.
    assert counts[0] <= 6 + 2 * core.database.is_sqlite


def test_a_copy_moves_no_bytes_and_takes_dead_properties_along(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a")
    core.put(alice, "/a/inline", b"i" * 10)
    core.put(alice, "/a/stored", b"s" * 5000)
    name = PropertyName("urn:x", "p")
    core.properties.patch(alice, path("/a/stored"), [PropertyUpdate(name, "<p/>")])
    counts = [core.scalar(select(func.count()).select_from(table)) for table in (BlobRow, RevisionRow)]
    objects = list(core.store.list())
    assert core.tree.copy(alice, path("/a"), path("/b"), overwrite=False, deep=True)
    assert [core.scalar(select(func.count()).select_from(table)) for table in (BlobRow, RevisionRow)] == counts
    assert list(core.store.list()) == objects
    assert core.get(alice, "/b/stored") == b"s" * 5000
    assert core.get(alice, "/b/inline") == b"i" * 10
    (entry,) = core.listing(alice, "/b/stored", Depth.ZERO)
    assert [(d.name, d.xml) for d in entry.dead] == [(name, "<p/>")]


def test_a_copy_is_independent_of_its_source(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"old")
    core.tree.copy(alice, path("/a"), path("/b"), overwrite=False, deep=True)
    core.put(alice, "/a", b"new")
    core.tree.discard(alice, path("/a"))
    assert core.get(alice, "/b") == b"old"


def test_a_shallow_copy_of_a_collection_takes_its_properties_and_no_members(core: Core, alice: Principal) -> None:
    fill(core, alice, "/a", 3)
    core.properties.patch(alice, path("/a"), [PropertyUpdate(PropertyName("", "p"), "<p/>")])
    core.tree.copy(alice, path("/a"), path("/b"), overwrite=False, deep=False)
    assert core.names(alice, "/b") == []
    assert core.listing(alice, "/b", Depth.ZERO)[0].dead[0].xml == "<p/>"


def test_a_shallow_copy_of_the_root_makes_an_empty_collection(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"x")
    core.tree.copy(alice, path("/"), path("/b"), overwrite=False, deep=False)
    assert core.names(alice, "/b") == []


def test_a_collection_cannot_be_put_into_itself(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a", "/a/b")
    for destination in ("/a/b/c", "/a/x"):
        with pytest.raises(DestinationInsideSource):
            core.tree.move(alice, path("/a"), path(destination), overwrite=True)
        with pytest.raises(DestinationInsideSource):
            core.tree.copy(alice, path("/a"), path(destination), overwrite=True, deep=True)
    with pytest.raises(DestinationInsideSource):
        core.tree.copy(alice, path("/"), path("/x"), overwrite=True, deep=True)
    assert core.names(alice, "/", Depth.INFINITY) == ["a", "a/b"]


def chain(core: Core, who: Principal, top: str, levels: int) -> str:
    """Collections in one another, and the path of the innermost."""
    where = ""
    for _ in range(levels):
        where += f"/{top}"
        core.mkcol(who, where)
    return where


def test_nothing_is_put_where_its_members_would_lie_too_deep(core: Core, alice: Principal) -> None:
    core.tree._settings = TreeSettings(max_depth=10)
    inner = chain(core, alice, "a", 6)
    outer = chain(core, alice, "b", 4)
    core.put(alice, f"{inner}/f", b"x")  # seven levels
    with pytest.raises(PathTooDeep):
        core.tree.move(alice, path("/a"), path(f"{outer}/x"), overwrite=False)
    with pytest.raises(PathTooDeep):
        core.tree.copy(alice, path("/a"), path(f"{outer}/x"), overwrite=False, deep=True)
    core.tree.copy(alice, path("/a"), path("/b/b/b/x"), overwrite=False, deep=True)
    assert core.get(alice, "/b/b/b/x/a/a/a/a/a/f") == b"x"
    core.tree.discard(alice, path("/a"))
    with pytest.raises(PathTooDeep):
        core.tree.move(alice, path("/.trash/a"), path(f"{outer}/x"), overwrite=False)
    core.tree.move(alice, path("/.trash/a"), path("/c"), overwrite=False)


def test_nothing_is_put_over_what_holds_it(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a", "/a/b", "/a/b/c")
    for destination in ("/a", "/a/b"):
        with pytest.raises(DestinationHoldsSource):
            core.tree.move(alice, path("/a/b/c"), path(destination), overwrite=True)
        with pytest.raises(DestinationHoldsSource):
            core.tree.copy(alice, path("/a/b/c"), path(destination), overwrite=True, deep=True)
    assert core.names(alice, "/", Depth.INFINITY) == ["a", "a/b", "a/b/c"]


def test_nothing_is_put_over_itself_however_it_is_spelt(core: Core, alice: Principal) -> None:
    core.mkcol(alice, f"/{NFC}")
    for name in (NFC, NFD):
        with pytest.raises(SameResource):
            core.tree.move(alice, path(f"/{NFC}"), path(f"/{name}"), overwrite=True)
        with pytest.raises(SameResource):
            core.tree.copy(alice, path(f"/{NFC}"), path(f"/{name}"), overwrite=True, deep=True)


def test_what_exists_is_replaced_only_when_asked_and_then_lies_in_the_trash(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"source")
    fill(core, alice, "/b", 2)
    with pytest.raises(PreconditionFailed):
        core.tree.move(alice, path("/a"), path("/b"), overwrite=False)
    assert not core.tree.move(alice, path("/a"), path("/b"), overwrite=True)
    assert core.get(alice, "/b") == b"source"
    assert core.names(alice, "/.trash/b") == ["f0000", "f0001"]


def test_the_root_and_the_trash_stay(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/a")
    for where in ("/", "/.trash"):
        with pytest.raises(Forbidden):
            core.tree.move(alice, path(where), path("/a/x"), overwrite=True)
        with pytest.raises(Forbidden):
            core.tree.copy(alice, path("/a"), path(where), overwrite=True, deep=True)
    with pytest.raises(Forbidden):
        core.tree.discard(alice, path("/"))


def test_nothing_is_written_in_the_trash(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d", "/e")
    core.put(alice, "/f", b"x")
    core.tree.discard(alice, path("/d"))
    for where in ("/.trash/new", "/.trash/d/new"):
        with pytest.raises(Forbidden):
            core.put(alice, where, b"x")
        with pytest.raises(Forbidden):
            core.mkcol(alice, where)
        with pytest.raises(Forbidden):
            core.tree.copy(alice, path("/f"), path(where), overwrite=True, deep=True)
    with pytest.raises(Forbidden):
        core.properties.patch(alice, path("/.trash/d"), [PropertyUpdate(PropertyName("", "p"), "<p/>")])


def test_what_was_discarded_can_be_read_copied_and_moved_out(core: Core, alice: Principal) -> None:
    fill(core, alice, "/d", 3)
    core.properties.patch(alice, path("/d/f0000"), [PropertyUpdate(PropertyName("", "p"), "<p/>")])
    core.tree.discard(alice, path("/d"))
    assert core.get(alice, "/.trash/d/f0001") == b"x"
    core.tree.copy(alice, path("/.trash/d"), path("/copy"), overwrite=False, deep=True)
    core.tree.move(alice, path("/.trash/d/f0002"), path("/one"), overwrite=False)
    core.tree.move(alice, path("/.trash/d"), path("/back"), overwrite=False)
    assert core.names(alice, "/.trash") == []
    assert core.names(alice, "/back") == ["f0000", "f0001"]
    assert core.names(alice, "/copy") == ["f0000", "f0001", "f0002"]
    assert core.listing(alice, "/back/f0000", Depth.ZERO)[0].dead[0].xml == "<p/>"


def test_a_second_one_of_the_same_name_gets_a_number_before_its_extension(core: Core, alice: Principal) -> None:
    for _ in range(3):
        core.put(alice, "/report.pdf", b"x")
        core.tree.discard(alice, path("/report.pdf"))
    assert core.names(alice, "/.trash") == ["report (3).pdf", "report (2).pdf", "report.pdf"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "name", ["a" * 255, "a." + "b" * 253, "." + "b" * 254, "\u00e9" * 127, "a" * 250 + ".text", "\u0958" * 42 + ".x"]
)
def test_discarding_works_however_long_the_name_is(core: Core, alice: Principal, name: str) -> None:
    for _ in range(3):
        core.put(alice, f"/{name}", b"x")
        core.tree.discard(alice, path(f"/{name}"))
    names = core.names(alice, "/.trash")
    assert len(set(names)) == 3
    for shown in names:
        assert core.get(alice, f"/.trash/{shown}") == b"x"


def test_a_listing_of_everything_leaves_the_trash_out(core: Core, alice: Principal) -> None:
    fill(core, alice, "/d", 2)
    core.tree.discard(alice, path("/d"))
    assert core.names(alice, "/", Depth.INFINITY) == []
    assert core.names(alice, "/") == [".trash"]
    assert core.names(alice, "/.trash", Depth.INFINITY) == ["d", "d/f0000", "d/f0001"]


def test_parents_come_before_their_members(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/z", "/z/y", "/z/y/x", "/a")
    core.tree.move(alice, path("/z"), path("/a/z"), overwrite=False)  # its id is lower than its parent's
    assert core.names(alice, "/", Depth.INFINITY) == ["a", "a/z", "a/z/y", "a/z/y/x"]


def test_a_membership_change_shows_in_the_parents_modification_time(core: Core, alice: Principal) -> None:
    def modified(where: str) -> int:
        return core.tree.find(alice, path(where)).modified_at

    core.mkcol(alice, "/a", "/b")
    before = modified("/a"), modified("/b")
    core.put(alice, "/a/f", b"x")
    assert modified("/a") > before[0]
    before = modified("/a"), modified("/b")
    core.tree.move(alice, path("/a/f"), path("/b/f"), overwrite=False)
    assert modified("/a") > before[0]
    assert modified("/b") > before[1]
    before = modified("/a"), modified("/b")
    core.tree.discard(alice, path("/b/f"))
    assert modified("/b") > before[1]
    assert modified("/a") == before[0]


def test_another_user_sees_nothing_whatever_path_or_id_they_use(core: Core, alice: Principal, bob: Principal) -> None:
    core.mkcol(alice, "/secret")
    core.put(alice, "/secret/inline", b"mine")
    core.put(alice, "/secret/stored", b"m" * 5000)
    for where in ("/secret", "/secret/inline", "/secret/stored"):
        with pytest.raises(NotFound):
            core.tree.find(bob, path(where))
        with pytest.raises(NotFound):
            core.tree.discard(bob, path(where))
        with pytest.raises(NotFound):
            core.tree.copy(bob, path(where), path("/mine"), overwrite=True, deep=True)
        with pytest.raises(NotFound):
            core.tree.move(bob, path(where), path("/mine"), overwrite=True)
        with pytest.raises(NotFound):
            core.properties.patch(bob, path(where), [PropertyUpdate(PropertyName("", "p"), "<p/>")])
    for name in ("inline", "stored"):
        resource = core.tree.find(alice, path(f"/secret/{name}"))
        with pytest.raises(BlobMissing):
            # Even with the value in hand, and the blob's id in it, the content is not theirs.
            core.content.read(bob, resource, 0, 4)
    assert core.names(bob, "/", Depth.INFINITY) == []
    assert core.used(bob) == 0
    core.mkcol(bob, "/secret")
    core.tree.discard(bob, path("/secret"))
    assert core.get(alice, "/secret/inline") == b"mine"


def test_usage_counts_every_file_in_the_tree_and_in_the_trash(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"12345")
    core.tree.copy(alice, path("/a"), path("/b"), overwrite=False, deep=True)
    assert core.used(alice) == 10
    core.tree.discard(alice, path("/a"))
    assert core.used(alice) == 10
    core.put(alice, "/b", b"123")
    assert core.used(alice) == 13
    counted = text(
        "SELECT sum(v.size) FROM resource r JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"
    )
    assert core.scalar(counted) == 13
