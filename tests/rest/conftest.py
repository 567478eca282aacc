"""`rest`: the API without a socket, as nobody; `ada`: as a new user with an empty drive."""

from collections.abc import Iterator

import pytest

from davserver.bootstrap import Services
from tests.support.drive import MovableClock, open_services
from tests.support.rest import Rest, make_rest


@pytest.fixture(scope="session")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[Services]:
    services = open_services(tmp_path_factory.mktemp("rest"), clock)
    yield services
    services.close()


@pytest.fixture(scope="session")
def rest(services: Services, clock: MovableClock) -> Rest:
    return make_rest(services, clock)


@pytest.fixture
def ada(rest: Rest) -> Rest:
    return rest.sign_in()
