"""What is answered after one question for many requests is what the ordinary way answers, whatever changed in between."""

import random
import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from davserver.bootstrap import Services
from davserver.config.kinds import SecretUrl
from davserver.db.rows import DeviceTokenRow, RevisionRow, TreeRow
from davserver.services.devices import Limits
from providers.app import QUESTIONS, DavApp, make_dav_app
from tests.support.databases import PostgresDatabases
from tests.support.drive import Drive, MovableClock, Response, Sent, basic, call, environ_of, new_drive, open_services

NAMED = (
    '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getetag/>'
    '<x xmlns="urn:x"/></prop></propfind>'
)
LOCKS = '<propfind xmlns="DAV:"><prop><lockdiscovery/></prop></propfind>'
SECONDS = 20.0
"""To wait for PostgreSQL at most."""


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture(scope="module")
def services(
    postgres_databases: PostgresDatabases, tmp_path_factory: pytest.TempPathFactory, clock: MovableClock
) -> Iterator[Services]:
    url = postgres_databases.migrated()
    services = open_services(tmp_path_factory.mktemp("early"), clock, database_url=SecretUrl(url))
    yield services
    services.close()
    postgres_databases.drop(url)


@pytest.fixture(scope="module")
def app(services: Services, clock: MovableClock) -> DavApp:
    return make_dav_app(services, clock)


@pytest.fixture
def drive(services: Services, app: DavApp, clock: MovableClock) -> Drive:
    return new_drive(services, app, clock)


def environ(drive: Drive, method: str, path: str, body: str = "", **headers: str) -> dict[str, Any]:
    """A request as our HTTP server shows it."""
    fields = {"Authorization": drive.credentials, **drive.headers, **headers}
    if body:
        fields["Content-Length"] = str(len(body))
    return environ_of(method, drive.url(path), Sent(body.encode()), fields)


def early(app: DavApp, environs: list[dict[str, Any]]) -> list[Response | None]:
    """Ask as our HTTP server does, about all of them at once; the answers, None where the ordinary way is to find one."""
    asker = app.early
    assert asker is not None
    noted = [one for one in environs if asker.note(one)]
    answers: dict[int, Response] = {}
    if noted:
        descriptor, is_asked = asker.ask(noted)
        if not is_asked:
            asker.forget(descriptor)
            raise ConnectionError
        while (known := _heard(app, descriptor)) is None:
            assert select.select([descriptor], [], [], SECONDS)[0], "PostgreSQL did not answer"
        answers = {
            id(one): call(app, one, one["REQUEST_METHOD"]) for one, good in zip(noted, known, strict=True) if good
        }
    return [answers.get(id(one)) for one in environs]


def _heard(app: DavApp, descriptor: int) -> list[bool] | None:
    assert app.early is not None
    try:
        return app.early.hear(descriptor)
    except ConnectionError:
        app.early.forget(descriptor)
        raise


def both(drive: Drive, method: str, path: str, body: str = "", **headers: str) -> tuple[Response, bool]:
    """What a request gets, which is the same early and in the ordinary way; and whether it came early."""
    assert isinstance(drive.app, DavApp)
    first = drive.request(method, path, body, headers)
    found = early(drive.app, [environ(drive, method, path, body, **headers) for _ in range(2)])
    ordinary = drive.request(method, path, body, {**headers, "If-Range": '"none"'})
    assert {first, *found} <= {ordinary, None}
    return ordinary, None not in found


def change(drive: Drive, dice: random.Random) -> None:
    path, other = dice.choice(["/a.txt", "/b", "/b/c.txt"]), dice.choice(["/a.txt", "/b", "/b/d.txt"])
    method = dice.choice(["PUT", "MKCOL", "DELETE", "MOVE", "COPY"])
    headers = {"Destination": drive.url(other)} if method in {"MOVE", "COPY"} else {}
    body = dice.choice(["", "some", "x" * 4096, "y" * 40_000]) if method == "PUT" else ""
    assert drive.request(method, path, body, headers).status < 500


@pytest.mark.parametrize("seed", range(3))
def test_a_request_gets_the_same_early_and_late_after_every_change(drive: Drive, seed: int) -> None:
    dice = random.Random(seed)
    came = 0
    for _ in range(40):
        change(drive, dice)
        path = dice.choice(["/a.txt", "/b", "/b/", "/b/c.txt", "/", "/no"])
        for method in ("GET", "HEAD") if path.endswith(".txt") else ():
            came += both(drive, method, path)[1]
        came += both(drive, "PROPFIND", path, dice.choice(["", NAMED]), Depth=dice.choice("01"))[1]
    assert came > 20


def test_many_requests_of_several_users_are_answered_after_one_question(drive: Drive, app: DavApp) -> None:
    other = new_drive(drive.services, app, drive.clock)
    asked = []
    for one, content in ((drive, "mine"), (other, "theirs")):
        one.put("/f.txt", content)
        assert one.request("GET", "/f.txt").text == content
        assert one.request("PROPFIND", "/f.txt", NAMED, {"Depth": "0"}).status == 207
        asked += [environ(one, "GET", "/f.txt"), environ(one, "PROPFIND", "/f.txt", NAMED, Depth="0")]
        asked += [environ(one, "GET", "/unknown.txt")]
    answers = early(app, asked)
    assert [None if answer is None else answer.status for answer in answers] == [200, 207, None] * 2
    assert [answer.text for answer in (answers[0], answers[3]) if answer is not None] == ["mine", "theirs"]


def test_what_a_lock_shows_and_what_is_unusual_is_not_answered_early(drive: Drive, app: DavApp) -> None:
    drive.put("/f.txt", "content")
    for _ in range(2):
        assert not both(drive, "PROPFIND", "/f.txt", LOCKS, Depth="0")[1]
        assert not both(drive, "PROPFIND", "/f.txt", NAMED, Depth="infinity")[1]
        assert not both(drive, "PROPFIND", "/f.txt", "<odd", Depth="0")[1]
    assert both(drive, "GET", "/f.txt")[1]
    assert early(app, [environ(drive, "GET", "/f.txt", Range="bytes=1-2")]) == [None]
    assert early(app, [environ(drive, "GET", "/f.txt", Authorization="Basic !")]) == [None]
    assert early(app, [environ_of("GET", "/elsewhere", Sent(b""), {"Authorization": drive.credentials})]) == [None]


def test_a_long_answer_is_left_to_the_workers(drive: Drive) -> None:
    drive.mkcol("/many")
    for number in range(300):
        drive.put(f"/many/{'long name ' * 10}{number}.txt".replace(" ", "%20"), "")
    assert len(drive.request("PROPFIND", "/many/", NAMED, {"Depth": "1"}).body) > 65_536
    assert not both(drive, "PROPFIND", "/many/", NAMED, Depth="1")[1]
    assert both(drive, "PROPFIND", "/many/", NAMED, Depth="0")[1]


def test_a_file_that_turns_out_to_be_infected_is_not_given_out_early(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    assert both(drive, "GET", "/f.txt")[1]
    with drive.services.database.write() as unit:
        mine = RevisionRow.owner_id == drive.principal.owner_id
        unit.connection.execute(update(RevisionRow).where(mine).values(verdict="infected", signature="Eicar"))
    answer, came_early = both(drive, "GET", "/f.txt")
    assert (answer.status, came_early) == (403, False)


def test_who_is_shut_out_or_has_another_password_gets_nothing_early(drive: Drive, app: DavApp) -> None:
    drive.put("/f.txt", "content")
    assert both(drive, "GET", "/f.txt")[1]
    accounts, name = drive.services.accounts, drive.principal.name
    accounts.set_disabled(name, disabled=True)
    assert early(app, [environ(drive, "GET", "/f.txt")]) == [None]
    accounts.set_disabled(name, disabled=False)
    assert both(drive, "GET", "/f.txt")[1]
    accounts.set_password(name, "another password")
    assert early(app, [environ(drive, "GET", "/f.txt")]) == [None]


@pytest.mark.parametrize("limits", [Limits(), Limits(read_only=True), Limits(hides_trash=True)], ids=str)
def test_a_device_token_is_known_early_until_it_is_revoked(drive: Drive, app: DavApp, limits: Limits) -> None:
    devices = drive.services.devices
    token = devices.add(drive.principal, "phone", limits)
    drive.put("/f.txt", "content")
    drive.headers = {"Authorization": basic(drive.principal.name, token.secret)}
    for _ in range(2):
        assert drive.request("PROPFIND", "/", NAMED, {"Depth": "1"}).status == 207
    answer, came_early = both(drive, "PROPFIND", "/", NAMED, Depth="1")
    assert came_early
    assert (drive.url("/.trash/") in answer.hrefs) is not limits.hides_trash
    assert both(drive, "GET", "/f.txt")[1]
    devices.revoke(drive.principal, "phone")
    assert early(app, [environ(drive, "GET", "/f.txt")]) == [None]


def test_a_token_of_another_user_under_the_same_id_is_not_taken_for_it(drive: Drive, app: DavApp) -> None:
    other = new_drive(drive.services, app, drive.clock)
    token = drive.services.devices.add(drive.principal, "phone")
    drive.headers = {"Authorization": basic(drive.principal.name, token.secret)}
    drive.put("/f.txt", "content")
    for _ in range(2):
        assert drive.request("GET", "/f.txt").status == 200
    assert both(drive, "GET", "/f.txt")[1]
    with drive.services.database.write() as unit:
        here = DeviceTokenRow.id == token.token.id
        unit.connection.execute(update(DeviceTokenRow).where(here).values(user_id=other.principal.user_id))
    assert early(app, [environ(drive, "GET", "/f.txt")]) == [None]


def test_a_tree_that_has_another_version_is_not_answered_from_memory(drive: Drive, app: DavApp) -> None:
    drive.put("/f.txt", "content")
    assert both(drive, "GET", "/f.txt")[1]
    with drive.services.database.write() as unit:
        mine = TreeRow.owner_id == drive.principal.owner_id
        unit.connection.execute(update(TreeRow).where(mine).values(version=TreeRow.version + 1))
    assert early(app, [environ(drive, "GET", "/f.txt")]) == [None]


def test_a_lost_connection_is_an_error_and_the_next_request_brings_another(drive: Drive, app: DavApp) -> None:
    drive.put("/f.txt", "content")
    assert both(drive, "GET", "/f.txt")[1]
    with drive.services.database.read() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
    assert app.early is not None
    for _ in range(QUESTIONS + 1):
        with pytest.raises(ConnectionError):
            early(app, [environ(drive, "GET", "/f.txt")])
    assert not app.early.can_ask()
    for _ in range(20):  # each dead connection of the pool is found by a request, which gets its answer all the same
        assert drive.request("GET", "/f.txt").text == "content"
    assert both(drive, "GET", "/f.txt")[1]


def test_sqlite_is_asked_without_a_detour(tmp_path: Path) -> None:
    services = open_services(tmp_path, MovableClock())
    try:
        assert make_dav_app(services).early is None
    finally:
        services.close()
