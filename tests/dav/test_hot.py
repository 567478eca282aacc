"""What is answered from what was remembered is what the ordinary way answers, whatever changed in between."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from sqlalchemy import event, update

from davserver.db.rows import RevisionRow, UserRow
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.services.devices import Limits
from davserver.services.remembered import MAX_ENTRY_BYTES, Remembered, Seen
from tests.support.drive import Drive, Response, basic

NAMED = (
    '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/>'
    '<getetag/><creationdate/><displayname/><x xmlns="urn:x"/></prop></propfind>'
)
BODIES = (
    "",
    NAMED,
    '<propfind xmlns="DAV:"><allprop/></propfind>',
    '<propfind xmlns="DAV:"><propname/></propfind>',
    "<odd",
)
LOCKS = '<propfind xmlns="DAV:"><prop><lockdiscovery/></prop></propfind>'
NAMES = ("a", "b.txt", "%C3%A9.pdf", "e%CC%81.pdf", "c%20d")
ORDINARY = {"If-Range": '"none"'}
"""Without a Range it changes no answer; it only is unusual."""


def both(drive: Drive, method: str, path: str, body: str = "", **headers: str) -> Response:
    """Ask twice the quick way and once the ordinary way; see that all three agree; return the answer."""
    ordinary = drive.request(method, path, body, {**headers, **ORDINARY})
    for _ in range(2):
        assert drive.request(method, path, body, headers) == ordinary
    return ordinary


@contextmanager
def statements(drive: Drive) -> Iterator[list[str]]:
    """The statements that go the ordinary way to the database."""
    seen: list[str] = []

    def tell(*told: object) -> tuple[object, object]:
        seen.append(str(told[2]))
        return told[2], told[3]

    engine = drive.services.database.engine
    event.listen(engine, "before_cursor_execute", tell, retval=True)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", tell)


def change(drive: Drive, dice: random.Random) -> None:
    """Do one thing that a client does; it may well be refused."""
    where = ["/" + name for name in NAMES] + [f"/a/{name}" for name in NAMES] + ["/.trash/b.txt"]
    path, other = dice.choice(where), dice.choice(where)
    method = dice.choice(["PUT", "PUT", "MKCOL", "DELETE", "MOVE", "COPY", "PROPPATCH", "LOCK"])
    headers = {"Destination": drive.url(other)} if method in {"MOVE", "COPY"} else {}
    patch = (
        f'<propertyupdate xmlns="DAV:"><set><prop><x xmlns="urn:x">{dice.random()}</x></prop></set></propertyupdate>'
    )
    body = {"PUT": dice.choice(["", "some", "x" * 4096, "y" * 70_000]), "PROPPATCH": patch}.get(method, "")
    if method == "LOCK":
        if not path.startswith("/.trash") and drive.request("PROPFIND", path, "", {"Depth": "0"}).status == 207:
            token = drive.lock(path, depth="0")
            drive.request("UNLOCK", path, "", {"Lock-Token": f"<{token}>"})
        return
    assert drive.request(method, path, body, headers).status < 500


@pytest.mark.parametrize("seed", range(4))
def test_both_ways_agree_about_everything_after_every_change(drive: Drive, seed: int) -> None:
    dice = random.Random(seed)
    drive.mkcol("/a")
    statuses = set()
    for _ in range(60):
        change(drive, dice)
        path = dice.choice(["/", "/a/", "/a", "/.trash/", *("/" + name for name in NAMES), "/a/b.txt", "/%2f", "/no/x"])
        statuses.add(both(drive, "GET", path).status if path not in {"/", "/a", "/a/", "/.trash/"} else 200)
        both(drive, "HEAD", path)
        statuses.add(both(drive, "PROPFIND", path, dice.choice(BODIES), Depth=dice.choice("01")).status)
    assert {200, 207, 404} <= statuses


def test_a_second_look_goes_to_the_database_by_the_quick_way_alone(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    asked = [("GET", "/f.txt", ""), ("HEAD", "/f.txt", ""), ("PROPFIND", "/f.txt", NAMED), ("PROPFIND", "/", NAMED)]
    for method, path, body in asked:
        drive.request(method, path, body, {"Depth": "1"})
    with statements(drive) as seen:
        for method, path, body in asked:
            assert drive.request(method, path, body, {"Depth": "1"}).status in {200, 207}
    assert seen == []


def test_what_a_lock_shows_is_never_remembered(drive: Drive) -> None:
    drive.put("/f.txt")
    assert "activelock" not in drive.request("PROPFIND", "/f.txt", LOCKS, {"Depth": "0"}).text
    token = drive.lock("/f.txt")
    assert token in both(drive, "PROPFIND", "/f.txt", LOCKS, Depth="0").text
    drive.clock.advance(10 * 24 * 3600)
    assert token not in drive.request("PROPFIND", "/f.txt", LOCKS, {"Depth": "0"}).text


def test_a_file_that_turns_out_to_be_infected_is_not_given_out_any_more(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    assert [drive.request("GET", "/f.txt").status for _ in range(2)] == [200, 200]
    owner = drive.principal.owner_id
    with drive.services.database.write() as unit:
        found = update(RevisionRow).where(RevisionRow.owner_id == owner).values(verdict="infected", signature="Eicar")
        unit.connection.execute(found)
    assert both(drive, "GET", "/f.txt").status == both(drive, "HEAD", "/f.txt").status == 403


def test_who_is_shut_out_or_has_another_password_gets_nothing_remembered(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    assert [drive.request("GET", "/f.txt").status for _ in range(2)] == [200, 200]
    drive.services.accounts.set_disabled(drive.principal.name, disabled=True)
    assert both(drive, "GET", "/f.txt").status == 401
    drive.services.accounts.set_disabled(drive.principal.name, disabled=False)
    assert both(drive, "GET", "/f.txt").status == 200
    drive.services.accounts.set_password(drive.principal.name, "another password")
    assert both(drive, "GET", "/f.txt").status == 401


def test_each_user_sees_their_own(drive: Drive) -> None:
    other = drive.neighbour()
    drive.put("/f.txt", "mine")
    other.put("/f.txt", "theirs")
    for _ in range(2):
        assert drive.request("GET", "/f.txt").text == "mine"
        assert other.request("GET", "/f.txt").text == "theirs"


def test_hiding_the_trash_shows_at_once(drive: Drive) -> None:
    assert drive.url("/.trash/") in both(drive, "PROPFIND", "/", NAMED, Depth="1").hrefs
    with drive.services.database.write() as unit:
        me = UserRow.id == drive.principal.user_id
        unit.connection.execute(update(UserRow).where(me).values(hides_trash=True))
    assert drive.url("/.trash/") not in both(drive, "PROPFIND", "/", NAMED, Depth="1").hrefs


def test_a_body_that_breaks_off_is_an_error_as_ever(drive: Drive) -> None:
    assert drive.request("PROPFIND", "/", NAMED, {"Depth": "0"}).status == 207
    assert drive.request("PROPFIND", "/", NAMED[:50], {"Depth": "0"}, length=len(NAMED)).status == 400
    assert drive.request("PROPFIND", "/", NAMED[:50], {"Depth": "0"}, length=len(NAMED), cut_off=True).status == 400


def test_a_connection_that_was_lost_is_replaced(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    assert drive.request("GET", "/f.txt").status == 200
    for connection in list(drive.services.database.quick._idle):
        connection.close()
    for _ in range(2):
        assert drive.request("GET", "/f.txt").text == "content"


def test_memory_is_bounded_and_the_least_asked_for_makes_room() -> None:
    kept: Remembered[str] = Remembered(max_bytes=10_000)
    seen = Seen(Principal(1, "u"), (1, 1, 1))
    for key in range(5):
        kept.put(key, seen, str(key), 1_000)
        assert kept.get(0, seen) == "0"
    for key in range(5, 50):
        kept.put(key, seen, str(key), 1_000)
        assert kept.tally.size <= 10_000
        assert kept.get(0, seen) == "0"
    assert [key for key in range(50) if kept.get(key, seen)] == [0, *range(45, 50)]
    kept.put(99, seen, "much", MAX_ENTRY_BYTES + 1)
    assert kept.get(99, seen) is None


def test_nothing_is_true_at_another_version_or_of_an_account_that_took_over_an_id() -> None:
    kept: Remembered[SimpleNamespace] = Remembered()
    kept.put("key", Seen(Principal(1, "u"), (1, 5, 7)), SimpleNamespace(), 10)
    assert kept.get("key", Seen(Principal(1, "u"), (1, 5, 7))) is not None
    assert kept.get("key", Seen(Principal(1, "u"), (1, 5, 8))) is None
    assert kept.get("key", Seen(Principal(1, "v"), (1, 6, 7))) is None


def token(drive: Drive, name: str = "laptop", limits: Limits | None = None) -> str:
    """The Authorization of a new device token of the user."""
    return basic(drive.principal.name, drive.services.devices.add(drive.principal, name, limits).secret)


def test_a_device_token_takes_the_quick_way_too(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    drive.headers["Authorization"] = token(drive)
    asked = [("GET", "/f.txt", ""), ("PROPFIND", "/", NAMED)]
    for method, path, body in asked:
        both(drive, method, path, body, Depth="1")
    with statements(drive) as seen:
        for method, path, body in asked:
            assert drive.request(method, path, body, {"Depth": "1"}).status in {200, 207}
    assert seen == []
    drive.clock.advance(61)  # its use is written down again, which the ordinary way does
    with statements(drive) as seen:
        assert drive.request("GET", "/f.txt").status == 200
    assert any(text.startswith("UPDATE device_token") for text in seen)


def test_a_token_that_does_not_count_any_more_gets_nothing_remembered(drive: Drive) -> None:
    drive.put("/f.txt", "content")
    devices, me = drive.services.devices, drive.principal
    ends = {"Authorization": token(drive, "ends", Limits(expires_at=drive.clock() + 50_000_000))}
    gone = {"Authorization": token(drive, "gone")}
    for headers in (ends, gone):
        assert both(drive, "GET", "/f.txt", **headers).status == 200
    devices.revoke(me, "gone")
    token(drive, "another")  # SQLite gives it the id of the one that is gone
    drive.clock.advance(51)
    for headers in (ends, gone):
        assert both(drive, "GET", "/f.txt", **headers).status == 401
    kept = {"Authorization": token(drive, "kept")}
    assert both(drive, "GET", "/f.txt", **kept).status == 200
    drive.services.accounts.set_disabled(me.name, disabled=True)
    assert both(drive, "GET", "/f.txt", **kept).status == 401


def test_what_a_token_is_limited_to_holds_the_quick_way_too(drive: Drive) -> None:
    drive.mkcol("/a")
    drive.put("/f.txt", "content")
    part = {"Authorization": token(drive, "part", Limits(prefix=ResourcePath.parse("/a")))}
    elsewhere = {"Authorization": token(drive, "elsewhere", Limits(networks=("10.0.0.0/8",)))}
    hiding = {"Authorization": token(drive, "hiding", Limits(hides_trash=True, networks=("127.0.0.0/8",)))}
    stranger = {"Authorization": basic("somebody", drive.services.devices.add(drive.principal, "mine").secret)}
    assert both(drive, "GET", "/f.txt", **part).status == 403
    assert both(drive, "GET", "/f.txt", **elsewhere).status == 401
    assert both(drive, "GET", "/f.txt", **stranger).status == 401
    trash = drive.url("/.trash/")
    assert trash in both(drive, "PROPFIND", "/", NAMED, Depth="1").hrefs
    assert trash not in both(drive, "PROPFIND", "/", NAMED, Depth="1", **hiding).hrefs
    assert trash in both(drive, "PROPFIND", "/", NAMED, Depth="1").hrefs
