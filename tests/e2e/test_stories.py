"""What people do with a drive, from end to end: embedded, and with PostgreSQL, S3, Redis, a worker and clamd."""

import io
import secrets
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from tests.support.clamd import EICAR, EICAR_NAME
from tests.support.davserver import Deployment, ServerProcess, User
from tests.support.drive import basic
from tests.support.person import Person
from tests.support.wire import Wire

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def server(whole_deployment: Deployment) -> ServerProcess:
    return whole_deployment.servers[0]


@pytest.fixture
def grace(server: ServerProcess) -> Iterator[Person]:
    """Somebody new, registered and signed in."""
    person = Person.registered(server)
    yield person
    person.wire.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def test_somebody_registers_uploads_and_gives_a_link_that_anybody_downloads_by(grace: Person) -> None:
    content = secrets.token_bytes(300_000)
    assert grace.dav("MKCOL", "/holiday").status == 201
    grace.put("/holiday/sea.bin", content)
    grace.rest("PUT", "/files/content?path=/holiday/notes.txt", b"notes", status=201)
    made = grace.rest("POST", "/links", {"path": "/holiday/sea.bin", "max_uses": 2}, status=201)
    folder = grace.rest("POST", "/links", {"path": "/holiday", "password": "open sesame"}, status=201)
    file_path, folder_path = ("/s/" + one["url"].rpartition("/s/")[2] for one in (made, folder))

    anybody = grace.wire
    got = anybody.ask("GET", file_path)
    assert (got.status, got.body) == (200, content)
    assert 'filename="sea.bin"' in got.field("content-disposition")
    part = anybody.ask("GET", file_path, {"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, content[1000:2000])
    assert grace.rest("GET", f"/links/{made['id']}")["uses"] == 1
    assert anybody.ask("GET", folder_path).status == 401
    zipped = anybody.ask("GET", folder_path, {"Authorization": basic("", "open sesame")})
    with zipfile.ZipFile(io.BytesIO(zipped.body)) as archive:
        assert archive.read("holiday/sea.bin") == content
        assert archive.read("holiday/notes.txt") == b"notes"
    grace.rest("DELETE", f"/links/{made['id']}", status=204)
    assert anybody.ask("GET", file_path).status == 404


def test_what_was_deleted_is_seen_in_the_trash_and_restored_in_time(grace: Person) -> None:
    assert grace.dav("MKCOL", "/work").status == 201
    grace.put("/work/thesis.txt", b"years of work")
    assert grace.dav("DELETE", "/work").status == 204
    assert grace.dav("GET", "/work/thesis.txt").status == 404
    assert b"/dav/.trash/work/" in grace.dav("PROPFIND", "/.trash/", Depth="1").body
    [entry] = grace.rest("GET", "/trash")["items"]
    assert (entry["name"], entry["origin"], entry["files"], entry["size"]) == ("work", "/work", 1, 13)
    kept = datetime.fromisoformat(entry["purge_at"]) - datetime.fromisoformat(entry["discarded_at"])
    assert kept >= timedelta(hours=24), "there is a day at least to think again"
    assert grace.rest("POST", f"/trash/{entry['id']}/restore", {}) == {"path": "/work"}
    assert grace.dav("GET", "/work/thesis.txt").body == b"years of work"
    assert grace.rest("GET", "/trash")["items"] == []
    assert grace.dav("DELETE", "/work").status == 204
    # By WebDAV alone, as with a file manager: out of the trash with MOVE.
    assert grace.dav("MOVE", "/.trash/work", Destination="/dav/work").status == 201
    assert grace.dav("GET", "/work/thesis.txt").body == b"years of work"


def test_statistics_tell_what_there_is_and_which_files_are_the_largest(grace: Person) -> None:
    assert grace.dav("MKCOL", "/pictures").status == 201
    for number in range(12):
        kind = "image/png" if number % 2 else "text/plain"
        grace.put(f"/pictures/{number}", b"x" * (1000 * (number + 1)), Content_Type=kind)
    grace.put("/gone", b"x" * 50_000)
    assert grace.dav("DELETE", "/gone").status == 204
    shown = grace.rest("GET", "/statistics")
    assert (shown["files"], shown["folders"], shown["size"]) == (12, 1, 78_000)
    assert {one["content_type"]: one["files"] for one in shown["by_type"]} == {"image/png": 6, "text/plain": 6}
    assert (shown["trash"]["size"], shown["quota"]["used"]) == (50_000, 128_000)
    assert shown["growth"][-1]["size"] == 78_000
    top = grace.rest("GET", "/statistics/top")["items"]
    assert [(one["path"], one["size"]) for one in top] == [
        (f"/pictures/{number}", 1000 * (number + 1)) for number in range(11, 1, -1)
    ]


def test_nested_folders_are_moved_between_each_other_and_nothing_is_lost(grace: Person) -> None:
    def tree() -> dict[str, bytes]:
        found, waiting = {}, ["/"]
        while waiting:
            folder = waiting.pop()
            for one in grace.rest("GET", f"/files?path={folder}")["items"]:
                if one["is_folder"] and one["name"] != ".trash":
                    waiting.append(one["path"])
                elif not one["is_folder"]:
                    found[one["path"]] = grace.dav("GET", one["path"]).body
        return found

    for folder in ("/a", "/a/b", "/a/b/c", "/x", "/x/y"):
        assert grace.dav("MKCOL", folder).status == 201
    for place in ("/a/1", "/a/b/2", "/a/b/c/3", "/x/4", "/x/y/5"):
        grace.put(place, place.encode())
    before = sorted(tree().values())
    assert grace.dav("MOVE", "/a/b", Destination="/dav/x/y/b").status == 201
    assert grace.dav("MOVE", "/x", Destination="/dav/a/x").status == 201
    assert grace.dav("MOVE", "/a", Destination="/dav/a/x/y/a").status == 403, "no folder goes into itself"
    grace.rest("POST", "/files/move", {"source": "/a/x/y/b/c", "destination": "/c"})
    assert tree() == {
        "/a/1": b"/a/1", "/a/x/4": b"/x/4", "/a/x/y/5": b"/x/y/5", "/a/x/y/b/2": b"/a/b/2", "/c/3": b"/a/b/c/3",
    }  # fmt: skip
    assert sorted(tree().values()) == before


def test_every_upload_is_scanned_and_a_virus_is_held_back(grace: Person, whole_deployment: Deployment) -> None:
    def verdict(path: str) -> str:
        return str(grace.rest("GET", f"/files/metadata?path={path}")["verdict"])

    clean = b"harmless" * 100_000
    grace.put("/clean", clean)
    grace.put("/bad", b"x" * 100_000 + EICAR)
    wait_until(lambda: grace.dav("GET", "/bad").status == 403)
    assert EICAR_NAME in grace.dav("GET", "/bad").body.decode()
    assert verdict("/bad") == "infected"
    assert grace.ask("GET", "/files/content?path=/bad").status == 403
    assert grace.dav("COPY", "/bad", Destination="/dav/copy").status == 403
    wait_until(lambda: verdict("/clean") == "clean")
    assert grace.dav("GET", "/clean").body == clean

    listed = [line.split()[:4] for line in whole_deployment.run("scan", "list").stdout.splitlines()]
    assert [grace.user.name, "/bad", "infected", EICAR_NAME] in listed
    assert EICAR_NAME in whole_deployment.run("scan", "release", grace.user.name, "/bad").stdout
    assert grace.dav("GET", "/bad").status == 200
    assert grace.dav("DELETE", "/bad").status == 204


def test_the_token_of_a_lost_laptop_is_revoked_while_it_uploads(grace: Person, whole_deployment: Deployment) -> None:
    token = grace.rest("POST", "/tokens", {"name": "laptop"}, status=201)
    laptop = token["token"]
    assert grace.dav("PUT", "/big", b"first", secret=laptop).status == 201

    half = b"x" * 2_000_000
    with closing(socket.create_connection(grace.server.address, timeout=60)) as client:
        credentials = basic(grace.user.name, laptop)
        head = f"PUT /dav/big HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\nContent-Length: {2 * len(half)}"
        client.sendall(head.encode() + b"\r\n\r\n" + half)
        grace.rest("DELETE", f"/tokens/{token['id']}", status=204)
        client.sendall(half)
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    assert grace.dav("GET", "/big").body == b"first"
    for _ in range(6):  # whichever process answers
        grace.wire.close()
        assert grace.dav("GET", "/big", secret=laptop).status == 401

    assert grace.dav("MKCOL", "/photos").status == 201
    run = whole_deployment.run
    camera = run("token", "add", grace.user.name, "camera", "--prefix", "/photos", "--read-only").stdout.split()[-1]
    assert grace.dav("PUT", "/photos/x", b"x", secret=camera).status == 403
    assert grace.dav("GET", "/big", secret=camera).status == 403
    assert "camera" in run("token", "list", grace.user.name).stdout
    run("token", "revoke", grace.user.name, "camera")
    assert grace.dav("GET", "/photos/", secret=camera).status == 401


def test_six_wrong_sign_ins_and_then_429(whole_deployment: Deployment) -> None:
    user, other = (User(f"story-{secrets.token_hex(4)}", secrets.token_hex(8)) for _ in range(2))
    whole_deployment.add_user(other.name, password=other.password)
    server = whole_deployment.start(TESTING="", DAVSERVER_PROCESSES="2")
    wire = Wire(server.url)
    wrong = {"name": user.name, "password": "a wrong one"}
    answers = []
    for _ in range(6):
        wire.close()  # to whichever process takes the next connection
        person = Person(server, user)
        answers.append(person.ask("POST", "/sessions", wrong))
        person.wire.close()
    assert [answer.status for answer in answers] == [401] * 5 + [429]
    assert answers[-1].json["code"] == "too_many_requests"
    assert 0 < int(answers[-1].field("retry-after")) <= 60
    # The address waits, right or wrong, whoever it says it is.
    somebody = Person(server, other)
    assert somebody.ask("POST", "/sessions", {"name": other.name, "password": other.password}).status == 429
    somebody.wire.close()
    server.stop()
