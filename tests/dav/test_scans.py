"""Viruses as WebDAV clients meet them."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.clamd import EICAR, EICAR_NAME, ClamdServer
from tests.support.drive import Drive, MovableClock, app_of, new_drive, open_services
from tests.support.fixtures_clamd import STREAM_LIMIT

V = "{urn:davserver:}"
NAMES = ("verdict", "verdict-reason", "signature", "signature-version", "scanned-at")
ASK = (
    '<D:propfind xmlns:D="DAV:" xmlns:V="urn:davserver:"><D:prop>'
    + "".join(f"<V:{name}/>" for name in NAMES)
    + "</D:prop></D:propfind>"
)
Open = Callable[..., Drive]


@pytest.fixture
def opened(tmp_path: Path, clamd_server: ClamdServer) -> Iterator[Open]:
    """Open a drive that is scanned by a real clamd."""
    clock = MovableClock()
    made: list[Drive] = []

    def open_drive(**settings: str) -> Drive:
        services = open_services(
            tmp_path / "data", clock, clamav_host="127.0.0.1", clamav_port=clamd_server.port, **settings
        )
        made.append(new_drive(services, app_of(services, clock), clock))
        return made[-1]

    yield open_drive
    for one in made:
        one.services.close()


@pytest.fixture
def drive(opened: Open) -> Drive:
    return opened()


@pytest.fixture
def infected(drive: Drive) -> Drive:
    """/d/bad is infected, /d/good is not."""
    drive.mkcol("/d")
    drive.put("/d/bad", EICAR)
    drive.put("/d/good", "harmless")
    assert drive.services.runner.look() == 2
    return drive


def known(drive: Drive, path: str, status: int = 200) -> dict[str, str]:
    found = drive.request("PROPFIND", path, ASK, {"Depth": "0"}).props(status=status)
    return {name.removeprefix(V): str(element.text or "") for name, element in found.items()}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Range": "bytes=0-3"}, {"Range": "bytes=0-1,4-5"}, {"If-None-Match": '"of another time"'}],
    ids=["whole", "range", "ranges", "conditional"],
)
def test_reading_is_refused_with_a_clear_word(infected: Drive, headers: dict[str, str]) -> None:
    response = infected.request("GET", "/d/bad", headers=headers)
    assert response.status == 403
    assert EICAR_NAME in response.text
    assert "(infected)" in response.text
    assert response.headers["content-type"].startswith("text/plain")


def test_not_even_the_validators_of_an_infected_file_are_confirmed(infected: Drive) -> None:
    etag = infected.request("PROPFIND", "/d/bad", headers={"Depth": "0"}).props()["{DAV:}getetag"].text
    assert infected.request("GET", "/d/bad", headers={"If-None-Match": etag}).status == 403
    assert infected.request("HEAD", "/d/bad").status == 403
    assert infected.request("HEAD", "/d/good").status == 200


def test_copies_are_refused_and_all_that_takes_it_away_works(infected: Drive) -> None:
    for source in ("/d/bad", "/d"):
        response = infected.request("COPY", source, headers={"Destination": infected.url("/c")})
        assert response.status == 403
        assert EICAR_NAME in response.text
    assert infected.request("PROPFIND", "/c").status == 404
    assert infected.request("COPY", "/d/good", headers={"Destination": infected.url("/c")}).status == 201
    assert infected.request("MOVE", "/d/bad", headers={"Destination": infected.url("/d/worse")}).status == 201
    assert infected.request("GET", "/d/worse").status == 403
    assert infected.request("DELETE", "/d/worse").status == 204
    assert infected.request("GET", "/.trash/worse").status == 403
    assert infected.request("MOVE", "/.trash/worse", headers={"Destination": infected.url("/back")}).status == 201
    assert infected.request("PUT", "/back", "cured").status == 204
    assert infected.request("GET", "/back").text == "cured"


def test_the_owner_sees_what_was_found_and_when(infected: Drive) -> None:
    bad = known(infected, "/d/bad")
    scanned_at = datetime.strptime(bad.pop("scanned-at"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - scanned_at).total_seconds()) < 60
    assert re.match(r"ClamAV [\d.]+/1/", bad.pop("signature-version"))
    assert bad == {"verdict": "infected", "signature": EICAR_NAME}
    assert known(infected, "/d/bad", 404) == {"verdict-reason": ""}
    good = known(infected, "/d/good")
    assert good["verdict"] == "clean"
    assert "signature" not in good


def test_what_is_not_scanned_says_so_and_why(drive: Drive) -> None:
    drive.put("/a", "x")
    drive.put("/large", bytes(STREAM_LIMIT + 1))
    drive.put("/empty", "")
    assert known(drive, "/a") == {"verdict": "unscanned", "verdict-reason": "waiting"}
    assert known(drive, "/empty") == {"verdict": "unscanned", "verdict-reason": "empty"}
    drive.services.runner.look()
    assert known(drive, "/large")["verdict-reason"] == "too_large"
    assert drive.request("HEAD", "/large").status == 200
    assert known(drive, "/") == {}


def test_members_and_all_below_tell_their_verdicts_in_one_listing(infected: Drive) -> None:
    for path, depth in (("/d/", "1"), ("/", "infinity")):
        response = infected.request("PROPFIND", path, ASK, {"Depth": depth})
        assert response.props(infected.url("/d/bad"))[f"{V}verdict"].text == "infected"
        assert response.props(infected.url("/d/good"))[f"{V}verdict"].text == "clean"


def test_verdicts_are_told_by_name_only_and_no_client_sets_them(infected: Drive) -> None:
    everything = infected.request("PROPFIND", "/d/bad", headers={"Depth": "0"}).props()
    assert not [name for name in everything if name.startswith(V)]
    names = '<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>'
    told = infected.request("PROPFIND", "/d/bad", names, {"Depth": "0"}).props()
    assert {name for name in told if name.startswith(V)} == {f"{V}{name}" for name in NAMES if name != "verdict-reason"}
    update = (
        '<D:propertyupdate xmlns:D="DAV:" xmlns:V="urn:davserver:"><D:set><D:prop>'
        "<V:verdict>clean</V:verdict></D:prop></D:set></D:propertyupdate>"
    )
    assert f"{V}verdict" in infected.request("PROPPATCH", "/d/bad", update).props(status=403)
    assert known(infected, "/d/bad")["verdict"] == "infected"


def test_what_is_held_asks_the_client_to_come_again(opened: Open) -> None:
    drive = opened(scan_unscanned="hold", scan_too_large="hold")
    drive.put("/a", "x")
    drive.put("/large", bytes(STREAM_LIMIT + 1))
    response = drive.request("GET", "/a")
    assert (response.status, response.headers["retry-after"]) == (503, "10")
    assert "(scan_pending)" in response.text
    drive.services.runner.look()
    assert drive.request("GET", "/a").status == 200
    response = drive.request("GET", "/large")
    assert response.status == 403
    assert "(not_scanned)" in response.text
