"""What every test of a client has: the log of the server since its beginning, and somebody else at the same drive."""

from collections.abc import Iterator

import pytest

from tests.support.davserver import Deployment
from tests.support.daywork import Peer, Watch
from tests.support.fixtures_davserver import Drive


@pytest.fixture
def drive(shared_deployment: Deployment) -> Drive:
    """As everywhere, for a user with a quota of 1 GiB: so there is a free space to be shown, and a known one."""
    server = shared_deployment.servers[0]
    return Drive(server.url, shared_deployment.add_user(None, "--quota", "1G"), server, shared_deployment)


@pytest.fixture
def watch(drive: Drive) -> Watch:
    """The server's log from the beginning of the test."""
    return Watch(drive.server)


@pytest.fixture
def peer(drive: Drive) -> Iterator[Peer]:
    """Another one at the same drive."""
    with Peer(drive) as peer:
        yield peer
