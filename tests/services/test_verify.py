"""Verify: every kind of damage is found, nothing sound is, and a repair loses nothing."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, text

from davserver.crypto.keyring import KeyRing
from davserver.db.rows import BlobRow, JobRow, UploadRow
from davserver.db.units import Database
from davserver.domain.clock import HOUR, system_clock
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import DavserverError
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.services.changes import REMOVE_BLOBS
from davserver.services.locks import LockRequest
from davserver.services.trash import Trash
from davserver.services.tree import TreeSettings
from davserver.services.verify import Kind, Report, Stage, Verify
from davserver.stores.base import blob_key
from davserver.stores.folder import FolderStore
from tests.support.core import Core, make_core, path

LARGE = os.urandom(20_000)


def kinds(report: Report) -> set[Kind]:
    return {found.kind for found in report.findings}


@pytest.fixture
def lived_in(core: Core, alice: Principal, bob: Principal) -> Core:
    """A drive where everything was used: two users, both ways of keeping content, copies, trash, locks and properties."""
    for who in (alice, bob):
        core.mkcol(who, "/d", "/d/e")
        core.put(who, "/d/small", b"small")
        core.put(who, "/d/large", LARGE)
        core.put(who, "/d/large", LARGE[::-1])
        core.tree.copy(who, path("/d"), path("/copy"), overwrite=False, deep=True)
        core.properties.patch(who, path("/d/small"), [PropertyUpdate(PropertyName("", "p"), "<p/>")])
        core.locks.acquire(
            who, path("/d/e"), LockRequest(LockScope.SHARED, is_deep=True, owner_xml="", seconds=60), NO_CONDITIONS
        )
        core.tree.discard(who, path("/copy/e"))
        core.tree.move(who, path("/copy/large"), path("/copy/small"), overwrite=True)
    return core


@contextmanager
def damaging(core: Core) -> Iterator[Connection]:
    """A connection on which the database's own checks are off."""
    with core.database.engine.connect() as connection:
        if core.database.is_sqlite:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
            connection.commit()
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        yield connection
        connection.commit()
        connection.invalidate()  # its settings go with it


def execute(statement: str) -> Callable[[Core], object]:
    def damage(core: Core) -> None:
        with damaging(core) as connection:
            changed = connection.execute(text(statement))
            assert changed.rowcount > 0

    return damage


def on_a_file(change: Callable[[Path], object]) -> Callable[[Core], object]:
    def damage(core: Core) -> None:
        assert isinstance(core.store, FolderStore)
        key = min(blob.key for blob in core.store.list())
        change(core.store._root / key)

    return damage


def flip(file: Path) -> None:
    sealed = bytearray(file.read_bytes())
    sealed[5000] ^= 1
    file.write_bytes(sealed)


def stray(core: Core) -> None:
    core.store.put(blob_key("ab" * 16), iter([b"stray"]), 5)


FILE = "(SELECT min(id) FROM resource WHERE owner_id = 1 AND revision_id IS NOT NULL)"
DAMAGES: dict[str, tuple[Callable[[Core], object], Kind]] = {
    "bytes removed": (on_a_file(Path.unlink), Kind.BYTES_MISSING),
    "bytes cut": (on_a_file(lambda file: os.truncate(file, 100)), Kind.BYTES_CUT),
    "bytes without a row": (stray, Kind.BYTES_UNKNOWN),
    "sizes that contradict": (execute("UPDATE blob SET sealed_size = sealed_size + 1"), Kind.BLOB_IMPOSSIBLE),
    "sealed bytes cut": (
        execute("UPDATE blob SET sealed = header WHERE sealed IS NOT NULL"), Kind.BLOB_IMPOSSIBLE,
    ),
    "a key of another ring": (execute("UPDATE blob SET key_id = 'gone'"), Kind.KEY_MISSING),
    "a revision removed": (
        execute(f"DELETE FROM revision WHERE id = (SELECT revision_id FROM resource WHERE id = {FILE} AND owner_id = 1)"),
        Kind.RESOURCE_IMPOSSIBLE,
    ),
    "a blob removed": (
        execute("DELETE FROM blob WHERE id = (SELECT min(id) FROM blob)"), Kind.REVISION_IMPOSSIBLE,
    ),
    "a blob of somebody else": (execute("UPDATE blob SET owner_id = 2 WHERE owner_id = 1"), Kind.REVISION_IMPOSSIBLE),
    "a revision of another size": (execute("UPDATE revision SET size = size + 1"), Kind.REVISION_IMPOSSIBLE),
    "a file removed": (execute("DELETE FROM resource WHERE owner_id = 1 AND name = 'large'"), Kind.REVISION_UNUSED),
    "a revision and its file removed": (
        execute(
            "DELETE FROM revision WHERE owner_id = 1 AND id IN"
            " (SELECT revision_id FROM resource WHERE owner_id = 1 AND name = 'large')"
        ),
        Kind.BLOB_UNUSED,
    ),
    "no root": (execute("DELETE FROM resource WHERE owner_id = 1 AND id = 1"), Kind.TREE_BROKEN),
    "the trash elsewhere": (execute("UPDATE resource SET parent_id = 3 WHERE owner_id = 1 AND id = 2"), Kind.TREE_BROKEN),
    "an id that comes again": (execute("UPDATE tree SET next_id = 5"), Kind.TREE_BROKEN),
    "a cycle": (
        execute(
            "UPDATE resource SET parent_id = (SELECT id FROM resource e WHERE e.owner_id = 1 AND e.name = 'e' LIMIT 1)"
            " WHERE owner_id = 1 AND name = 'd'"
        ),
        Kind.UNREACHABLE,
    ),
    "a parent removed": (execute("DELETE FROM resource WHERE owner_id = 1 AND name = 'd'"), Kind.UNREACHABLE),
    "a file in a file": (
        execute(f"UPDATE resource SET parent_id = {FILE} WHERE owner_id = 1 AND parent_id <> 2 AND name = 'e'"),
        Kind.RESOURCE_IMPOSSIBLE,
    ),
    "a key that is another name's": (
        execute("UPDATE resource SET name_key = 'x' WHERE owner_id = 1 AND name = 'd'"), Kind.NAME_WRONG,
    ),
    "a name that none could have": (
        execute("UPDATE resource SET name = 'a/b', name_key = 'a/b' WHERE owner_id = 1 AND name = 'd'"), Kind.NAME_WRONG,
    ),
    "more counted than there is": (execute("UPDATE tree SET used_bytes = used_bytes + 1"), Kind.USAGE_WRONG),
    "properties of nothing": (execute("UPDATE property SET resource_id = 999"), Kind.PROPERTY_LOST),
    "a lock on nothing": (execute("UPDATE lock SET path = '/gone', path_key = '/gone'"), Kind.LOCK_WRONG),
    "a lock on something else": (execute("UPDATE lock SET resource_id = 1"), Kind.LOCK_WRONG),
    "two exclusive locks": (
        execute(
            "INSERT INTO lock SELECT 'urn:other', owner_id, resource_id, path, path_key, is_on_collection, 'exclusive',"
            " is_deep, owner_xml, user_id, created_at, expires_at FROM lock WHERE owner_id = 1"
        ),
        Kind.LOCK_WRONG,
    ),
    "trash that nobody knows": (execute("DELETE FROM trash_entry"), Kind.TRASH_UNKNOWN),
    "an entry of something in use": (
        execute(f"UPDATE trash_entry SET resource_id = {FILE} WHERE owner_id = 1 AND replaced_id IS NULL AND name = 'e'"),
        Kind.ENTRY_LOST,
    ),
    "a folder in the trash with too many files": (
        execute("UPDATE trash_entry SET files = 7, size = 1 WHERE owner_id = 1"), Kind.TRASH_MISCOUNTED,
    ),
    "an upload of what is attached": (
        execute(
            "INSERT INTO upload (blob_id, owner_id, reserved_bytes, started_at, expires_at)"
            " SELECT min(id), 1, 0, 0, 4000000000000000 FROM blob"
        ),
        Kind.UPLOAD_IMPOSSIBLE,
    ),
}  # fmt: skip


def test_a_sound_drive_is_clean(lived_in: Core) -> None:
    report = lived_in.verify(deep=True)
    assert report.is_clean
    assert report.notes == ()
    assert report.checked["users"] == 2
    assert report.checked["objects"] == 4
    assert report.checked["blobs"] == lived_in.scalar(select(func.count()).select_from(BlobRow))
    assert report.checked["bytes"] == lived_in.scalar(select(func.sum(BlobRow.size)))


@pytest.mark.parametrize("name", list(DAMAGES))
def test_what_is_wrong_is_found(lived_in: Core, name: str) -> None:
    damage, kind = DAMAGES[name]
    damage(lived_in)
    assert kind in kinds(lived_in.verify())


def test_altered_bytes_are_found_by_a_deep_run_alone(lived_in: Core) -> None:
    on_a_file(flip)(lived_in)
    assert lived_in.verify().is_clean
    assert kinds(lived_in.verify(deep=True)) == {Kind.BYTES_DAMAGED}


def test_content_under_a_key_that_is_not_there_is_found(lived_in: Core) -> None:
    lived_in.keyring = KeyRing.generate()
    assert kinds(lived_in.verify()) == {Kind.KEY_MISSING}


def test_what_ended_is_told_and_is_no_finding(lived_in: Core, alice: Principal) -> None:
    lived_in.clock.advance(100)
    lived_in.content._uploads.begin(alice.owner_id, "ab" * 16, 1000)
    lived_in.tree.discard(alice, path("/.trash"))
    lived_in.clock.advance(25 * 3600)
    report = lived_in.verify()
    assert report.is_clean
    assert {found.kind for found in report.notes} == {Kind.LOCK_ENDED, Kind.UPLOAD_DEAD, Kind.PURGE_WAITING}


def test_an_upload_under_way_is_no_stray(lived_in: Core, alice: Principal) -> None:
    lived_in.content._uploads.begin(alice.owner_id, "ab" * 16, 1000)
    stray(lived_in)
    assert lived_in.verify().is_clean


def test_bytes_that_a_job_removes_are_no_stray(lived_in: Core, alice: Principal) -> None:
    lived_in.clock.advance(100)  # the locks end
    for where in ("/d", "/copy", "/.trash"):
        lived_in.tree.discard(alice, path(where))
    lived_in.runner(REMOVE_BLOBS).look()
    assert lived_in.scalar(select(func.count()).select_from(JobRow).where(JobRow.kind == REMOVE_BLOBS)) > 0
    assert lived_in.used(alice) == 0
    report = lived_in.verify()
    assert report.is_clean
    assert report.checked["objects"] == 4
    lived_in.clock.advance(3600)
    lived_in.runner().look()
    assert lived_in.verify().checked["objects"] == 2


def test_a_repair_mends_what_loses_nothing(lived_in: Core, alice: Principal) -> None:
    before = sorted(lived_in.names(alice, "/.trash"))
    for name in ("more counted than there is", "trash that nobody knows", "bytes without a row"):
        DAMAGES[name][0](lived_in)
    lived_in.content._uploads.begin(alice.owner_id, "cd" * 16, 1000)
    lived_in.store.put(blob_key("cd" * 16), iter([b"dead"]), 4)
    lived_in.clock.now = system_clock() + 25 * HOUR
    report = lived_in.verify(repair=True)
    assert kinds(report) == {Kind.USAGE_WRONG, Kind.TRASH_UNKNOWN, Kind.BYTES_UNKNOWN}
    assert all(found.repaired for found in (*report.findings, *report.notes) if found.kind is not Kind.LOCK_ENDED)
    assert lived_in.verify(deep=True).is_clean
    assert sorted(lived_in.names(alice, "/.trash")) == before
    assert lived_in.scalar(select(func.count()).select_from(UploadRow)) == 0


def test_a_repair_forgets_an_entry_that_would_purge_what_is_in_use(lived_in: Core, alice: Principal) -> None:
    DAMAGES["an entry of something in use"][0](lived_in)
    assert Kind.ENTRY_LOST in kinds(lived_in.verify(repair=True))
    assert lived_in.verify().is_clean
    assert lived_in.get(alice, "/d/small") == b"small"


def test_a_repair_has_the_trash_counted_again(lived_in: Core, alice: Principal) -> None:
    trash = Trash(lived_in.database, lived_in.clock, lived_in.tree, TreeSettings())
    before = trash.entries(alice)
    DAMAGES["a folder in the trash with too many files"][0](lived_in)
    assert {entry.files for entry in trash.entries(alice)} == {7}
    assert kinds(lived_in.verify(repair=True)) == {Kind.TRASH_MISCOUNTED}
    assert lived_in.verify().is_clean
    assert trash.entries(alice) == before


def test_a_repair_leaves_young_bytes_alone(lived_in: Core) -> None:
    stray(lived_in)
    lived_in.clock.now = system_clock()
    report = lived_in.verify(repair=True)
    assert [found.repaired for found in report.findings] == [False]
    assert lived_in.store.size(blob_key("ab" * 16)) == 5


def test_a_repair_removes_nothing_when_the_database_is_another_drives(core: Core) -> None:
    for number in range(150):
        core.store.put(blob_key(f"{number:032x}"), iter([b"x"]), 1)
    core.clock.now = system_clock() + 48 * HOUR
    report = core.verify(repair=True)
    assert report.counts[Kind.BYTES_UNKNOWN] == 150
    assert not any(found.repaired for found in report.findings)
    assert len(list(core.store.list())) == 150


def test_a_large_store_is_looked_at_in_parts(lived_in: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lived_in.verify(deep=True)
    monkeypatch.setattr("davserver.services.verify.SMALL_STORE", 3)
    assert lived_in.verify(deep=True) == whole
    on_a_file(Path.unlink)(lived_in)
    stray(lived_in)
    assert kinds(lived_in.verify()) == {Kind.BYTES_MISSING, Kind.BYTES_UNKNOWN}


def test_progress_is_told_to_its_end(lived_in: Core) -> None:
    told: list[tuple[Stage, int, int]] = []
    run = Verify(lived_in.database, lived_in.store, lived_in.keyring, lived_in.clock).run
    run(progress=lambda *step: told.append(step))
    run(deep=True, progress=lambda stage, *step: told.append((stage, *step)) if stage is Stage.BYTES else None)
    for stage in Stage:
        steps = [(done, total) for at, done, total in told if at is stage]
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1] > 0


@pytest.mark.timeout(120)
def test_nothing_is_found_while_the_drive_is_in_use(database_url: str, tmp_path: Path) -> None:
    core = make_core(Database(database_url), FolderStore(tmp_path / "blobs"))
    core.clock.now = system_clock()
    people = [core.add_user(f"user{number}") for number in range(3)]
    stopped = threading.Event()
    failures: list[BaseException] = []

    def live(who: Principal) -> None:
        runner = core.runner()
        number = 0
        try:
            while not stopped.is_set():
                number += 1
                core.mkcol(who, f"/d{number}")
                core.put(who, f"/d{number}/small", b"small" * number)
                core.put(who, f"/d{number}/large", LARGE[number % 100 :])
                core.tree.copy(who, path(f"/d{number}"), path(f"/d{number}/copy"), overwrite=False, deep=False)
                core.tree.move(who, path(f"/d{number}"), path("/current"), overwrite=True)
                if number % 3 == 0:
                    core.tree.discard(who, path("/.trash"))
                    runner.look()
        except DavserverError as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    try:
        reports = [core.verify(deep=True) for _ in range(6)]
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert [report.findings for report in reports] == [()] * 6
    assert core.verify(deep=True).is_clean
    core.close()
