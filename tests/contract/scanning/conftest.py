import pytest

from davserver.scanning.base import Scanner
from davserver.scanning.clamd import ClamdScanner
from davserver.scanning.none import NoScanner
from tests.support.clamd import ClamdServer


@pytest.fixture
def clamd(clamd_server: ClamdServer) -> ClamdScanner:
    """A scanner on a real clamd."""
    return ClamdScanner("127.0.0.1", clamd_server.port)


@pytest.fixture(params=["clamd", "none"])
def scanner(request: pytest.FixtureRequest) -> Scanner:
    """Each scanner in turn."""
    if request.param == "none":
        return NoScanner()
    made: ClamdScanner = request.getfixturevalue("clamd")
    return made
