"""`drive`: a new user's drive behind the WebDAV application, in this process and without a socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.bootstrap import Services
from providers.app import WsgiApp
from tests.support.drive import Drive, MovableClock, app_of, new_drive, open_services


@pytest.fixture(scope="session")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[Services]:
    services = open_services(tmp_path_factory.mktemp("drive"), clock)
    yield services
    services.close()


@pytest.fixture(scope="session")
def app(services: Services, clock: MovableClock) -> WsgiApp:
    return app_of(services, clock)


@pytest.fixture
def drive(services: Services, app: WsgiApp, clock: MovableClock) -> Drive:
    return new_drive(services, app, clock)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """This `drive` starts no server, unlike the one of the whole suite that has its name."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "server"]
