"""Fresh databases for tests, as cheap as each kind allows: the migrations run once, and every test gets a copy."""

import os
import secrets
import shutil
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql


def database_kinds() -> tuple[str, ...]:
    """Return the kinds of database under test in this session, `sqlite` and `postgresql` or one of them."""
    own = os.environ.get("TEST_DATABASE_URL", "")
    only_sqlite = os.environ.get("TEST_USE_SQLITE", "0") not in {"", "0"}
    if own and only_sqlite:
        raise pytest.UsageError("set TEST_USE_SQLITE or TEST_DATABASE_URL, not both")
    if only_sqlite or own.startswith("sqlite"):
        return ("sqlite",)
    return ("postgresql",) if own else ("sqlite", "postgresql")


def upgrade(url: str) -> None:
    """Run the project's migrations on an empty database."""
    from davserver.db import migrate

    migrate.upgrade(url)


class Databases(ABC):
    """Makes databases of one kind, each gone when the session ends at the latest."""

    @abstractmethod
    def empty(self) -> str:
        """Return the URL of a new database that holds nothing, not even tables."""

    @abstractmethod
    def migrated(self) -> str:
        """Return the URL of a new database with all tables and no rows."""

    @abstractmethod
    def drop(self, url: str) -> None:
        """Forget a database; connections to it are cut."""

    @abstractmethod
    def close(self) -> None:
        """Forget all that is left."""


class SqliteDatabases(Databases):
    """A file a database; the template is a file too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._template: Path | None = None

    def empty(self) -> str:
        return sqlite_url(self._new())

    def migrated(self) -> str:
        if self._template is None:
            self._template = self._new()
            upgrade(sqlite_url(self._template))
            with sqlite3.connect(self._template) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        path = self._new()
        shutil.copyfile(self._template, path)
        return sqlite_url(path)

    def drop(self, url: str) -> None:
        path = Path(url.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):  # the database, its log and its lock
            file.unlink(missing_ok=True)

    def close(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()

    def _new(self) -> Path:
        return self.folder / f"{secrets.token_hex(6)}.sqlite3"


class PostgresDatabases(Databases):
    """Databases of one server, made with CREATE DATABASE, from a migrated template where tables are wanted.

    CREATE DATABASE costs some tenths of a second of writing, so one that is given back is emptied and given out again,
    unless a test changed its tables.
    """

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self.prefix = f"davtest_{secrets.token_hex(4)}"
        self._names: dict[str, str] = {}
        """URL to name of all that exist."""
        self._shapes: dict[str, str] = {}
        """URL to the tables, as they were after the migrations, of those that can be given out again."""
        self._spare: list[str] = []
        self._template: str | None = None

    def empty(self) -> str:
        return self._create("template0")

    def migrated(self) -> str:
        if self._spare:
            return self._spare.pop()
        url = self._create_migrated()
        with psycopg.connect(url) as connection:
            self._shapes[url] = shape(connection)
        return url

    def drop(self, url: str) -> None:
        before = self._shapes.get(url)
        if before is not None and self._emptied(url, before):
            self._spare.append(url)
        else:
            self._drop(url)

    def close(self) -> None:
        for url in list(self._names):
            self._drop(url)

    def _create_migrated(self) -> str:
        if self._template is None:
            url = self._create("template0")
            upgrade(url)
            self._template = self._names[url]
        return self._create(self._template)

    def _create(self, template: str) -> str:
        name = self._new_name()
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        url = at_database(self.admin_url, name)
        self._names[url] = name
        return url

    def _drop(self, url: str) -> None:
        self._shapes.pop(url, None)
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._names.pop(url))

    def _emptied(self, url: str, before: str) -> bool:
        """Empty all tables but Alembic's; False when they are not what they were, or somebody holds them."""
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                self._cut_others(connection)
                if shape(connection) != before:
                    return False
                connection.execute("SET lock_timeout = '5s'")
                full = filled_tables(connection)
                if full:
                    names = sql.SQL(", ").join(map(sql.Identifier, full))
                    connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))
        except (psycopg.errors.UndefinedTable, psycopg.errors.LockNotAvailable):
            return False
        return True

    def _cut_others(self, connection: psycopg.Connection) -> None:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def _new_name(self) -> str:
        return f"{self.prefix}_{secrets.token_hex(5)}"

    def _execute(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class PostgresSchemas(PostgresDatabases):
    """Schemas of one database, for somebody who may not create databases."""

    def empty(self) -> str:
        name = self._new_name()
        self._execute("CREATE SCHEMA {}", name)
        joint = "&" if "?" in self.admin_url else "?"
        url = f"{self.admin_url}{joint}options={quote(f'-csearch_path={name}', safe='')}"
        self._names[url] = name
        return url

    def _create_migrated(self) -> str:
        url = self.empty()
        upgrade(url)
        with psycopg.connect(url) as connection:
            found = shape(connection)
        if not found:
            raise pytest.UsageError("the tables went to another schema; give the role of TEST_DATABASE_URL CREATEDB")
        return url

    def _drop(self, url: str) -> None:
        self._shapes.pop(url, None)
        self._execute("DROP SCHEMA IF EXISTS {} CASCADE", self._names.pop(url))

    def _cut_others(self, connection: psycopg.Connection) -> None:
        """Leave them: the database is its owner's, and other connections are not ours."""


def filled_tables(connection: psycopg.Connection) -> list[str]:
    """Return the tables in the connection's schema that hold rows, without Alembic's."""
    names = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
    ).fetchall()
    queries = [
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(sql.Literal(name), sql.Identifier(name))
        for (name,) in names
    ]
    return [str(name) for (name,) in connection.execute(sql.SQL(" UNION ALL ").join(queries))]


def shape(connection: psycopg.Connection) -> str:
    """Return a text that differs when columns, indexes, constraints or the migration do; empty without tables."""
    row = connection.execute(SHAPE).fetchone()
    if row is None or row[0] is None:
        return ""
    return f"{row}{connection.execute('SELECT version_num FROM alembic_version').fetchall()}"


SHAPE = """
SELECT string_agg(line, ';' ORDER BY line) FROM (
  SELECT format('%s %s %s %s %s', relation.relname, relation.relkind, attname, atttypid, attnotnull) AS line
  FROM pg_class AS relation LEFT JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0
  WHERE relnamespace = current_schema()::regnamespace
  UNION ALL
  SELECT format('%s %s', conrelid::regclass, conname) FROM pg_constraint
  WHERE connamespace = current_schema()::regnamespace
) AS lines
"""


def own_databases(url: str) -> PostgresDatabases:
    """Return what makes databases at TEST_DATABASE_URL: whole databases if its role may create them, else schemas."""
    url = plain_url(url)
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    return PostgresDatabases(url) if row is not None and row[0] else PostgresSchemas(url)


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


def plain_url(url: str) -> str:
    """Return a PostgreSQL URL without SQLAlchemy's driver name, as libpq wants it."""
    scheme, separator, rest = url.partition("://")
    return scheme.partition("+")[0] + separator + rest


def at_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    head, question, query = url.partition("?")
    scheme, separator, rest = head.partition("://")
    host = rest.partition("/")[0]
    return f"{scheme}{separator}{host}/{name}{question}{query}"
