from dataclasses import replace

import pyotp
import pytest

from davserver import bootstrap
from davserver.domain.clock import SECOND
from tests.support.rest import Rest


def with_registration(rest: Rest, registration: str) -> Rest:
    config = replace(rest.services.config, registration=registration)
    resets = bootstrap.open_resets(config, rest.services.database, clock=rest.clock)
    from tests.support.rest import make_rest

    return make_rest(replace(rest.services, config=config, resets=resets), rest.clock)


def test_registration_is_closed_unless_it_is_opened(rest: Rest) -> None:
    wanted = {"name": "grace-1", "password": "a password"}
    assert rest.json("POST", "/accounts", wanted, status=403)["code"] == "registration_closed"
    opened = with_registration(rest, "open")
    assert opened.json("POST", "/accounts", wanted, status=201)["name"] == "grace-1"
    assert opened.json("POST", "/accounts", {**wanted, "name": "Grace-1"}, status=409)["code"] == "conflict"
    assert opened.request("POST", "/accounts", {"name": "a/b", "password": "a password"}).status == 400
    rest.json("POST", "/sessions", wanted, status=201)


def test_an_invitation_counts_once_and_is_not_lost_to_a_taken_name(rest: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    invited = with_registration(rest, "invitation")
    wanted = {"name": "grace-2", "password": "a password"}
    assert invited.json("POST", "/accounts", wanted, status=403)["code"] == "registration_closed"
    given = {**wanted, "invitation": rest.services.resets.invite()}
    assert invited.request("POST", "/accounts", {**given, "name": ada.drive.principal.name}).status == 409
    invited.json("POST", "/accounts", given, status=201)
    assert invited.request("POST", "/accounts", {**given, "name": "grace-3"}).status == 401
    late = {**wanted, "name": "grace-4", "invitation": rest.services.resets.invite()}
    rest.clock.advance(8 * 86_400)
    assert invited.request("POST", "/accounts", late).status == 401


def test_a_reset_token_counts_once_and_ends_sessions(rest: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    name = ada.drive.principal.name
    first, second = (rest.services.resets.reset_token(name) for _ in range(2))
    new = {"new_password": "quite another"}
    assert rest.request("PUT", "/accounts/password", {"token": first, "new_password": "short"}).status == 422
    rest.json("PUT", "/accounts/password", {"token": first, **new}, status=204)
    assert ada.request("GET", "/me").status == 401
    for token in (first, second, "nonsense", ada.token or ""):
        assert rest.request("PUT", "/accounts/password", {"token": token, **new}).status == 401
    rest.json("POST", "/sessions", {"name": name, "password": "quite another"}, status=201)
    late = rest.services.resets.reset_token(name)
    rest.clock.advance(31 * 60)
    assert rest.request("PUT", "/accounts/password", {"token": late, **new}).status == 401


def test_only_an_administrator_invites(ada: Rest) -> None:
    assert ada.json("POST", "/invitations", status=403)["code"] == "forbidden"


def code(ada: Rest, secret: str) -> str:
    return pyotp.TOTP(secret).at(ada.clock() // SECOND)


def test_with_a_second_factor_the_password_alone_opens_neither_rest_nor_webdav(rest: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    given = {"name": ada.drive.principal.name, "password": ada.drive.password}
    ada.drive.put("/kept.txt")
    laptop = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    secret = ada.json("POST", "/me/second-factor", status=201)["secret"]
    rest.json("POST", "/sessions", given, status=201)  # not yet on
    assert ada.request("PUT", "/me/second-factor", {"code": "000000"}).status in {401}
    recovery = ada.json("PUT", "/me/second-factor", {"code": code(ada, secret)})["recovery_codes"]
    assert len(set(recovery)) == 10
    assert ada.json("POST", "/me/second-factor", status=409)["code"] == "conflict"

    assert rest.json("POST", "/sessions", given, status=401)["code"] == "second_factor_needed"
    wrong = rest.json("POST", "/sessions", {**given, "password": "wrong word"}, status=401)
    assert wrong["code"] == "unauthenticated"
    assert rest.request("POST", "/sessions", {**given, "code": code(ada, secret)}).status == 401  # it was used above
    ada.clock.advance(60)
    rest.json("POST", "/sessions", {**given, "code": code(ada, secret)}, status=201)
    rest.json("POST", "/sessions", {**given, "code": recovery[0].upper()}, status=201)
    assert rest.request("POST", "/sessions", {**given, "code": recovery[0]}).status == 401

    for _ in range(3):  # the password is remembered by now, from signing in with a code
        assert ada.drive.request("PROPFIND", "/", headers={"Depth": "0"}).status == 401
        assert ada.drive.request("GET", "/kept.txt").status == 401
    assert ada.dav("PROPFIND", "/", laptop, Depth="0").status == 207
    removal = {"password": ada.drive.password, "code": recovery[1]}
    ada.json("DELETE", "/me/second-factor", removal, status=204)
    assert ada.drive.request("PROPFIND", "/").status == 207
    rest.json("POST", "/sessions", given, status=201)


@pytest.mark.parametrize("given", ["", "é", "12345", " ", "1" * 64])
def test_odd_codes_are_wrong_codes(ada: Rest, given: str) -> None:
    ada.json("POST", "/me/second-factor", status=201)
    assert ada.request("PUT", "/me/second-factor", {"code": given}).status == 401


def test_without_mail_nobody_is_promised_a_link(rest: Rest) -> None:
    asked = {"account": "ada"}
    assert rest.json("POST", "/accounts/password", asked, status=403)["code"] == "mail_not_set"
    assert rest.request("POST", "/accounts/password", {}).status == 422
