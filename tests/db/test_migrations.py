"""The migrations make the tables that the models describe, on every database."""

import threading

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from davserver.db import migrate
from davserver.db.rows import Base
from davserver.db.units import Database


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
