"""Fixtures for clamd: the session's own, and one for a test that stops it or changes what it knows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clamd import ClamdServer

STREAM_LIMIT = 2 * 1024 * 1024
"""Of the session's clamd, in bytes."""


@pytest.fixture(scope="session")
def clamd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdServer]:
    """A real clamd that takes streams of up to 2 MiB."""
    server = ClamdServer(tmp_path_factory.mktemp("clamd") / "own", StreamMaxLength="2M")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_clamd(tmp_path: Path) -> Iterator[ClamdServer]:
    """A clamd of the test's own, not yet started."""
    server = ClamdServer(tmp_path / "clamd")
    yield server
    server.stop()
