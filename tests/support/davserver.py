"""The real server as a process of its own, started the way a person starts it: `davserver serve` and its environment."""

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.processes import tied

COMMAND = (sys.executable, "-m", "davserver")
READY = re.compile(rb"davserver ready: (http\S+)")
START_SECONDS = 60.0
STOP_SECONDS = 30.0
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the whole environment of a davserver process: `settings`, and nothing of the caller's that could matter."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"PYTHONUNBUFFERED": "1"} | settings


class ServerProcess:
    """A running `davserver serve`: the address, the log, and how to end it.

    `url` is the address of the share, such as `http://127.0.0.1:40123/dav/`; `log` all that was written to stdout and
    stderr; `pid` the process that was started, whose children are the server processes.
    """

    def __init__(self, settings: dict[str, str], folder: Path, *options: str) -> None:
        self.settings = settings
        self.folder = folder
        self.url = ""
        self._lines: list[bytes] = []
        self._ready = threading.Event()
        began = time.monotonic()
        self.process = subprocess.Popen(
            tied([*COMMAND, "serve", *options], signal.SIGTERM),
            cwd=folder,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(START_SECONDS) or not self.url:
            self.kill()
            raise RuntimeError(f"davserver did not get ready in {START_SECONDS:.0f} s:\n{self.log}")
        self.started_in = time.monotonic() - began
        """Seconds from the start of the process to its ready line."""

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self.process.pid

    @property
    def log(self) -> str:
        """All output so far, both streams in one."""
        return b"".join(self._lines).decode(errors="replace")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, for a raw socket."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def stop(self, *, expect_clean: bool = True) -> int:
        """End it with SIGTERM and return its exit code; unless told otherwise, that is 0 and the log holds no traceback."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"davserver did not stop {STOP_SECONDS:.0f} s after SIGTERM:\n{self.log}") from None
        self._finish_reading()
        if expect_clean:
            assert code == 0, f"davserver ended with {code}:\n{self.log}"
            assert "Traceback" not in self.log, f"a traceback in the log:\n{self.log}"
        return code

    def kill(self) -> None:
        """End it and its children with SIGKILL, as a power cut would."""
        for pid in [*children(self.pid), self.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(STOP_SECONDS)
        self._finish_reading()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            found = READY.search(line)
            if found and not self.url:
                self.url = found[1].decode()
                self._ready.set()
        self._ready.set()  # it ended: nothing to wait for

    def _finish_reading(self) -> None:
        self._reader.join(5)
        if self.process.stdout is not None and not self._reader.is_alive():
            self.process.stdout.close()


@dataclass
class User:
    """Who a test is at the server."""

    name: str
    password: str = field(repr=False)

    @property
    def auth(self) -> tuple[str, str]:
        """What requests and httpx take as `auth`."""
        return self.name, self.password


@dataclass
class Deployment:
    """Everything one server needs, by its settings; any number of servers can be started on it, also at once."""

    kind: str
    """`embedded` (SQLite and a folder) or `company` (PostgreSQL and S3)."""
    settings: dict[str, str] = field(repr=False)
    folder: Path
    """Where the servers run; the data folder of the embedded kind is `data` in it."""
    servers: list[ServerProcess] = field(default_factory=list)

    def start(self, **settings: str) -> ServerProcess:
        """Start a server, with `settings` on top of the deployment's, and wait until it is ready."""
        server = ServerProcess(self.settings | settings, self.folder)
        self.servers.append(server)
        return server

    def run(
        self, *arguments: str, stdin: str = "", check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run another `davserver` command to its end, `seconds` at most; with `check`, it must succeed."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=environment(self.settings),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check:
            assert done.returncode == 0, (
                f"davserver {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def add_user(self, name: str | None = None, *options: str, password: str | None = None) -> User:
        """Add a user with a random password (and name), with further `options` of `davserver user add`."""
        user = User(
            name or f"user-{secrets.token_hex(4)}", password or secrets.token_hex(8)
        )  # no leading minus: it goes on command lines
        self.run("user", "add", user.name, "--password-stdin", *options, stdin=f"{user.password}\n")
        return user

    def close(self) -> None:
        """Stop every server that still runs; each must end cleanly."""
        for server in self.servers:
            if server.process.poll() is None:
                server.stop()


def children(pid: int) -> list[int]:
    """Return the process ids of all descendants of `pid`, from /proc."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += [int(child), *children(int(child))]
    return found


def resident(pid: int) -> int:
    """Bytes of memory of a server's processes together."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text(encoding="ascii").split()[1]) for one in [pid, *children(pid)])
    return pages * os.sysconf("SC_PAGE_SIZE")
