"""What a use case costs does not depend on what else lies in the tree: counted in steps and rows, not in time."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text, update

from davserver.db.rows import RevisionRow
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.trash import TrashEntry
from davserver.services.lookup import height_of, resolve
from davserver.services.quarantine import Found, Quarantine
from davserver.services.trash import Trash
from davserver.services.tree import TreeSettings
from tests.support.core import INLINE_LIMIT, Core, statements
from tests.support.core import path as at
from tests.support.drive import Drive, MovableClock, app_of, new_drive, open_services


def steps_of_a_page(drive: Drive, after: tuple[int, int] | None) -> int:
    """Tens of steps that it takes to find two entries of the trash."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    def watch(raw: sqlite3.Connection, *_: object) -> None:
        raw.set_progress_handler(count, 10)

    def leave(raw: sqlite3.Connection, *_: object) -> None:
        raw.set_progress_handler(None, 10)

    engine = drive.services.database.engine
    event.listen(engine, "checkout", watch)
    event.listen(engine, "checkin", leave)
    try:
        assert len(drive.services.trash.page(drive.principal, after=after, limit=2)) == 2
    finally:
        event.remove(engine, "checkout", watch)
        event.remove(engine, "checkin", leave)
    return steps[0]


def steps_of_height(drive: Drive, path: str) -> int:
    """Tens of steps that it takes to find how many levels lie below a path."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    with drive.services.database.read() as connection:
        owner = drive.principal.user_id
        target = resolve(connection, owner, ResourcePath.parse(path)).must_exist()
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(count, 10)
        assert height_of(connection, owner, target.id) == 2
        raw.set_progress_handler(None, 10)
    return steps[0]


def test_the_height_of_a_folder_costs_the_same_whatever_else_there_is(tmp_path: Path) -> None:
    clock = MovableClock()
    services = open_services(tmp_path, clock)
    drive = new_drive(services, app_of(services, clock), clock)
    drive.mkcol("/a/")
    drive.mkcol("/a/b/")
    drive.put("/a/b/file")
    alone = steps_of_height(drive, "/a")
    for number in range(60):
        drive.mkcol(f"/other-{number}/")
        drive.put(f"/other-{number}/file")
    assert steps_of_height(drive, "/a") <= alone + 2
    services.close()


def test_a_page_of_the_trash_costs_the_same_whatever_else_is_in_it(tmp_path: Path) -> None:
    clock = MovableClock()
    services = open_services(tmp_path, clock)
    drive = new_drive(services, app_of(services, clock), clock)

    def discard(count: int) -> None:
        for _ in range(count):
            drive.put("/file")
            drive.request("DELETE", "/file")

    discard(6)
    sixth = services.trash.entries(drive.principal)[3]
    alone = steps_of_a_page(drive, None)
    discard(60)
    assert steps_of_a_page(drive, None) <= alone + 5
    assert steps_of_a_page(drive, (sixth.discarded.discarded_at, sixth.resource.id)) <= alone + 5
    services.close()


READ = text(
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
    " WHERE relname IN ('resource', 'revision', 'property', 'trash_entry', 'lock', 'users')"
)


def work_of(core: Core, do: Callable[[], object], *, reading: bool = False) -> int:
    """What a use case takes in its units, or, `reading`, besides: tens of SQLite's steps, or rows that PostgreSQL reads."""
    work = 0

    def count() -> int:
        nonlocal work
        work += 1
        return 0

    def begin(connection: Connection) -> None:
        nonlocal work
        if core.database.is_sqlite:
            raw: Any = connection.connection.driver_connection
            raw.set_progress_handler(count, 10)
        else:
            work -= int(connection.execute(READ).scalar() or 0)  # of transactions before that are not reported yet

    def end(connection: Connection) -> None:
        nonlocal work
        if core.database.is_sqlite:
            raw: Any = connection.connection.driver_connection
            raw.set_progress_handler(None, 10)
        else:
            work += int(connection.execute(READ).scalar() or 0)

    # A read is never committed: there is nothing to keep.
    engine, ended = (core.database.engine, "rollback") if reading else (core.database._writer, "commit")
    event.listen(engine, "begin", begin)
    event.listen(engine, ended, end)
    try:
        do()
    finally:
        event.remove(engine, "begin", begin)
        event.remove(engine, ended, end)
    assert work
    return work


def analyze(core: Core) -> None:
    """What PostgreSQL does by itself, within a minute of many changes."""
    if not core.database.is_sqlite:
        with core.database.write() as unit:
            unit.connection.exec_driver_sql("ANALYZE")


def test_a_change_costs_the_same_whatever_else_there_is(
    core: Core, alice: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is read is the same however it is sent, and between packets nothing can be asked.
    monkeypatch.setattr(core.database, "write_in_packets", core.database.write)
    core.mkcol(alice, "/a", "/a/deep", "/more")
    for number in range(50):
        core.put(alice, f"/a/{number}", b"content")
    tree, trash = core.tree, at("/.trash/c")
    use_cases: dict[str, Callable[[], object]] = {
        "copy": lambda: tree.copy(alice, at("/a/1"), at("/a/c"), deep=True, overwrite=True),
        "move": lambda: tree.move(alice, at("/a/c"), at("/a/deep/c"), overwrite=False),
        "discard": lambda: tree.discard(alice, at("/a/deep/c")),
        "restore": lambda: tree.move(alice, trash, at("/c"), overwrite=False),
        "copy a folder": lambda: tree.copy(alice, at("/a"), at("/b"), deep=True, overwrite=True),
        "move a folder": lambda: tree.move(alice, at("/b"), at("/more/b"), overwrite=True),
        "discard a folder": lambda: tree.discard(alice, at("/more/b")),
        "purge": lambda: tree.discard(alice, at("/.trash/b")),
        "replace": lambda: core.put(alice, "/c", bytes(2 * INLINE_LIMIT)),
        "purge a file": lambda: tree.discard(alice, at("/.trash/c")),
        "discard another": lambda: tree.discard(alice, at("/c")),
        "purge the rest": lambda: tree.discard(alice, at("/.trash")),
    }
    for number in range(10):
        tree.copy(alice, at("/a"), at(f"/more/{number}"), deep=True, overwrite=False)
    analyze(core)
    alone = {name: work_of(core, do) for name, do in use_cases.items()}
    for number in range(10, 70):
        tree.copy(alice, at("/a"), at(f"/more/{number}"), deep=True, overwrite=False)
    analyze(core)
    in_company = {name: work_of(core, do) for name, do in use_cases.items()}
    assert {name: (work, in_company[name]) for name, work in alone.items() if in_company[name] > work * 1.5 + 100} == {}


def test_a_path_is_found_as_cheaply_in_a_tree_that_has_just_grown(core: Core, alice: Principal) -> None:
    def find() -> None:
        with core.database.write() as unit:
            resolve(unit.connection, alice, at("/a/b/c")).must_exist()

    core.mkcol(alice, "/a", "/a/b")
    core.put(alice, "/a/b/c", b"content")
    alone = work_of(core, find)
    for number in range(150):  # and PostgreSQL has had no time to look at the tables anew
        core.put(alice, f"/a/{number}", b"content")
    assert work_of(core, find) <= alone + 20


def test_a_page_of_the_trash_costs_the_same_whatever_lies_in_its_folders(core: Core, alice: Principal) -> None:
    trash = Trash(core.database, core.clock, core.tree, TreeSettings())

    def fill(name: str, files: int) -> None:
        core.mkcol(alice, f"/{name}", f"/{name}/deep")
        for number in range(files):
            core.put(alice, f"/{name}/deep/{number}", b"content")

    def page() -> tuple[TrashEntry, ...]:
        return trash.page(alice, limit=2)

    for name in ("a", "b"):
        fill(name, 2)
        core.tree.discard(alice, at(f"/{name}"))
    assert [entry.files for entry in page()] == [2, 2]
    analyze(core)
    alone = work_of(core, page, reading=True)
    for name in ("c", "d"):
        fill(name, 200)
        core.tree.discard(alice, at(f"/{name}"))
    assert [(entry.files, entry.size) for entry in page()] == [(200, 1400), (200, 1400)]
    analyze(core)
    assert work_of(core, page, reading=True) <= alone * 1.5 + 20
    assert [(entry.files, entry.size) for entry in page()] == [(200, 1400), (200, 1400)]


def infect(core: Core, owner: Principal) -> None:
    """Have a virus found in all files of an owner, as scans would."""
    with core.database.write() as unit:
        found = update(RevisionRow).where(RevisionRow.owner_id == owner.owner_id)
        unit.connection.execute(found.values(verdict="infected", signature="Test-Virus"))


def test_a_page_of_infected_files_costs_the_same_however_many_there_are(
    core: Core, alice: Principal, bob: Principal
) -> None:
    quarantine = Quarantine(core.database, core.clock)
    core.mkcol(alice, "/a", "/a/b")
    core.put(bob, "/one", b"bad content")
    for number in range(6):
        core.put(alice, f"/a/b/{number}", bytes([number]))
    core.mkcol(bob, "/clean")
    for owner in (alice, bob):
        infect(core, owner)
    core.put(bob, "/clean/file", b"good content")
    analyze(core)

    def page_after(found: Found) -> Callable[[], object]:
        return lambda: quarantine.page(after=(found.owner_id, found.revision_id, found.resource_id), limit=2)

    second = quarantine.page(limit=2)[-1]
    with statements(core.database) as seen:
        assert [found.path for found in quarantine.page(limit=2)] == ["/a/b/0", "/a/b/1"]
    assert len([one for one in seen if one not in {"BEGIN", str(READ)}]) == 1
    alone = work_of(core, page_after(second), reading=True)
    for number in range(6, 200):
        core.put(alice, f"/a/b/{number}", bytes([number]))
        core.put(bob, f"/clean/{number}", bytes([number]))
    infect(core, alice)
    analyze(core)
    with statements(core.database) as seen:
        assert work_of(core, page_after(second), reading=True) <= alone * 1.5 + 20
    assert len([one for one in seen if one not in {"BEGIN", str(READ)}]) == 1
    in_the_middle = quarantine.page(limit=150)[-1]
    assert work_of(core, page_after(in_the_middle), reading=True) <= alone * 1.5 + 20
