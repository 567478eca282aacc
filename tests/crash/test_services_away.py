"""What the server needs goes away and comes back, while clients upload, move, copy and delete without pause.

Clients are told 503 or 507, or lose their connection; what was acknowledged is there afterwards, byte for byte, and of what was
not, all or nothing. The server goes on by itself when what it needs is back, and never answers 500.
"""

import http.client
import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.crashing import Client, Fleet, Refused
from tests.support.databases import PostgresDatabases
from tests.support.davserver import Deployment
from tests.support.faulty_proxy import FaultyProxy, Mode, faulty_proxy
from tests.support.fixtures_davserver import COMMON, company_settings, make_deployment
from tests.support.postgres import PostgresServer

FULL = bool(os.environ.get("DAVSERVER_PROVE"))
TIMES = 20 if FULL else 2
MIB = 1 << 20
Record = Callable[[str, object], None]


class RestartablePostgres(PostgresServer):
    """A PostgreSQL that can be ended and started again at its port."""

    def restart(self, seconds_down: float) -> None:
        """End it as a crash would, leave it down for a while, and start it again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        time.sleep(seconds_down)
        self._spawn()
        assert self._answers(), self.log


@pytest.fixture
def postgres() -> Iterator[RestartablePostgres]:
    server = RestartablePostgres()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def company(postgres: RestartablePostgres, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A company's deployment on a PostgreSQL of its own."""
    databases = PostgresDatabases(postgres.url())
    data = tmp_path / "data"
    data.mkdir()
    settings = COMMON | {"DAVSERVER_DATA_DIR": str(data)} | company_settings(databases.migrated(), request)
    deployment = Deployment("company", settings, tmp_path)
    yield deployment
    deployment.close()


@pytest.fixture
def proxy(company: Deployment) -> Iterator[FaultyProxy]:
    """What stands between the company's servers and their S3."""
    with faulty_proxy(company.settings["MINIO_ENDPOINT"]) as proxy:
        company.settings["MINIO_ENDPOINT"] = proxy.endpoint
        yield proxy


def working(fleet: Fleet, count: int = 3) -> list[Client]:
    clients = [Client(fleet, fleet.deployment.add_user(), f"client-{n}", n) for n in range(count)]
    for client in clients:
        client.start()
    return clients


def wait_for_progress(clients: list[Client], seconds: float = 90.0) -> None:
    """Return when every client has got something done since this was called."""
    before = [client.done for client in clients]
    deadline = time.monotonic() + seconds
    while any(client.done <= done for client, done in zip(clients, before, strict=True)):
        assert not any(client.failure for client in clients), [client.failure for client in clients]
        assert time.monotonic() < deadline, [(client.done, client.refused) for client in clients]
        time.sleep(0.02)


def end(fleet: Fleet, clients: list[Client], record_property: Record) -> None:
    """Stop, and see that all is as it should be."""
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join()
        assert not client.failure, client.failure
        client.settle()
        client.hang_up()
        assert not client.failure, client.failure
    assert "Traceback" not in fleet.server.log, fleet.server.log[fleet.server.log.find("Traceback") - 500 :][:4000]
    done = fleet.deployment.run("verify", "--deep", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record_property("acknowledged", sum(client.done for client in clients))
    record_property("refused", sum(client.refused for client in clients))
    assert sum(client.refused for client in clients) > 0


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * TIMES)
def test_postgresql_may_be_restarted_at_any_time(
    company: Deployment, postgres: RestartablePostgres, record_property: Record
) -> None:
    moments = random.Random(1)
    fleet = Fleet(company, is_patient=True)
    clients = working(fleet)
    for _ in range(TIMES):
        wait_for_progress(clients)
        time.sleep(moments.uniform(0.0, 1.0))
        postgres.restart(seconds_down=moments.choice([0.0, 2.0]))
    wait_for_progress(clients)
    end(fleet, clients, record_property)


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * TIMES)
@pytest.mark.parametrize(
    "mode", [Mode.REFUSE, Mode.UNAVAILABLE, Mode.DROP, pytest.param(Mode.HANG, marks=pytest.mark.slow)]
)
def test_the_store_may_go_away_and_come_back(
    company: Deployment, proxy: FaultyProxy, mode: Mode, record_property: Record
) -> None:
    if mode is Mode.HANG and not FULL:
        pytest.skip("a hanging store is waited for through minutes of time-outs: only with DAVSERVER_PROVE=1")
    fleet = Fleet(company, is_patient=True, patience=600.0)
    clients = working(fleet)
    for _ in range(TIMES if mode is not Mode.HANG else 1):
        wait_for_progress(clients)
        before = sum(client.refused for client in clients)
        proxy.mode = mode
        deadline = time.monotonic() + 240
        while sum(client.refused for client in clients) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        proxy.mode = Mode.PASS
    assert proxy.broken > 0
    wait_for_progress(clients, 300.0)
    end(fleet, clients, record_property)


@pytest.mark.slow
def test_bytes_that_the_store_altered_reach_nobody(company: Deployment, proxy: FaultyProxy) -> None:
    fleet = Fleet(company)
    client = Client(fleet, company.add_user(), "client", 1)
    data = random.Random(1).randbytes(3 * MIB)
    assert client.send("MKCOL", "")[0] == 201
    assert client.send("PUT", "f", body=data)[0] == 201
    proxy.mode = Mode.ALTER
    assert is_refused(client, "f")
    client.hang_up()
    client.failure = ""
    assert proxy.broken > 0
    proxy.mode = Mode.PASS
    assert client.send("GET", "f") == (200, data)
    client.hang_up()
    fleet.server.stop(expect_clean=False)


def is_refused(client: Client, path: str) -> bool:
    """Whether a GET ends with an error, or breaks off."""
    try:
        return client.send("GET", path)[0] == 502
    except (http.client.HTTPException, OSError):
        return True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr!r}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_a_full_disk_is_507_and_loses_nothing(
    small_disk: Path, request: pytest.FixtureRequest, tmp_path: Path, declared: bool
) -> None:
    (deployment,) = make_deployment("embedded", request, tmp_path)
    deployment.settings["DAVSERVER_DATA_DIR"] = str(small_disk / "data")
    fleet = Fleet(deployment)
    client = Client(fleet, deployment.add_user(), "client", 1)
    assert client.send("MKCOL", "")[0] == 201
    stored: dict[str, bytes] = {}
    refused = 0
    for number in range(100):
        data = secrets.token_bytes(MIB)
        try:
            assert put(client, f"f{number}", data, declared=declared) == 201
            stored[f"f{number}"] = data
        except (Refused, OSError):
            client.hang_up()
            refused += 1
            if refused == 5:
                break
    assert 20 < len(stored) < 64
    assert refused == 5
    assert {name: client.send("GET", name)[1] for name in stored} == stored
    assert set(client.listed()) == set(stored)
    # Room can be made, and used.
    for name in list(stored)[:10]:
        assert client.send("DELETE", name)[0] == 204
        del stored[name]
    assert client.send("DELETE", ".trash")[0] == 204
    wait_for_room(small_disk, 8 * MIB)
    assert put(client, "again", secrets.token_bytes(MIB), declared=declared) == 201
    assert {name: client.send("GET", name)[1] for name in stored} == stored
    client.hang_up()
    assert not client.failure
    done = deployment.run("verify", "--deep", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    deployment.close()


def put(client: Client, path: str, data: bytes, *, declared: bool) -> int:
    """PUT, its length declared or in chunks."""
    if declared:
        return client.send("PUT", path, body=data)[0]
    pieces = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return client.send("PUT", path, {"Transfer-Encoding": "chunked"}, chunked + b"0\r\n\r\n")[0]


def wait_for_room(folder: Path, size: int) -> None:
    """Return when background work has freed so much."""
    deadline = time.monotonic() + 60
    while (status := os.statvfs(folder)).f_bavail * status.f_frsize < size:
        assert time.monotonic() < deadline, "no room was freed"
        time.sleep(0.1)
