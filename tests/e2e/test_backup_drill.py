"""The drill: a backup of a drive that is written to all the while, restored elsewhere, and every byte compared."""

import secrets
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.davserver import Deployment, ServerProcess, User
from tests.support.fixtures_davserver import deployment_kinds, make_deployment

PAIRS = list(zip(deployment_kinds(), reversed(deployment_kinds()), strict=True))


class Writer(threading.Thread):
    """Writes one file after another, over and over, and remembers all that it ever wrote; now and then it deletes."""

    def __init__(self, server: ServerProcess, user: User, name: str) -> None:
        super().__init__(daemon=True)
        self.server, self.user = server, user
        self.folder = name
        self.written: dict[str, list[bytes]] = {}
        self.stopping = threading.Event()
        self.failure: Exception | None = None
        self.rounds = 0

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.server.url, auth=self.user.auth, timeout=60) as client:
                client.request("MKCOL", self.folder).raise_for_status()
                while not self.stopping.is_set():
                    self.write(client)
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.failure = error

    def write(self, client: httpx.Client) -> None:
        name = f"{self.folder}/{self.rounds % 12}"
        if self.rounds % 5 == 4:
            client.delete(name).raise_for_status() if client.head(name).is_success else None
        body = secrets.token_bytes(40_000 if self.rounds % 3 else 300)
        self.written.setdefault(name, []).append(body)
        client.put(name, content=body).raise_for_status()
        self.rounds += 1


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]} to {pair[1]}")
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Deployment, Deployment]]:
    """A deployment to back up, and another one to restore onto."""
    source, target = request.param
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    for here in make_deployment(source, request, tmp_path / "here"):
        for there in make_deployment(target, request, tmp_path / "there"):
            yield here, there


def hand_over_keys(here: Deployment, there: Deployment) -> None:
    for deployment in (here, there):
        deployment.settings.pop("DAVSERVER_MASTER_KEYS", None)
    shutil.copy(here.folder / "data" / "keys.json", there.folder / "data" / "keys.json")


def test_a_backup_under_load_is_one_moment_of_the_drive(pair: tuple[Deployment, Deployment], tmp_path: Path) -> None:
    here, there = pair
    here.settings.pop("DAVSERVER_MASTER_KEYS", None)
    server = here.start(DAVSERVER_REPLACED_RETENTION="0", DAVSERVER_TRASH_RETENTION="0")
    user = here.add_user()
    still = {f"still-{number}": secrets.token_bytes(number * 7919) for number in range(10)}
    with httpx.Client(base_url=server.url, auth=user.auth, timeout=60) as client:
        for name, body in still.items():
            client.put(name, content=body).raise_for_status()
    writers = [Writer(server, user, f"busy-{number}") for number in range(3)]
    for writer in writers:
        writer.start()
    backup = str(tmp_path / "backup")
    try:
        for _ in range(2):
            here.run("backup", backup)
    finally:
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join()
    assert [writer.failure for writer in writers] == [None] * 3
    server.stop()
    assert "all is well" in here.run("backup", backup, "--check").stdout
    hand_over_keys(here, there)
    there.run("restore", backup)
    assert there.run("restore", backup, check=False).returncode == 2
    there.run("verify", "--deep")
    with httpx.Client(base_url=there.start().url, auth=user.auth, timeout=60) as client:
        for name, body in still.items():
            assert client.get(name).content == body
        compared = 0
        for name, bodies in ((name, bodies) for writer in writers for name, bodies in writer.written.items()):
            answer = client.get(name)
            assert answer.status_code in {200, 404}
            assert answer.status_code == 404 or answer.content in bodies
            compared += answer.status_code == 200
        assert compared > 0
