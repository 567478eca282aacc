"""Fixtures for the services without a door."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.db.units import Database
from davserver.domain.principal import Principal
from davserver.stores.folder import FolderStore
from tests.support.core import Core, make_core


@pytest.fixture
def core(database_url: str, tmp_path: Path) -> Iterator[Core]:
    """The services on a fresh database, SQLite and PostgreSQL in turn, and a store in a folder."""
    made = make_core(Database(database_url), FolderStore(tmp_path / "blobs"))
    yield made
    made.close()


@pytest.fixture
def alice(core: Core) -> Principal:
    """A user with an empty tree and no quota."""
    return core.add_user("alice")


@pytest.fixture
def bob(core: Core) -> Principal:
    """Another one."""
    return core.add_user("bob")
