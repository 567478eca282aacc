import base64
import json
import os

import jwt
import pytest

from davserver.bootstrap import open_signing_keys
from davserver.services.sessions import ACCESS_SECONDS, REFRESH_SECONDS
from davserver.services.signing_keys import SigningKeys
from tests.support.rest import Rest


def sign_in(rest: Rest, ada: Rest, **more: str) -> dict[str, str]:
    assert ada.drive is not None
    given = {"name": ada.drive.principal.name, "password": ada.drive.password, **more}
    found: dict[str, str] = rest.json("POST", "/sessions", given, status=201)
    return found


def is_in(rest: Rest, token: str) -> bool:
    return Rest(rest.app, rest.services, rest.clock, token).request("GET", "/me").status == 200


def refresh(rest: Rest, token: str) -> int:
    return rest.request("POST", "/sessions/refresh", {"refresh_token": token}).status


def test_an_access_token_ends_after_its_time_and_a_refresh_gives_the_next(rest: Rest, ada: Rest) -> None:
    pair = sign_in(rest, ada)
    rest.clock.advance(ACCESS_SECONDS + 1)
    assert not is_in(rest, pair["access_token"])
    following = rest.json("POST", "/sessions/refresh", {"refresh_token": pair["refresh_token"]})
    assert is_in(rest, following["access_token"])
    assert following["session_id"] == pair["session_id"]


def test_a_refresh_token_that_is_used_twice_ends_the_session(rest: Rest, ada: Rest) -> None:
    pair = sign_in(rest, ada)
    following = rest.json("POST", "/sessions/refresh", {"refresh_token": pair["refresh_token"]})
    assert refresh(rest, pair["refresh_token"]) == 401
    assert not is_in(rest, following["access_token"])
    assert refresh(rest, following["refresh_token"]) == 401


def test_a_made_up_refresh_token_ends_nothing(rest: Rest, ada: Rest) -> None:
    pair = sign_in(rest, ada)
    packed = bytearray(base64.urlsafe_b64decode(pair["refresh_token"].removeprefix("dvr_")))
    packed[-1] ^= 1
    assert refresh(rest, "dvr_" + base64.urlsafe_b64encode(packed).decode()) == 401
    for junk in ("", "dvr_", "dvr_é", "x" * 500):
        assert refresh(rest, junk) == 401
    assert is_in(rest, pair["access_token"])


def test_a_session_that_nobody_refreshes_ends_and_its_row_goes(rest: Rest, ada: Rest) -> None:
    pair = sign_in(rest, ada)
    rest.clock.advance(REFRESH_SECONDS + 1)
    assert refresh(rest, pair["refresh_token"]) == 401


def test_sessions_are_listed_by_device_and_ended_at_once(rest: Rest, ada: Rest) -> None:
    phone, tablet = sign_in(rest, ada, device="phone"), sign_in(rest, ada, device="tablet")
    assert {one["device"] for one in ada.json("GET", "/sessions")["items"]} >= {"phone", "tablet"}
    ada.json("DELETE", f"/sessions/{phone['session_id']}", status=204)
    assert not is_in(rest, phone["access_token"])
    assert is_in(rest, tablet["access_token"])
    assert ada.json("DELETE", "/sessions")["ended"] >= 1
    assert not is_in(rest, tablet["access_token"])
    ada.json("DELETE", "/sessions/current", status=204)
    assert ada.request("GET", "/me").status == 401


def test_somebody_elses_session_is_not_there(rest: Rest, ada: Rest) -> None:
    other = rest.sign_in().json("GET", "/sessions")["items"][0]["id"]
    assert ada.request("DELETE", f"/sessions/{other}").status == 404


def test_a_changed_password_and_a_disabled_user_end_sessions_at_once(rest: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    name, old = ada.drive.principal.name, ada.drive.password
    wrong = {"old_password": "not this one", "new_password": "another one"}
    assert ada.request("PUT", "/me/password", wrong).status == 401
    ada.json("PUT", "/me/password", {"old_password": old, "new_password": "another one"}, status=204)
    assert ada.request("GET", "/me").status == 401
    pair = rest.json("POST", "/sessions", {"name": name, "password": "another one"}, status=201)
    rest.services.accounts.set_disabled(name, disabled=True)
    assert not is_in(rest, pair["access_token"])
    assert refresh(rest, pair["refresh_token"]) == 401


@pytest.mark.parametrize("change", ["none", "other algorithm", "other key", "no key id", "other audience"])
def test_an_access_token_of_another_making_is_refused(rest: Rest, ada: Rest, change: str) -> None:
    assert ada.token is not None
    keys = [signing_keys(rest).current()]
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    headers: dict[str, str] = {"kid": keys[0][0]}
    key, algorithm = keys[0][1], "HS256"
    if change == "other algorithm":
        algorithm = "HS512"
    elif change == "other key":
        key = b"k" * 64
    elif change == "no key id":
        headers = {}
    elif change == "other audience":
        claims["aud"] = "davserver-other"
    made = jwt.encode(claims, key * 2 if algorithm == "HS512" else key, algorithm, headers)
    assert is_in(rest, made) == (change == "none")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": keys[0][0]}).encode()).rstrip(b"=").decode()
    assert not is_in(rest, head + "." + ada.token.split(".")[1] + ".")


def signing_keys(rest: Rest) -> SigningKeys:
    """The keys as another process has them."""
    return open_signing_keys(rest.services.config, rest.services.database, clock=rest.clock)


def test_a_new_key_signs_at_once_and_what_the_old_one_signed_is_believed(rest: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    assert ada.token is not None
    before = kid_of(ada.token)
    made = signing_keys(rest).rotate(os.urandom)
    assert ada.request("GET", "/me").status == 200
    later = ada.sign_in(ada.drive)
    assert kid_of(later.token) == made != before
    assert later.request("GET", "/me").status == 200
    assert [key.id for key in signing_keys(rest).shown()][:2] == [made, before]
    rest.clock.advance(8 * 86_400)
    assert [key.id for key in signing_keys(rest).shown()] == [made]
    assert signing_keys(rest).find(before) is None
    assert signing_keys(rest).current()[0] == made


def test_after_a_rotation_now_nothing_that_was_signed_before_counts(rest: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    reset = rest.services.resets.reset_token(ada.drive.principal.name)
    given = {"name": ada.drive.principal.name, "password": ada.drive.password}
    pair = rest.json("POST", "/sessions", given, status=201)
    assert is_in(rest, pair["access_token"])
    signing_keys(rest).rotate(os.urandom, at_once=True)
    rest.clock.advance(5)
    assert not is_in(rest, pair["access_token"])
    assert ada.request("GET", "/me").status == 401
    new = {"token": reset, "new_password": "quite another"}
    assert rest.request("PUT", "/accounts/password", new).status == 401
    again = rest.json("POST", "/sessions/refresh", {"refresh_token": pair["refresh_token"]})
    assert is_in(rest, again["access_token"])


@pytest.mark.parametrize("kid", ["00000000", "a\0b", "", "x" * 5000, "\ud800"])
def test_a_key_id_that_is_none_is_refused(rest: Rest, ada: Rest, kid: str) -> None:
    claims = jwt.decode(ada.token or "", options={"verify_signature": False})
    assert not is_in(rest, jwt.encode(claims, b"k" * 32, "HS256", {"kid": kid}))


def kid_of(token: str | None) -> str:
    return str(jwt.get_unverified_header(token or "")["kid"])
