"""A refusal does the same work whether the account exists or not: so many password hashes, so many statements.

That is counted, and not measured: what takes time is these two, and a clock says something else each time.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyotp
import pytest
from sqlalchemy import event

from davserver.bootstrap import Services, build
from davserver.config import Config
from davserver.config.kinds import SecretUrl
from davserver.domain.clock import SECOND
from davserver.services.accounts import Accounts
from davserver.services.passwords import PasswordHasher
from davserver.wsgi import make_app
from tests.support.drive import MovableClock, Sent, basic, call, environ_of

PASSWORD = "a good password"
REASONS = ["unknown", "unknown too", "wrong", "disabled", "wrong and disabled", "second factor", "a/b"]
"""Names; of those that exist the right password is given, unless it is said to be wrong."""


class CountingHasher(PasswordHasher):
    """Hashes with the least effort that argon2 has, and counts."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, rounds=1)
        self.count = 0

    def verify(self, password: str, hashed: str | None) -> bool:
        self.count += 1
        return super().verify(password, hashed)

    def hash(self, password: str) -> str:
        self.count += 1
        return super().hash(password)


@dataclass
class Place:
    """The whole application, and what it does."""

    app: Any
    services: Services
    hasher: CountingHasher
    clock: MovableClock

    def work(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes, int, int]:
        """What a request is answered, how many passwords are hashed for it, how many statements run."""
        self.hasher.count = 0
        sent = {"X-Request-ID": "same", "Content-Length": str(len(body)), **headers}
        here, seen = threading.get_ident(), []

        def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
            if threading.get_ident() == here:  # the background work of this process goes on
                seen.append(statement)

        event.listen(self.services.database.engine, "before_cursor_execute", note)
        try:
            answer = call(self.app, environ_of(method, target, Sent(body), sent), method)
        finally:
            event.remove(self.services.database.engine, "before_cursor_execute", note)
        return answer.status, answer.body, self.hasher.count, len(seen)

    def sign_in(self, name: str, password: str) -> tuple[int, bytes, int, int]:
        given = json.dumps({"name": name, "password": password}).encode()
        return self.work("POST", "/api/v1/sessions", {"Content-Type": "application/json"}, given)

    def webdav(self, name: str, password: str) -> tuple[int, bytes, int, int]:
        return self.work("PROPFIND", "/dav/", {"Authorization": basic(name, password), "Depth": "0"})


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Place]:
    clock = MovableClock()
    services = build(Config(data_dir=tmp_path, testing=True, database_url=SecretUrl(database_url)), clock=clock)
    hasher = CountingHasher()

    def make_accounts() -> Accounts:
        return Accounts(services.database, clock, b"s" * 32, hasher=hasher, throttle=services.throttle)

    accounts = make_accounts()
    for name in ("wrong", "disabled", "wrong and disabled", "second factor"):
        accounts.add(name, PASSWORD)
    who = accounts.authenticate("second factor", PASSWORD)
    secret = services.second_factors.begin(who).secret
    services.second_factors.confirm(who, pyotp.TOTP(secret).at(clock() // SECOND))
    for name in ("disabled", "wrong and disabled"):
        accounts.set_disabled(name, disabled=True)
    services = replace(services, accounts=make_accounts())  # who remembers no password
    app = make_app(services)
    made = Place(app, services, hasher, clock)
    made.work("GET", "/api/v1/me", {})  # what is loaded with the first request is loaded
    yield made
    app.close()


@pytest.mark.parametrize("door", ["rest", "webdav"])
def test_a_sign_in_that_is_refused_does_the_same_work_for_every_reason(place: Place, door: str) -> None:
    ask: Callable[[str, str], tuple[int, bytes, int, int]] = place.sign_in if door == "rest" else place.webdav
    ask("somebody before", PASSWORD)
    seen = {}
    for name in REASONS:
        if (door, name) == ("rest", "second factor"):
            continue  # there, who knows the password is asked for a code
        password = "not the password" if "wrong" in name else PASSWORD
        # The first is noted in the log, the next ones of the same minute are counted.
        seen[name] = (ask(name, password), ask(name, password), ask(name, password + " again"))
    assert len(set(seen.values())) == 1, seen
    [(first, second, third)] = set(seen.values())
    assert [each[0] for each in (first, second, third)] == [401, 401, 401]
    assert [each[2] for each in (first, second, third)] == [1, 1, 1], "each is hashed once"


def test_what_looks_like_a_device_token_does_the_same_work(place: Place) -> None:
    token = "dav_" + "a" * 32
    seen = {name: (place.webdav(name, token), place.webdav(name, token)) for name in ("unknown", "wrong", "disabled")}
    assert len(set(seen.values())) == 1, seen
    bearers = {place.work("GET", "/dav/", {"Authorization": f"Bearer dav_{letter * 32}"}) for letter in "abc"}
    assert len(bearers) == 1


def test_a_reset_and_a_refresh_that_are_refused_do_the_same_work(place: Place) -> None:
    """Tokens are signed: before anything is looked up it is known that they are ours, and none names an account to try."""
    as_json = {"Content-Type": "application/json"}
    reset = place.services.resets.reset_token("wrong")
    head, _, signature = reset.rpartition(".")
    forged = f"{head}.{signature[:-2]}{'A' if signature[-2] != 'A' else 'B'}{signature[-1]}"
    for path, method, texts in (
        ("/api/v1/accounts/password", "PUT", [forged, "nonsense", f"{reset[:-9]}AAAAAAAAA"]),
        ("/api/v1/sessions/refresh", "POST", ["dvr_" + "A" * 136, "dvr_" + "B" * 136, "nonsense"]),
    ):
        seen = []
        for text in [texts[0], *texts]:
            body = {"token": text, "new_password": PASSWORD} if method == "PUT" else {"refresh_token": text}
            seen.append(place.work(method, path, as_json, json.dumps(body).encode()))
        # The first look at a key that signs is a statement of its own, and remembered.
        assert {(status, hashes, count) for status, _, hashes, count in seen[1:]} == {(401, 0, 0)}, seen
