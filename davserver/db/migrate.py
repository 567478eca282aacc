"""Bring a database to the tables of this release.

Safe when several processes start at once: on PostgreSQL an advisory lock lets one work and the others wait, on SQLite the
writer's lock does. A migration that has to wait too long for a busy table gives up rather than block everybody.
"""

from collections.abc import Callable
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from davserver.db.units import Database

ADVISORY_LOCK: Final = 0x6461_7673  # "davs"
LOCK_TIMEOUT: Final = "10s"
STATEMENT_TIMEOUT: Final = "30min"


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` up to `revision`. Does nothing when it is there already."""

    def work(config: AlembicConfig) -> None:
        command.upgrade(config, revision)

    database = Database(url)
    try:
        _with_lock(database, work)
    finally:
        database.close()


def upgrade_within(connection: Connection, revision: str) -> None:
    """Migrate up to `revision` as a part of the caller's transaction."""
    command.upgrade(_config(connection), revision)


def current_revision(database: Database) -> str | None:
    """The migration that the database is at; None when it is empty."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """The migration that this release wants."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the release holds no migrations"  # noqa: S101 - a broken package, not an input
    return head


def _config(connection: Connection | None = None) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", "migrations:")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _with_lock(database: Database, work: Callable[[AlembicConfig], None]) -> None:
    with database.write() as unit:
        connection = unit.connection
        if not database.is_sqlite:
            connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        work(_config(connection))
