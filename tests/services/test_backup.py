"""Backup and restore: one moment of the drive, whole, whatever happens meanwhile, on every kind of database."""

import gzip
import os
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, inspect, select

from davserver.bootstrap import known_revisions
from davserver.crypto.keyring import KeyRing
from davserver.db import migrate
from davserver.db.rows import Base, HoldRow, JobRow, ResourceRow
from davserver.db.units import Database
from davserver.domain.errors import ConfigError
from davserver.domain.principal import Principal
from davserver.services.backup import Backup, Step
from davserver.services.backup_format import LEFT_OUT
from davserver.services.holds import LEASE
from davserver.services.restore import Restore
from davserver.stores.base import blob_key
from davserver.stores.folder import FolderStore
from tests.support.core import Core, make_core, path
from tests.support.upkeep import helpers_of

LARGE = b"x" * 5000


def backup_of(core: Core) -> Backup:
    return Backup(core.database, core.store, core.clock, os.urandom, FolderStore)


def restored(core: Core, folder: Path, url: str, where: Path, *, replace: bool = False) -> Core:
    """The set on another database and store."""
    made = make_core(Database(url), FolderStore(where), keyring=core.keyring, clock=core.clock)
    use_case = Restore(made.database, made.store, core.keyring, FolderStore, known_revisions())
    try:
        use_case.run(folder, replace=replace)
    except BaseException:
        made.close()
        raise
    migrate.upgrade(url)
    return made


def fill(core: Core, who: Principal) -> None:
    core.mkcol(who, "/late", "/early", "/early/deep")
    core.put(who, "/early/deep/large", LARGE)
    core.put(who, "/early/small", b"small \x00")
    core.put(who, "/gone", LARGE + b"gone")
    core.tree.move(
        who, path("/early"), path("/late/early"), overwrite=False
    )  # a parent with a higher id than its member


def rows_of(database: Database) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
            if table.name not in LEFT_OUT
        }


@pytest.mark.parametrize("onto", ["sqlite", "same"])
def test_every_row_and_every_byte_comes_back(
    core: Core, alice: Principal, tmp_path: Path, empty_database_url: str, onto: str
) -> None:
    fill(core, alice)
    folder, manifest = backup_of(core).run(tmp_path / "backup")
    assert manifest["blobs"]["count"] == 2
    url = f"sqlite:///{tmp_path}/other.sqlite3" if onto == "sqlite" else empty_database_url
    there = restored(core, folder, url, tmp_path / "elsewhere")
    try:
        assert rows_of(there.database) == rows_of(core.database)
        assert there.get(alice, "/late/early/deep/large") == LARGE
        assert there.verify(deep=True).is_clean
        there.add_user("carol")  # numbers go on behind those that came
        there.put(alice, "/new", LARGE)
        helpers_of(there).recur()
    finally:
        there.close()


def test_no_table_is_forgotten(core: Core, alice: Principal, tmp_path: Path) -> None:
    _, manifest = backup_of(core).run(tmp_path / "backup")
    with core.database.read() as connection:
        tables = set(inspect(connection).get_table_names())
    assert tables - {"alembic_version"} - LEFT_OUT == set(manifest["tables"])
    assert {"hold", "key_holder"} == LEFT_OUT, "say why in backup_format, and here"


def test_what_is_purged_while_it_is_copied_is_in_the_set_and_goes_afterwards(
    core: Core, alice: Principal, tmp_path: Path, empty_database_url: str
) -> None:
    fill(core, alice)
    helpers = helpers_of(core)
    stored = {blob.key for blob in core.store.list()}
    done: list[str] = []

    def at(step: StrEnum, _done: int, _total: int) -> None:
        if step is Step.ROWS and not done:
            done.append("purged")
            core.tree.discard(alice, path("/gone"))
            helpers.trash.empty(alice)
            assert helpers.look() > 0
            assert {blob.key for blob in core.store.list()} == stored

    folder, manifest = backup_of(core).run(tmp_path / "backup", at)
    assert done
    assert manifest["blobs"]["missing"] == []
    there = restored(core, folder, empty_database_url, tmp_path / "elsewhere")
    assert there.get(alice, "/gone") == LARGE + b"gone"
    assert there.verify(deep=True).is_clean
    there.close()
    core.clock.advance(120)
    helpers.work()
    assert len({blob.key for blob in core.store.list()}) == len(stored) - 1
    assert core.verify().is_clean


def test_a_hold_whose_holder_died_ends_by_itself(
    core: Core, alice: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(core, alice)
    helpers = helpers_of(core)

    class Killed(BaseException):
        pass

    def at(step: StrEnum, *_: int) -> None:
        if step is Step.BLOBS:
            raise Killed

    backup = backup_of(core)
    monkeypatch.setattr("davserver.services.holds.Hold.end", lambda _: None)
    with pytest.raises(Killed):
        backup.run(tmp_path / "backup", at)
    assert core.scalar(select(func.count()).select_from(HoldRow)) == 1
    core.tree.discard(alice, path("/gone"))
    helpers.trash.empty(alice)
    helpers.look()
    assert core.scalar(select(func.count()).select_from(JobRow)) == 1
    core.clock.advance(LEASE / 1_000_000)
    helpers.work()
    assert len(list(core.store.list())) == 1


def test_a_later_set_copies_what_is_new_and_a_killed_one_is_taken_up(
    core: Core, alice: Principal, tmp_path: Path
) -> None:
    fill(core, alice)

    class Killed(BaseException):
        pass

    def at(step: StrEnum, *_: int) -> None:
        if step is Step.BLOBS:
            raise Killed

    with pytest.raises(Killed):
        backup_of(core).run(tmp_path / "backup", at)
    with pytest.raises(ConfigError, match="holds no backup"):
        backup_of(core).check(tmp_path / "backup")
    assert backup_of(core).run(tmp_path / "backup")[1]["blobs"]["copied"] == 1
    core.put(alice, "/more", LARGE + b"more")
    assert backup_of(core).run(tmp_path / "backup")[1]["blobs"]["copied"] == 1
    assert backup_of(core).check(tmp_path / "backup") == []
    assert not list(tmp_path.glob("backup/sets/*.partial"))


def test_a_damaged_set_is_found_out_and_not_restored(
    core: Core, alice: Principal, tmp_path: Path, empty_database_url: str
) -> None:
    fill(core, alice)
    target = tmp_path / "backup"
    folder, _ = backup_of(core).run(target)
    blob = next((target / "blobs").glob("*/*"))
    whole = blob.read_bytes()
    for content in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        blob.write_bytes(content)
        assert len(backup_of(core).check(target)) == 1
        with pytest.raises(ConfigError, match="no row was restored"):
            restored(core, folder, empty_database_url, tmp_path / "elsewhere")
    blob.write_bytes(whole)
    table = folder / "tables" / "resource.jsonl.gz"
    table.write_bytes(gzip.compress(gzip.decompress(table.read_bytes()).replace(b"small", b"smell")))
    assert backup_of(core).check(target) == ["table resource: its file was altered or is missing"]
    with pytest.raises(ConfigError, match="nothing was changed: resource"):
        restored(core, folder, empty_database_url, tmp_path / "elsewhere")


def test_bytes_that_the_store_has_lost_are_named(core: Core, alice: Principal, tmp_path: Path) -> None:
    fill(core, alice)
    lost = next(core.store.list()).key
    core.store.remove(lost)
    _, manifest = backup_of(core).run(tmp_path / "backup")
    assert [blob_key(blob_id) for blob_id in manifest["blobs"]["missing"]] == [lost]
    assert len(backup_of(core).check(tmp_path / "backup")) == 1


def test_a_drive_in_use_and_missing_keys_are_refused(
    core: Core, alice: Principal, tmp_path: Path, database_url: str
) -> None:
    fill(core, alice)
    folder, _ = backup_of(core).run(tmp_path / "backup")
    core.put(alice, "/after", b"after")
    for replace, keyring, says in (
        (False, core.keyring, "holds a drive already"),
        (True, KeyRing.generate(), "lacks that"),
    ):
        use_case = Restore(core.database, core.store, keyring, FolderStore, known_revisions())
        with pytest.raises(ConfigError, match=says):
            use_case.run(folder, replace=replace)
    assert core.get(alice, "/after") == b"after"
    Restore(core.database, core.store, core.keyring, FolderStore, known_revisions()).run(folder, replace=True)
    assert "after" not in core.names(alice)
    assert core.scalar(select(func.count()).select_from(ResourceRow)) > 5


def test_a_set_of_a_newer_release_is_refused(core: Core, tmp_path: Path, empty_database_url: str) -> None:
    folder, _ = backup_of(core).run(tmp_path / "backup")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"revision": "{known_revisions()[-1]}"', '"revision": "9999"'))
    with pytest.raises(ConfigError, match="newer release"):
        restored(core, folder, empty_database_url, tmp_path / "elsewhere")
