"""What the log says of requests over REST: as much as of those over WebDAV, and nothing that is secret."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from davserver.cli.logs import JsonFormatter
from tests.support.rest import Rest

SECRET = "hush-hush-4711"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "davserver.access"):
        caplog.clear()
        yield caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The log in its JSON form, as it goes to stderr."""
    found = [JsonFormatter().format(one) for one in log.records if one.name.startswith(("davserver", "providers"))]
    assert not any(SECRET in line for line in found)
    log.clear()
    return [json.loads(line) for line in found]


def test_a_request_is_one_line_with_who_and_with_what(ada: Rest, log: pytest.LogCaptureFixture) -> None:
    assert ada.drive is not None
    secret = ada.json("POST", "/tokens", {"name": "phone"}, status=201)["token"]
    phone = Rest(ada.app, ada.services, ada.clock, secret)
    log.clear()
    answer = ada.request("GET", f"/me?token={SECRET}", X_Request_ID="from-outside", User_Agent=SECRET)
    [line] = lines(log)
    assert line.pop("ms") >= 0
    assert line.pop("device") == "unknown"  # the session was opened without a name
    del line["time"], line["message"]
    assert line == {
        "level": "info", "logger": "davserver.access", "method": "GET", "path": "/api/v1/me", "status": str(answer.status),
        "bytes": len(answer.body), "user": ada.drive.principal.name, "address": "127.0.0.1", "request_id": "from-outside",
    }  # fmt: skip
    phone.request("GET", "/files?path=/")
    phone.request("GET", "/me")  # refused: all the same it is known who that was
    assert [(one["status"], one["user"], one["device"]) for one in lines(log)] == [
        ("200", ada.drive.principal.name, "phone"),
        ("403", ada.drive.principal.name, "phone"),
    ]


def test_who_is_not_known_is_not_named(rest: Rest, log: pytest.LogCaptureFixture) -> None:
    rest.request("POST", "/sessions", {"name": SECRET, "password": SECRET})
    rest.request("GET", "/me", Authorization=f"Bearer {SECRET}")
    rest.request("GET", "/nothing")
    assert [(one["status"], one["user"], one["device"]) for one in lines(log)] == [
        ("401", "-", None),
        ("401", "-", None),
        ("404", "-", None),
    ]


@pytest.mark.parametrize("door", ["rest", "webdav"])
def test_a_failure_is_logged_with_whose_request_it_was(
    ada: Rest, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    assert ada.drive is not None

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    if door == "rest":
        monkeypatch.setattr(type(ada.services.accounts), "find", broken)
        answer = ada.request("GET", "/me", X_Request_ID="the-one")
    else:
        monkeypatch.setattr(type(ada.services.tree), "make_collection", broken)
        sent = {"Authorization": ada.drive.credentials, "X-Request-ID": "the-one"}
        ada.drive.app = ada.app
        answer = ada.drive.request_raw("MKCOL", "/dav/x", headers=sent)
    assert answer.status == 500
    assert "the-one" in answer.text
    failed, line = lines(log)
    assert (failed["request_id"], failed["user"], failed["address"]) == (
        "the-one",
        ada.drive.principal.name,
        "127.0.0.1",
    )
    assert failed["method"] == line["method"]
    assert failed["path"] == line["path"]
    assert "ZeroDivisionError" in failed["trace"]
    assert (line["status"], line["request_id"]) == ("500", "the-one")
