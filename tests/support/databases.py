"""Fresh databases for tests, as cheap as each kind allows: the migrations run once, and every test gets a copy."""

import os
import secrets
import shutil
import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict


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
    """Databases of one server, made with CREATE DATABASE, from a migrated template where tables are wanted."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self.prefix = f"davtest_{secrets.token_hex(4)}"
        self._names: list[str] = []
        self._template: str | None = None

    def empty(self) -> str:
        return self._create("template0")

    def migrated(self) -> str:
        if self._template is None:
            url = self._create("template0")
            upgrade(url)
            self._template = self._names[-1]
        return self._create(self._template)

    def drop(self, url: str) -> None:
        name = conninfo_to_dict(url)["dbname"]
        assert isinstance(name, str)
        self._names.remove(name)
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def close(self) -> None:
        for name in list(self._names):
            self.drop(at_database(self.admin_url, name))

    def _create(self, template: str) -> str:
        name = f"{self.prefix}_{len(self._names)}_{secrets.token_hex(3)}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        self._names.append(name)
        return at_database(self.admin_url, name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class PostgresSchemas(PostgresDatabases):
    """Schemas of one database, for somebody who may not create databases: slower, as each is migrated anew."""

    def empty(self) -> str:
        name = f"{self.prefix}_{len(self._names)}_{secrets.token_hex(3)}"
        self._execute("CREATE SCHEMA {}", name)
        self._names.append(name)
        joint = "&" if "?" in self.admin_url else "?"
        return f"{self.admin_url}{joint}options={quote(f'-csearch_path={name}', safe='')}"

    def migrated(self) -> str:
        url = self.empty()
        upgrade(url)
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchone()
        if row is None or row[0] == 0:
            raise pytest.UsageError("the tables went to another schema; give the role of TEST_DATABASE_URL CREATEDB")
        return url

    def drop(self, url: str) -> None:
        name = str(conninfo_to_dict(url)["options"]).removeprefix("-csearch_path=")
        self._drop_schema(name)

    def close(self) -> None:
        for name in list(self._names):
            self._drop_schema(name)

    def _drop_schema(self, name: str) -> None:
        self._names.remove(name)
        self._execute("DROP SCHEMA IF EXISTS {} CASCADE", name)


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
