"""What every test can ask for; the fixtures themselves are in tests/support/fixtures_*.py."""

from pathlib import Path

import pytest

SUPPORT = Path(__file__).parent / "support"
pytest_plugins = [f"tests.support.{path.stem}" for path in sorted(SUPPORT.glob("fixtures_*.py"))]

SERVER_FIXTURES = {
    "postgres_server", "postgres_databases", "databases", "database_url", "empty_database_url", "valkey_server",
    "s3_server", "deployment", "embedded", "davserver_process", "shared_deployment", "drive",
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a server, so that `make check` can leave it out."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
