"""Users in the hands of an administrator, on SQLite and PostgreSQL."""

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from davserver.cli import main
from davserver.db.rows import BlobRow, ResourceRow, RevisionRow, UserRow
from davserver.domain.activity import Action, ActivityFilter
from davserver.domain.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthenticated
from davserver.domain.principal import Door, Origin, Principal
from davserver.services.activity import Activity
from davserver.services.background import BackgroundWork
from davserver.services.users import UserFilter, Users
from tests.support.core import PASSWORD, Core, path

CLI = Origin(Door.CLI)


@pytest.fixture
def users(core: Core) -> Users:
    return Users(core.database, core.clock)


@pytest.fixture
def root(core: Core) -> Principal:
    return admin(core, "root")


def admin(core: Core, name: str) -> Principal:
    found = core.add_user(name)
    with core.database.write() as unit:
        unit.connection.execute(update(UserRow).where(UserRow.id == found.user_id).values(is_admin=True))
    return replace(found, is_admin=True, origin=Origin(Door.REST, "192.0.2.1"))


def audit(
    core: Core, root: Principal, *actions: Action, **wanted: str
) -> list[tuple[str, str | None, str | None, str | None]]:
    log = Activity(core.database, core.clock, 10**15)
    found = log.audit(root, ActivityFilter(actions=frozenset(actions) or None, **wanted)).items  # type: ignore[arg-type]
    return [(one.action.value, one.owner, one.actor, one.detail) for one in found]


def test_users_are_listed_by_name_and_found_by_what_they_are(core: Core, users: Users, root: Principal) -> None:
    for name in ("Bob", "alice", "carol"):
        core.add_user(name)
    users.change(CLI, "carol", {"is_disabled": True})
    assert [one.name for one in users.list(root)] == ["alice", "Bob", "carol", "root"]
    assert [one.name for one in users.list(root, after="ALICE", limit=2)] == ["Bob", "carol"]
    assert [one.name for one in users.list(root, UserFilter(name="BO"))] == ["Bob"]
    assert [one.name for one in users.list(root, UserFilter(name="%"))] == []
    assert [one.name for one in users.list(root, UserFilter(is_admin=True))] == ["root"]
    assert [one.name for one in users.list(root, UserFilter(is_disabled=True))] == ["carol"]


def test_nobody_else_does_what_administrators_do(core: Core, users: Users) -> None:
    alice = core.add_user("alice")
    work = BackgroundWork(core.database, core.clock)
    for refused in (
        lambda: users.list(alice),
        lambda: users.find(alice, alice.user_id),
        lambda: users.change(alice, alice.user_id, {"quota_bytes": None}),
        lambda: users.delete(alice, alice.user_id, "alice"),
        lambda: work.list(alice),
        lambda: work.retry(alice, 1),
        lambda: work.forget(alice, 1),
    ):
        with pytest.raises(Forbidden):
            refused()


def test_what_is_changed_is_in_the_log_with_who_did_it(core: Core, users: Users, root: Principal) -> None:
    bob = core.add_user("bob")
    changed = users.change(root, bob.user_id, {"quota_bytes": 5 * 1024**3, "is_admin": True, "email": "b@example.org"})
    assert (changed.quota_bytes, changed.is_admin, changed.email) == (5 * 1024**3, True, "b@example.org")
    users.change(root, bob.user_id, {"quota_bytes": 5 * 1024**3})  # nothing new
    users.change(root, "BOB", {"is_disabled": True})
    users.change(CLI, "bob", {"is_disabled": False})
    assert audit(core, root, user="bob")[:3] == [
        ("user_enabled", "bob", None, None),
        ("user_disabled", "bob", "root", None),
        ("user_changed", "bob", "root", "is an administrator, quota 5G, e-mail address"),
    ]
    with pytest.raises(BadRequest):
        users.change(root, bob.user_id, {"email": "no address"})
    with pytest.raises(NotFound):
        users.change(root, 999, {"quota_bytes": 1})


def test_nobody_shuts_out_themselves(core: Core, users: Users, root: Principal) -> None:
    for changes in ({"is_disabled": True}, {"is_admin": False}):
        with pytest.raises(Conflict):
            users.change(root, root.user_id, changes)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        users.delete(root, root.user_id, "root")
    assert users.change(root, root.user_id, {"quota_bytes": 7}).quota_bytes == 7
    assert not users.change(CLI, "root", {"is_admin": False}).is_admin
    with pytest.raises(Forbidden):  # what was true when the request began is asked for again
        users.change(root, root.user_id, {"quota_bytes": 8})


def test_of_two_administrators_who_demote_each_other_one_is_left(core: Core, users: Users, root: Principal) -> None:
    other = admin(core, "other")
    pairs = [(root, other), (other, root)]
    start = threading.Barrier(2)

    def demote(by: Principal, whom: Principal) -> None:
        start.wait(30)
        with contextlib.suppress(Forbidden):
            users.change(by, whom.user_id, {"is_admin": False})

    threads = [threading.Thread(target=demote, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(users.list(CLI, UserFilter(is_admin=True))) == 1


def test_a_password_that_was_disabled_during_an_upload_commits_nothing(core: Core, users: Users) -> None:
    alice = core.add_user("alice")
    users.change(CLI, "alice", {"is_disabled": True})
    with pytest.raises(Unauthenticated):
        core.put(alice, "/a", b"x")
    core.put(replace(alice, origin=CLI), "/a", b"x")  # an operator still can


def test_who_is_deleted_is_gone_with_all_files_and_never_somebody_else(
    core: Core, users: Users, root: Principal
) -> None:
    bob = core.add_user("bob")
    core.mkcol(bob, "/a", "/a/b")
    core.put(bob, "/a/b/large", b"x" * 50_000)
    core.put(bob, "/small", b"y")
    core.put(bob, "/gone", b"z")
    core.tree.discard(bob, path("/gone"))
    with pytest.raises(Conflict):
        users.delete(root, bob.user_id, "bob")
    users.change(root, bob.user_id, {"is_disabled": True})
    with pytest.raises(BadRequest):
        users.delete(root, bob.user_id, "Bob")
    users.delete(root, bob.user_id, "bob")
    for missing in (bob.user_id, "bob", f":{bob.user_id}"):
        with pytest.raises(NotFound):
            users.find(root, missing)
    with pytest.raises(NotFound):
        users.delete(root, bob.user_id, "bob")
    assert "bob" not in [one.name for one in users.list(root)]
    assert "bob" not in [one.name for one in core.accounts.users()]
    with pytest.raises(Unauthenticated):
        core.accounts.authenticate("bob", PASSWORD)
    again = core.add_user("bob")
    assert again.user_id != bob.user_id
    log = Activity(core.database, core.clock, 10**15)
    assert [one.action for one in log.of(again, ActivityFilter()).items] == [Action.USER_ADDED]
    assert audit(core, root, Action.USER_REMOVED) == [("user_removed", "bob", "root", "bob")]
    core.runner().look()
    with core.database.read() as connection:
        for table in (ResourceRow, RevisionRow):
            left = connection.execute(select(func.count()).where(table.owner_id == bob.user_id)).scalar_one()
            assert left == (2 if table is ResourceRow else 0)  # the root and the trash
        assert connection.execute(select(func.count()).select_from(BlobRow)).scalar_one() == 0
    assert not core.verify().findings


def test_the_command_line_makes_administrators_and_deletes_who_is_disabled(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAVSERVER_DATA_DIR", f"{tmp_path}/var")
    assert main(["user", "add", "ada"]) == 0
    capsys.readouterr()
    assert main(["user", "change", "ada", "--admin", "--quota", "5G", "--email", "a@example.org"]) == 0
    assert capsys.readouterr().out == "ada: administrator, quota 5G, a@example.org.\n"
    assert main(["user", "change", "ada", "--no-admin", "--quota", "none"]) == 0
    assert capsys.readouterr().out == "ada: user, quota none, a@example.org.\n"
    assert main(["user", "change", "ada"]) == 1
    assert main(["user", "delete", "ada", "--again", "ada"]) == 1
    assert "Disable this user first" in capsys.readouterr().err
    assert main(["user", "disable", "ada"]) == 0
    assert main(["user", "delete", "ada", "--again", "ada"]) == 0
    capsys.readouterr()
    assert main(["user", "list"]) == 0
    assert "ada" not in capsys.readouterr().out
