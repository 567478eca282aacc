"""What every test can ask for; the fixtures themselves are in tests/support/fixtures_*.py."""

import os
from pathlib import Path

import hypothesis
import pytest

SUPPORT = Path(__file__).parent / "support"
pytest_plugins = [f"tests.support.{path.stem}" for path in sorted(SUPPORT.glob("fixtures_*.py"))]

# A deadline per example measures the machine, not the code. In CI the same examples are tried every time.
hypothesis.settings.register_profile("davserver", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("davserver")

SERVER_FIXTURES = {
    "postgres_server", "postgres_databases", "databases", "database_url", "empty_database_url", "valkey_server",
    "s3_server", "clamd_server", "own_clamd", "deployment", "embedded", "davserver_process", "shared_deployment", "drive",
    "whole_deployment",
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a server, so that `make check` can leave it out."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of bytes by their number: an id must be readable, and the same in every process."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None
