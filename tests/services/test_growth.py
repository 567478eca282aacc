"""What a use case costs does not depend on what else lies in the tree: counted in steps of SQLite's machine, not in time."""

import sqlite3
from pathlib import Path

from sqlalchemy import event

from davserver.domain.paths import ResourcePath
from davserver.services.lookup import height_of, resolve
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
    assert steps_of_a_page(drive, None) <= alone + 2
    assert steps_of_a_page(drive, (sixth.discarded.discarded_at, sixth.resource.id)) <= alone + 2
    services.close()
