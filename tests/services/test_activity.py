"""The activity log: what happened is in it, what did not is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.db.units import Database
from davserver.domain.activity import Action, ActivityFilter
from davserver.domain.errors import BadRequest, Forbidden, ParentMissing, Unauthenticated
from davserver.domain.principal import Door, Origin, Principal
from davserver.jobs.queue import Job
from davserver.jobs.runner import Work
from davserver.services import activity as module
from davserver.services.activity import Activity
from davserver.stores.folder import FolderStore
from tests.support.core import PASSWORD, Core, make_core, path, statements

EVERYTHING = ActivityFilter()
LAPTOP = Origin(Door.WEBDAV, "192.0.2.7", "laptop")
DAY = 86_400


@pytest.fixture
def core(database_url: str, tmp_path: Path) -> Iterator[Core]:
    made = make_core(Database(database_url), FolderStore(tmp_path / "blobs"))
    yield made
    made.close()


def log_of(core: Core) -> Activity:
    return Activity(core.database, core.clock, 90 * DAY * 1_000_000)


def ada(core: Core) -> Principal:
    return Principal(core.add_user("ada").user_id, "ada", origin=LAPTOP)


def seen(core: Core, who: Principal, wanted: ActivityFilter = EVERYTHING) -> list[tuple[str, str | None, str | None]]:
    page = log_of(core).of(who, wanted)
    return [(entry.action.value, entry.path, entry.to_path) for entry in page.items]


def test_every_change_is_one_entry_however_much_it_moves(core: Core) -> None:
    who = ada(core)
    core.mkcol(who, "/a", "/a/b")
    for n in range(5):
        core.put(who, f"/a/b/{n}.txt", b"x" * n)
    core.put(who, "/a/b/4.txt", b"other")
    core.tree.copy(who, path("/a"), path("/c"), overwrite=False, deep=True)
    core.tree.move(who, path("/c"), path("/d"), overwrite=False)
    core.tree.discard(who, path("/d"))
    core.tree.move(who, path("/.trash/d"), path("/e"), overwrite=False)
    core.tree.discard(who, path("/e"))
    core.tree.discard(who, path("/.trash/e"))
    core.tree.discard(who, path("/.trash"))
    assert seen(core, who) == [
        ("trash_emptied", None, None),
        ("purged", "/.trash/e", None),
        ("deleted", "/e", None),
        ("restored", "/.trash/d", "/e"),
        ("deleted", "/d", None),
        ("moved", "/c", "/d"),
        ("copied", "/a", "/c"),
        ("replaced", "/a/b/4.txt", None),
        *[("uploaded", f"/a/b/{n}.txt", None) for n in (4, 3, 2, 1, 0)],
        ("collection_made", "/a/b", None),
        ("collection_made", "/a", None),
        ("user_added", None, None),
    ]


def test_an_entry_says_who_from_where_and_with_what(core: Core) -> None:
    who = ada(core)
    core.put(who, "/x", b"12345")
    entry = log_of(core).of(who, EVERYTHING).items[0]
    assert (entry.actor, entry.owner, entry.size, entry.origin) == ("ada", "ada", 5, LAPTOP)


def test_what_is_refused_leaves_no_entry(core: Core) -> None:
    who = ada(core)
    before = seen(core, who)
    with pytest.raises(ParentMissing):
        core.put(who, "/missing/x", b"x")
    with pytest.raises(ParentMissing):
        core.tree.make_collection(who, path("/missing/x"))
    assert seen(core, who) == before


def test_a_put_costs_one_more_statement(core: Core) -> None:
    who = ada(core)
    with statements(core.database) as run:
        core.put(who, "/x", b"12345")
    assert sum("INSERT INTO activity" in statement for statement in run) == 1


def test_nobody_sees_what_others_do(core: Core) -> None:
    who, other = ada(core), core.add_user("bob")
    core.put(who, "/x", b"12345")
    assert seen(core, other) == [("user_added", None, None)]
    with pytest.raises(Forbidden):
        log_of(core).audit(other, EVERYTHING)


def test_the_log_is_filtered_by_action_path_door_device_and_time(core: Core) -> None:
    who = ada(core)
    core.mkcol(who, "/a", "/ab")
    core.put(who, "/a/x", b"1")
    core.put(who, "/ab/x", b"1")
    middle = core.clock()
    phone = Principal(who.user_id, "ada", origin=Origin(Door.REST, "192.0.2.8", "phone"))
    core.tree.move(phone, path("/ab/x"), path("/a/y"), overwrite=False)

    def found(**wanted: object) -> list[str | None]:
        return [each[1] for each in seen(core, who, ActivityFilter(**wanted))]  # type: ignore[arg-type]

    assert found(path=path("/a")) == ["/ab/x", "/a/x", "/a"]
    assert found(path=path("/ab")) == ["/ab/x", "/ab/x", "/ab"]
    assert found(actions=frozenset({Action.UPLOADED})) == ["/ab/x", "/a/x"]
    assert found(door=Door.REST) == found(device="phone") == found(address="192.0.2.8") == found(since=middle)
    assert found(since=middle) == ["/ab/x"]
    assert len(found(until=middle)) == 5
    assert found(audit_only=True) == [None]


def test_pages_hold_every_entry_once_while_more_come(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 3)
    who = ada(core)
    for n in range(10):
        core.put(who, f"/{n % 2}{n}", b"1")
    for wanted, expected in (
        (EVERYTHING, [f"/{n % 2}{n}" for n in range(9, -1, -1)]),
        (ActivityFilter(path=path("/00")), ["/00"]),
    ):
        after, paths = None, []
        while True:
            page = log_of(core).of(who, wanted, after=after, limit=2)
            paths += [entry.path for entry in page.items if entry.path]
            after = page.next
            if after is None:
                break
            core.put(core.add_user(f"user{len(paths)}{after}"[:60]), "/other", b"1")
        assert paths == expected
    with pytest.raises(BadRequest):
        log_of(core).of(who, EVERYTHING, after="nonsense")
    with pytest.raises(BadRequest):
        log_of(core).of(who, EVERYTHING, limit=0)


def test_what_is_too_old_is_removed(core: Core) -> None:
    who = ada(core)
    core.put(who, "/old", b"1")
    core.clock.advance(91 * DAY)
    core.put(who, "/new", b"1")
    job = Job(1, module.PRUNE_ACTIVITY, {}, 1, core.clock(), "claim")
    log_of(core).prune(Work(job, lambda: None))
    assert seen(core, who) == [("uploaded", "/new", None)]


def test_a_good_sign_in_is_noted_once_an_hour_by_all_processes_together(core: Core) -> None:
    who = ada(core)
    second = make_core(core.database, core.store, clock=core.clock, keyring=core.keyring)
    for accounts in (core.accounts, core.accounts, second.accounts):
        accounts.authenticate("ada", PASSWORD, LAPTOP)
    core.accounts.authenticate("ada", PASSWORD, Origin(Door.WEBDAV, "192.0.2.9"))
    only = ActivityFilter(actions=frozenset({Action.SIGNED_IN}))
    assert [e.origin.address for e in log_of(core).of(who, only).items] == ["192.0.2.9", "192.0.2.7"]
    core.clock.advance(3601)
    core.accounts.authenticate("ada", PASSWORD, LAPTOP)
    assert len(log_of(core).of(who, only).items) == 3


def test_wrong_passwords_are_noted_within_bounds(core: Core) -> None:
    who = ada(core)
    admin = Principal(core.add_user("root").user_id, "root", is_admin=True)

    def guess(name: str) -> None:
        with pytest.raises(Unauthenticated):
            core.accounts.authenticate(name, "wrong", LAPTOP)

    for _ in range(5):
        guess("ada")
    core.clock.advance(61)
    guess("ada")
    for n in range(20):
        guess(f"hunter{n}")
    guess("DOMAIN\\ada")
    only = ActivityFilter(actions=frozenset({Action.SIGN_IN_FAILED}))
    mine = log_of(core).of(who, only).items
    assert [e.detail for e in mine] == ["wrong password; 4 more since the last entry", "wrong password"]
    everybodys = log_of(core).audit(admin, only).items
    assert [e.detail for e in everybodys if e.owner is None] == ["no such account"] * 20
    assert not any("hunter" in repr(e) for e in everybodys)
