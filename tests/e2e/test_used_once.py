"""What counts once counts once in every process: refresh tokens, reset tokens, codes of a second factor, recovery codes."""

import secrets
import time
from collections.abc import Iterator

import pyotp
import pytest

from tests.support.davserver import Deployment
from tests.support.person import Person


@pytest.fixture
def grace(whole_deployment: Deployment) -> Iterator[Person]:
    person = Person.registered(whole_deployment.servers[0])
    yield person
    person.wire.close()


def test_refresh_tokens_and_reset_tokens_count_once(grace: Person, whole_deployment: Deployment) -> None:
    old = {"refresh_token": grace.refresh}
    following = grace.rest("POST", "/sessions/refresh", old)
    grace.access = following["access_token"]
    assert grace.rest("GET", "/me")["name"] == grace.user.name
    assert grace.ask("POST", "/sessions/refresh", old).status == 401
    for _ in range(6):  # whichever process answers
        grace.wire.close()
        assert grace.ask("GET", "/me").status == 401

    token = whole_deployment.run("user", "reset", grace.user.name).stdout.split()[-1]
    reset = {"token": token, "new_password": "quite another"}
    assert grace.ask("PUT", "/accounts/password", reset).status == 204
    assert grace.ask("PUT", "/accounts/password", reset).status == 401
    assert grace.dav("GET", "/").status == 401
    assert grace.dav("GET", "/", secret="quite another").status == 200
    assert whole_deployment.run("user", "invite").stdout


def test_with_a_second_factor_the_password_opens_no_webdav_and_codes_count_once(
    grace: Person, whole_deployment: Deployment
) -> None:
    grace.put("/kept.txt", b"kept")
    laptop = grace.rest("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    known = {"name": grace.user.name, "password": grace.user.password}
    secret = grace.rest("POST", "/me/second-factor", status=201)["secret"]
    assert grace.dav("GET", "/kept.txt").status == 200, "it is not on before its first code"
    steps = Steps(secret)
    first = steps.next()
    recovery = grace.rest("PUT", "/me/second-factor", {"code": first})["recovery_codes"]
    assert len(set(recovery)) == 10

    for _ in range(6):  # whichever process answers, also those that remember the password
        grace.wire.close()
        for method in ("GET", "PROPFIND", "PUT", "OPTIONS"):
            assert grace.dav(method, "/kept.txt").status == 401, method
        assert grace.dav("GET", "/kept.txt", secret=laptop).body == b"kept"
        needed = grace.ask("POST", "/sessions", known)
        assert (needed.status, needed.json["code"]) == (401, "second_factor_needed")
        assert grace.ask("POST", "/sessions", {**known, "code": first}).status == 401
    code = steps.next()
    both = [grace.ask("POST", "/sessions", {**known, "code": code}).status for _ in range(2)]
    assert both == [201, 401]
    for given in (recovery[0], f" {recovery[1].upper()} "):
        both = [grace.ask("POST", "/sessions", {**known, "code": given}).status for _ in range(2)]
        assert both == [201, 401]
    wrong = {"password": "not the password", "code": recovery[2]}
    assert grace.ask("DELETE", "/me/second-factor", wrong).status == 401
    right = {"password": grace.user.password, "code": recovery[2]}
    assert grace.ask("DELETE", "/me/second-factor", right).status == 204, "a code is not used up with a wrong password"
    assert grace.dav("GET", "/kept.txt").status == 200

    again = grace.rest("POST", "/me/second-factor", status=201)["secret"]
    assert again != secret
    grace.rest("PUT", "/me/second-factor", {"code": Steps(again).next()})
    assert grace.ask("POST", "/sessions", {**known, "code": recovery[3]}).status == 401, (
        "old codes went with the old secret"
    )
    whole_deployment.run("user", "nototp", grace.user.name)
    assert grace.ask("POST", "/sessions", known).status == 201
    assert grace.dav("GET", "/kept.txt").status == 200
    assert secrets.compare_digest(grace.dav("GET", "/kept.txt", secret=laptop).body, b"kept")


class Steps:
    """Codes of an authenticator, each of a later time step than the one before: none that was used already.

    A server takes the code of the step before and of the one after the present too, which makes up for a clock that is off. So
    two codes can be had at once, without waiting, also when the step ends between asking here and asking there.
    """

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)
        self._last = 0

    def next(self) -> str:
        """A code that counts now."""
        now = int(time.time()) // 30
        self._last = max(self._last + 1, now)
        assert self._last <= now + 1, "no more than two at once"
        return self._totp.at(self._last * 30)
