"""The migrations make the tables that the models describe, on every database."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from davserver.db import migrate
from davserver.db.rows import Base
from davserver.db.units import Database
from davserver.domain.errors import Unavailable


def test_the_migrated_tables_are_those_of_the_models(database_url: str) -> None:
    database = Database(database_url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    database.close()
    assert differences == []


def test_migrating_twice_does_nothing(database_url: str) -> None:
    migrate.upgrade(database_url)
    database = Database(database_url)
    assert migrate.current_revision(database) == migrate.head_revision()
    database.close()


def test_servers_that_start_together_migrate_once(empty_database_url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            migrate.upgrade(empty_database_url)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    database = Database(empty_database_url)
    assert migrate.current_revision(database) == migrate.head_revision()
    database.close()


def test_a_migration_gives_up_on_a_table_that_is_in_use_and_changes_nothing(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if empty_database_url.startswith("sqlite"):
        pytest.skip("in SQLite a reader keeps nobody from changing tables")
    migrate.upgrade(empty_database_url, "0005")
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "100ms")
    database = Database(empty_database_url)
    with database.snapshot() as reader:
        reader.execute(text("SELECT count(*) FROM users"))
        with pytest.raises(Unavailable, match="0006 waited 100ms for a table that is in use"):
            migrate.upgrade(empty_database_url)
        assert migrate.current_revision(database) == "0005"
        assert "totp_at" not in {column["name"] for column in inspect(database.engine).get_columns("users")}
    migrate.upgrade(empty_database_url)
    assert migrate.current_revision(database) == migrate.head_revision()
    database.close()


def test_a_migration_lets_go_of_its_locks_while_a_change_is_under_way(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if empty_database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    migrate.upgrade(empty_database_url, "0001")
    monkeypatch.setattr(migrate, "_PATIENCE", 120.0)
    take_locks = migrate._take_locks
    tries = threading.Semaphore(0)

    def counted(connection: Connection, *, wait: bool) -> None:
        try:
            take_locks(connection, wait=wait)
        except migrate._Busy:
            tries.release()
            raise

    monkeypatch.setattr(migrate, "_take_locks", counted)
    database = Database(empty_database_url)
    job = "INSERT INTO job (kind, payload, state, attempts, run_at, last_error, created_at)"
    migration = threading.Thread(target=migrate.upgrade, args=(empty_database_url,))
    with database.write() as unit:
        unit.connection.execute(text(f"{job} VALUES ('scan', '{{}}', 'waiting', 0, 1, '', 1)"))
        migration.start()
        assert all(tries.acquire(timeout=60) for _ in range(3))
        # In the opposite order: if the migration held on to what it has, one of the two would be ended.
        unit.connection.execute(text("LOCK TABLE tree IN ROW EXCLUSIVE MODE"))
    migration.join(60)
    assert migrate.current_revision(database) == migrate.head_revision()
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM job")).scalar() == 1
    database.close()
