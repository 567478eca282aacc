"""Viruses from end to end: a real server, a real clamd, and what a client sees."""

import re
import time
from collections.abc import Callable

import pytest
import requests

from tests.support.clamd import EICAR, ClamdServer
from tests.support.davserver import Deployment, ServerProcess, User

pytestmark = pytest.mark.timeout(240)


class Client:
    """Requests of one user."""

    def __init__(self, server: ServerProcess, user: User) -> None:
        self._server = server
        self._user = user

    def __call__(self, method: str, where: str, data: bytes = b"", **headers: str) -> requests.Response:
        url = self._server.url + where
        return requests.request(method, url, data=data, headers=headers, auth=self._user.auth, timeout=30)

    def url(self, where: str) -> str:
        return self._server.url + where

    def verdict(self, where: str) -> str:
        """The verdict, and the reason for it."""
        ask = (
            '<D:propfind xmlns:D="DAV:" xmlns:V="urn:davserver:"><D:prop>'
            "<V:verdict/><V:verdict-reason/></D:prop></D:propfind>"
        )
        answer = self("PROPFIND", where, ask.encode(), Depth="0").text
        found = [
            word for word in ("infected", "released", "clean", "waiting", "too_large", "empty") if f">{word}<" in answer
        ]
        assert len(found) == 1, answer
        return found[0]


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> float:
    """Wait, and return for how long."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, "it did not come true in time"
        time.sleep(0.02)
    return time.monotonic() - began


def test_with_clamd_away_uploads_go_on_and_are_scanned_when_it_is_back(
    deployment: Deployment, own_clamd: ClamdServer
) -> None:
    own_clamd.set_option("StreamMaxLength", "1M")
    deployment.settings |= own_clamd.settings
    server = deployment.start()
    send = Client(server, deployment.add_user("ada"))
    for name, body in {"good": b"x", "bad": EICAR, "large": bytes(1_500_000), "empty": b""}.items():
        assert send("PUT", name, body).status_code == 201
    waiting = {name: send.verdict(name) for name in ("good", "bad", "large", "empty")}
    assert waiting == {"good": "waiting", "bad": "waiting", "large": "waiting", "empty": "empty"}
    assert send("GET", "bad").content == EICAR  # served while it waits, by default
    wait_until(lambda: len(set(re.findall(r"job (\d+) \(scan\) waits: clamd", server.log))) == 3)
    own_clamd.start()
    wait_until(lambda: "waiting" not in {send.verdict(name) for name in ("good", "bad", "large")}, 60)
    verdicts = {name: send.verdict(name) for name in ("good", "bad", "large")}
    assert verdicts == {"good": "clean", "bad": "infected", "large": "too_large"}
    assert send("GET", "bad").status_code == 403
    assert len(send("GET", "large").content) == 1_500_000
