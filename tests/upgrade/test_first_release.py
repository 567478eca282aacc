"""A drive that the first release filled, served by this one: every byte, property, lock and trash entry is there."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.bootstrap import known_revisions
from tests.support.crashing import Client, Fleet
from tests.support.davserver import Deployment, User
from tests.upgrade.drive_of_the_time import ADA, EVE, body, client_of, look
from tests.upgrade.make_first_release import FIRST_RELEASE, checkout
from tests.upgrade.old_drives import restore, seen


@pytest.fixture
def old_drive(empty_database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """The first release's drive, SQLite and PostgreSQL in turn, as a deployment of this one."""
    made = restore(empty_database_url, tmp_path / "data")
    yield made
    made.close()


def test_a_drive_of_the_first_release_is_whole_after_the_upgrade(old_drive: Deployment) -> None:
    checked = old_drive.run("migrate", "--check", check=False)
    assert (checked.returncode, "0001" in checked.stderr) == (1, True)
    newest = known_revisions()[-1]
    assert old_drive.run("migrate").stdout == f"The database went from 0001 to {newest}.\n"
    assert "All is well" in old_drive.run("verify", "--deep").stdout

    assert int(old_drive.run("jobs", "run").stdout.split()[0]) >= 13
    assert not re.search(r"\bscan\b", old_drive.run("jobs", "list").stdout)

    server = old_drive.start()
    assert look(server.url) == seen(old_drive.kind)
    with client_of(server.url, EVE) as eve:
        assert eve.get("").status_code == 401
    old_locks_hold(server.url, old_drive.kind)
    old_trash_comes_back(old_drive, server.url)
    server.stop()
    assert "All is well" in old_drive.run("verify", "--deep").stdout


def old_locks_hold(url: str, kind: str) -> None:
    tokens = {path: said["locks"] for path, said in seen(kind)["ada"].items() if said.get("locks")}
    [deep] = tokens["letters/"]
    [shared] = tokens["readme.txt"]
    with client_of(url, ADA) as ada:
        for path, token, base in (("letters/2026/new.txt", deep, "letters/"), ("readme.txt", shared, "readme.txt")):
            assert ada.put(path, content=b"new").status_code == 423
            named = {"If": f"<{url}{base}> (<{token}>)"}
            assert ada.put(path, content=b"new", headers=named).is_success
            assert ada.get(path).content == b"new"
        assert ada.request("UNLOCK", "letters/", headers={"Lock-Token": f"<{deep}>"}).status_code == 204
        assert ada.put("letters/2026/free.txt", content=b"free").status_code == 201


def old_trash_comes_back(drive: Deployment, url: str) -> None:
    drive.run("trash", "restore", "ada", "old")
    with client_of(url, ADA) as ada:
        assert ada.get("old/large.bin").content == body("old/large.bin", 8_192)
        assert ada.get("old/deeper/small.txt").content == body("old/deeper/small.txt", 100)
        assert ada.request("DELETE", ".trash/gone.txt").status_code == 204


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("DAVSERVER_PROVE"), reason="needs the history of the repository: DAVSERVER_PROVE=1"
)
def test_a_server_of_the_first_release_works_on_while_and_after_the_database_is_migrated(
    old_drive: Deployment, tmp_path: Path
) -> None:
    old = Deployment(old_drive.kind, old_drive.settings, checkout(FIRST_RELEASE, tmp_path / "code"))
    fleet = Fleet(old)
    clients = [Client(fleet, User(*ADA), f"busy {number}", number) for number in range(3)]
    for client in clients:
        client.start()
    try:
        wait_for(clients, 20)
        old_drive.run("migrate")
        wait_for(clients, 100)
        new = old_drive.start()
        wait_for(clients, 20)
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
    assert [client.failure for client in clients] == [""] * 3
    assert sum(client.refused for client in clients) == 0
    assert look(fleet.server.url) == look(new.url)
    assert old_drive.run("verify", "--deep").returncode == 0
    old.close()
    print(f"{old.kind}: {sum(client.done for client in clients)} changes by the first release, none failed")


def wait_for(clients: list[Client], changes: int) -> None:
    """Wait until each of them has made so many changes more."""
    wanted = [(client, client.done + changes) for client in clients]
    deadline = time.monotonic() + 120
    while any(client.done < goal for client, goal in wanted):
        assert not [client.failure for client in clients if client.failure]
        assert time.monotonic() < deadline
        time.sleep(0.02)
