"""Three servers as on three machines, behind a real proxy, with one database, one S3, one Valkey and two workers."""

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.support.davserver import COMMAND, Deployment, ServerProcess, User, children, environment
from tests.support.fixtures_davserver import deployment_kinds, make_deployment
from tests.support.postgres import free_port
from tests.support.processes import tied
from tests.support.proxies import Proxied, running_proxy

pytestmark = pytest.mark.server

PROVE = bool(os.environ.get("DAVSERVER_PROVE"))
RESTARTS = 12 if PROVE else 2
READ_AGAIN = None if PROVE else 100
"""So many of the files are compared at the end."""
HOWS = (signal.SIGSTOP, signal.SIGKILL) if PROVE else (signal.SIGKILL,)
"""How a machine is lost: cut off, and killed. That the first is noticed takes half a minute, so it is not done each time."""
LOCK = (
    '<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype></D:lockinfo>"
)


@pytest.fixture
def company(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    if "company" not in deployment_kinds():
        pytest.skip("PostgreSQL is not among the databases under test")
    for made in make_deployment("company", request, tmp_path):
        valkey = request.getfixturevalue("valkey_server")
        made.settings |= {
            "REDIS_URL": valkey.connection_url, "DAVSERVER_TRUSTED_PROXIES": "127.0.0.1",
            "DAVSERVER_DRAIN_DELAY": "3s", "DAVSERVER_PROCESSES": "1",
        }  # fmt: skip
        yield made


class Cluster:
    """The servers, each at a port that stays its own."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._ports = [free_port() for _ in range(3)]
        self.servers = [self._start(port) for port in self._ports]
        self.addresses = [f"127.0.0.1:{port}" for port in self._ports]

    def _start(self, port: int) -> ServerProcess:
        return self._deployment.start(DAVSERVER_PORT=str(port))

    def restart(self, number: int) -> None:
        self.servers[number].stop()
        self.begin(number)

    def begin(self, number: int) -> None:
        self.servers[number] = self._start(self._ports[number])

    def signal(self, number: int, which: signal.Signals) -> None:
        """To all processes of a server, as if to the whole machine."""
        for pid in [*children(self.servers[number].pid), self.servers[number].pid]:
            os.kill(pid, which)


@contextmanager
def workers(deployment: Deployment) -> Iterator[None]:
    command = tied([*COMMAND, "worker", "--processes", "1"], signal.SIGTERM)
    started = [
        subprocess.Popen(
            command, cwd=deployment.folder, env=environment(deployment.settings),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)


def session(proxy: Proxied, user: User) -> requests.Session:
    http = requests.Session()
    http.trust_env, http.auth, http.verify = False, user.auth, str(proxy.folder / "cert.pem")
    return http


class Load:
    """Clients that write, read and list until the end, and remember what failed and what was stored."""

    def __init__(self, proxy: Proxied, user: User) -> None:
        self._proxy, self._user = proxy, user
        self._over = threading.Event()
        self.failures: list[str] = []
        self.stored: dict[str, bytes] = {}
        self.done = 0

    @contextmanager
    def running(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join(90)

    def _work(self, client: int) -> None:
        with session(self._proxy, self._user) as http:
            for number in itertools.count():
                if self._over.is_set():
                    return
                url, body = f"{self._proxy.url}{client}-{number}", os.urandom(20_000)
                self._ask(lambda url=url, body=body: http.put(url, body, timeout=60), (201,), url, body)  # type: ignore[misc]
                self._ask(lambda: http.request("PROPFIND", self._proxy.url, headers={"Depth": "0"}, timeout=60), (207,))
                if url in self.stored:
                    self._ask(lambda url=url: http.get(url, timeout=60), (200,))  # type: ignore[misc]

    def _ask(
        self, send: Callable[[], requests.Response], wanted: tuple[int, ...], url: str = "", body: bytes = b""
    ) -> None:
        try:
            status = send().status_code
        except requests.RequestException as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        self.done += 1
        if status not in wanted:
            self.failures.append(f"{status} for {url or 'a read'}")
        elif url:
            self.stored[url] = body

    def wait_for(self, count: int) -> None:
        """Until so many more requests were answered."""
        goal, deadline = self.done + count, time.monotonic() + 120
        while self.done < goal:
            assert time.monotonic() < deadline, self.failures[-3:]
            self._over.wait(0.05)


def is_unnoticed(load: Load, count: int = 60) -> bool:
    """Whether so many requests in a row were answered rightly."""
    before = len(load.failures)
    load.wait_for(count)
    return len(load.failures) == before


@pytest.mark.timeout(1200)
def test_machines_are_restarted_cut_off_and_killed_under_load(company: Deployment, tmp_path: Path) -> None:
    user = company.add_user()
    cluster = Cluster(company)
    with workers(company), running_proxy("caddy", tmp_path / "proxy", cluster.addresses) as proxy:
        load = Load(proxy, user)
        with load.running():
            load.wait_for(20)
            for number in range(RESTARTS):
                cluster.restart(number % 3)
                load.wait_for(20)
            assert not load.failures, "a rolling restart is not noticed"
            for how in HOWS:
                cluster.signal(1, how)
                deadline = time.monotonic() + 120
                while not is_unnoticed(load):
                    assert time.monotonic() < deadline, load.failures[-3:]
                if how is signal.SIGSTOP:
                    cluster.signal(1, signal.SIGCONT)
                    load.wait_for(20)
        cluster.servers[1].kill()
        cluster.begin(1)
        with session(proxy, user) as http:
            for url, body in list(load.stored.items())[:READ_AGAIN]:
                assert http.get(url, timeout=20).content == body, "what was answered 201 is there"
        agree_on_everything(cluster, user)


def agree_on_everything(cluster: Cluster, user: User) -> None:
    """Locks, the trash and a new password are the same on each machine, at once."""
    one, two, three = (server.url for server in cluster.servers)
    with requests.Session() as http:
        http.trust_env, http.auth = False, user.auth
        assert http.put(one + "agreed", b"x", timeout=20).status_code == 201
        granted = http.request("LOCK", two + "agreed", data=LOCK, timeout=20)
        assert granted.status_code == 200
        assert http.put(three + "agreed", b"y", timeout=20).status_code == 423
        token = {"Lock-Token": granted.headers["Lock-Token"]}
        assert http.request("UNLOCK", one + "agreed", headers=token, timeout=20).status_code == 204
        assert http.delete(two + "agreed", timeout=20).status_code == 204
        assert http.get(three + "agreed", timeout=20).status_code == 404
        assert http.get(one + ".trash/agreed", timeout=20).content == b"x"
