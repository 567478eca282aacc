"""Drives as the first release left them, and what a database is made of: helpers of the tests of upgrades."""

import hashlib
import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, column, inspect, select, table, text

from davserver.db.units import Database
from tests.support.databases import plain_url
from tests.support.davserver import Deployment
from tests.upgrade.drive_of_the_time import SETTINGS

FOLDER = Path(__file__).parent / "first_release"
Shape = dict[str, dict[str, Any]]
"""Table -> what is known of it; see `shape`."""


def kind_of(url: str) -> str:
    """``sqlite`` or ``postgresql``."""
    return url.partition(":")[0].partition("+")[0]


def statements(kind: str) -> str:
    """The dump of the first release: SQL that makes its tables and fills them."""
    return (FOLDER / kind / "dump.sql").read_text("utf-8")


def seen(kind: str) -> dict[str, Any]:
    """What the first release showed of that drive."""
    found: dict[str, Any] = json.loads((FOLDER / kind / "seen.json").read_text("utf-8"))
    return found


def execute(url: str, script: str) -> None:
    """Run a script of SQL."""
    if kind_of(url) == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript(script)
        return
    with psycopg.connect(plain_url(url)) as connection:
        connection.execute(script.encode())


def insert_all(url: str) -> int:
    """Run the INSERTs of the dump on whatever tables the database has, each by itself; returns how many there are.

    One that refers to a row which comes later is tried again after the others.
    """
    script = statements(kind_of(url))
    waiting = re.findall(r'^INSERT INTO (?!"?alembic_version).*?\);$', script, re.MULTILINE | re.DOTALL)
    total = len(waiting)
    with closing(_autocommitting(url)) as connection:
        while waiting:
            later = [statement for statement in waiting if not _fits(connection, statement)]
            assert len(later) < len(waiting), f"these fit nowhere: {later}"
            waiting = later
    return total


def _autocommitting(url: str) -> Any:
    if kind_of(url) == "postgresql":
        return psycopg.connect(plain_url(url), autocommit=True)
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _fits(connection: Any, statement: str) -> bool:
    try:
        connection.execute(statement)
    except (sqlite3.IntegrityError, psycopg.errors.ForeignKeyViolation) as error:
        if "foreign key" not in str(error).lower():
            raise
        return False
    return True


def restore(url: str, folder: Path) -> Deployment:
    """The first release's drive in the empty database at `url`, with its store in `folder`; nothing is started."""
    kind = kind_of(url)
    execute(url, statements(kind))
    shutil.copytree(FOLDER / kind / "blobs", folder / "blobs")
    return Deployment(kind, {**SETTINGS, "DATABASE_URL": url, "DAVSERVER_DATA_DIR": str(folder)}, folder)


@dataclass(frozen=True)
class Contents:
    """The rows of a table, told by their number and a hash of the columns that were asked for."""

    rows: int
    digest: str


def contents(database: Database, columns: dict[str, list[str]]) -> dict[str, Contents]:
    """What the tables hold in these columns."""
    found = {}
    with database.read() as connection:
        for name, names in columns.items():
            query: Any = select(*map(column, names)).select_from(table(name))
            rows = sorted(repr(_plain(row)) for row in connection.execute(query))
            found[name] = Contents(len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return found


def _plain(row: Any) -> list[object]:
    return [bytes(value) if isinstance(value, memoryview) else value for value in row]


def shape(database: Database) -> Shape:
    """Each table with its columns (type, whether NULL may stand there, default), and all that rows must keep to."""
    with database.read() as connection:
        inspector = inspect(connection)
        return {name: _table(inspector, name) for name in inspector.get_table_names() if name != "alembic_version"}


def _table(inspector: Any, name: str) -> dict[str, Any]:
    columns = {each["name"]: each for each in inspector.get_columns(name)}
    unique = [tuple(each["column_names"]) for each in inspector.get_unique_constraints(name)]
    unique += [tuple(each["column_names"]) for each in inspector.get_indexes(name) if each["unique"]]
    return {
        "columns": {key: str(each["type"]) for key, each in columns.items()},
        "required": {key for key, each in columns.items() if not each["nullable"] and each["default"] is None},
        "numbered": {key for key, each in columns.items() if each.get("autoincrement") is True},
        "unique": {*unique, tuple(inspector.get_pk_constraint(name)["constrained_columns"])},
        "checks": {each["name"]: each["sqltext"] for each in inspector.get_check_constraints(name)},
        "foreign": {
            each["name"]: (each["referred_table"], tuple(each["constrained_columns"]), each["options"].get("ondelete"))
            for each in inspector.get_foreign_keys(name)
        },
    }


def places(connection: Connection) -> dict[str, int]:
    """Table -> where its rows lie in the database; another place after a migration means that all rows were written anew."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"
    else:
        query = "SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    return {str(row[0]): int(row[1]) for row in connection.execute(text(query))}
