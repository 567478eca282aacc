"""The two public suites, on both deployments, each request answered by another server process than the one before."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.davserver import Deployment, User
from tests.support.relay import Relay
from tests.support.suites import run_litmus, run_tck


@dataclass
class TwoServers:
    """Two processes over one database and one store, behind one address."""

    url: str
    user: User
    relay: Relay


@pytest.fixture
def two_servers(deployment: Deployment) -> Iterator[TwoServers]:
    user = deployment.add_user()
    servers = [deployment.start(DAVSERVER_PROCESSES="1") for _ in range(2)]
    with Relay(server.address for server in servers) as relay:
        yield TwoServers(f"http://{relay.address}/dav/", user, relay)
        assert min(relay.served.values()) > 50, "the requests did not reach both processes"


def test_litmus_passes_all_104_of_its_tests_without_a_warning(two_servers: TwoServers, tmp_path: Path) -> None:
    report = run_litmus(two_servers.url, two_servers.user, tmp_path)
    assert not report.complaints, report.output
    assert report.passed == 104, report.output


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_dav_tck_passes_all_67_of_its_tests(two_servers: TwoServers, tmp_path: Path) -> None:
    report = run_tck(two_servers.url, two_servers.user, tmp_path)
    assert not report.complaints, report.output
    assert report.passed == 67, report.output
