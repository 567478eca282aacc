"""Bring a database to the tables of this release.

Safe when several processes start at once: on PostgreSQL an advisory lock lets one work and the others wait, on SQLite the
writer's lock does. Each migration is a transaction of its own. A migration that has to wait too long for a busy table gives up
rather than block everybody.

A release that still runs must not be hurt. On PostgreSQL the locks that a migration takes one after the other could meet
those of a unit in the opposite order, and PostgreSQL would end one of the two. So it takes them before it begins: first that
of ``tree``, where every change of a tree begins and so waits, and then those of the other tables, without waiting.
"""

import time
from typing import Final

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from davserver.db.units import Database
from davserver.domain.errors import DatabaseUnavailable, Unavailable

ADVISORY_LOCK: Final = 0x6461_7673  # "davs"
LOCK_TIMEOUT: Final = "10s"
STATEMENT_TIMEOUT: Final = "30min"
_PATIENCE: Final = 5.0
"""Seconds in which the tables may become free all at once; then it waits for each."""
_PAUSE: Final = 0.02


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` up to `revision`. Does nothing when it is there already."""
    database = Database(url)
    try:
        for step in _steps(current_revision(database), revision):
            _migrate(database, step)
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


def _steps(found: str | None, revision: str) -> list[str]:
    """The migrations behind `found` up to `revision`, oldest first."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions(base="base", head=revision)
    steps = [script.revision for script in scripts][::-1]
    return steps[steps.index(found) + 1 :] if found in steps else steps


def _migrate(database: Database, revision: str) -> None:
    """Migrate to the next revision, `revision`; does nothing when the database is there or further."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with database.write() as unit:
                connection = unit.connection
                if not database.is_sqlite:
                    _take_locks(connection, wait=time.monotonic() >= deadline)
                command.upgrade(_config(connection), revision)
        except _Busy:
            time.sleep(_PAUSE)
        except DatabaseUnavailable as error:
            if not isinstance(getattr(error.__cause__, "orig", None), LockNotAvailable):
                raise
            raise Unavailable(
                f"The migration {revision} waited {LOCK_TIMEOUT} for a table that is in use, by a backup perhaps, and gave up. "
                "Nothing was changed: try again."
            ) from error
        else:
            return


class _Busy(Exception):
    """Somebody is at work in a table."""


def _take_locks(connection: Connection, *, wait: bool) -> None:
    connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    others = sorted(set(inspect(connection).get_table_names()) - {"tree", "alembic_version"})
    if not others:
        return
    connection.execute(text("LOCK TABLE tree IN EXCLUSIVE MODE"))
    names = ", ".join(f'"{name}"' for name in others)
    try:
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE{'' if wait else ' NOWAIT'}"))
    except OperationalError as error:
        if wait or not isinstance(error.orig, LockNotAvailable):
            raise
        raise _Busy from error
