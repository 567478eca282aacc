"""Authentication: rules R3, R5, R7, R8, R10, R11 and R51 of the clients, and what wsgidav.md 3.9 lists of the base."""

import base64

import pytest

from providers.auth import read_credentials
from tests.support.drive import Drive, basic

METHODS = [
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
    "POST",
    "X",
]
MALFORMED = [
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic " + base64.b64encode(b"no-colon").decode(),
    "Basic " + base64.b64encode(b"\xff\xfe\x00").decode(),
    "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    "Basic " + base64.b64encode(b":").decode(),
    "Basic " + base64.b64encode(b"a\x00b:c").decode(),
    "Basic dXNlcjpwYXNz=",
    "Basic dXN lcjpwYXNz",
]


@pytest.mark.parametrize("method", METHODS)
def test_r8_r10_every_method_but_options_needs_a_password(drive: Drive, method: str) -> None:
    for target in ("/dav/", "/dav/missing", "/", "/elsewhere"):
        response = drive.request_raw(method, target, b"body" if method == "PUT" else b"")
        assert response.status == 401
        assert response.headers["www-authenticate"].startswith("Basic ")


def test_r5_the_challenge_is_one_and_the_same_everywhere(drive: Drive) -> None:
    challenges = {
        drive.request_raw(method, target).headers["www-authenticate"]
        for method in ("GET", "PROPFIND", "PUT")
        for target in ("/dav/", "/dav/a/b", "/", "/dav/%FF")
    }
    assert challenges == {'Basic realm="davserver", charset="UTF-8"'}


def test_r51_a_401_is_not_to_be_reused(drive: Drive) -> None:
    assert "no-store" in drive.request_raw("GET", "/dav/").headers["cache-control"]


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer abc", "Digest username=x", "Negotiate abc", "garbage", ""]
)
def test_r7_a_scheme_that_is_not_offered_is_no_credentials(drive: Drive, header: str) -> None:
    sent = {"Authorization": header}
    assert drive.request_raw("OPTIONS", "/dav/", headers=sent).status == 200
    response = drive.request_raw("PROPFIND", "/dav/", headers=sent)
    assert response.status == 401
    assert response.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", MALFORMED)
def test_malformed_credentials_are_401_and_never_500(drive: Drive, header: str) -> None:
    for method in ("GET", "OPTIONS"):
        response = drive.request_raw(method, "/dav/", headers={"Authorization": header})
        assert response.status == 401
        assert "rror" not in response.text


def test_r3_a_wrong_password_is_401_for_every_method(drive: Drive) -> None:
    for method in ("OPTIONS", "PROPFIND", "PUT"):
        wrong = {"Authorization": basic(drive.principal.name, drive.password + "x")}
        assert drive.request_raw(method, "/dav/", headers=wrong).status == 401


def test_the_scheme_is_read_in_any_case(drive: Drive) -> None:
    for scheme in ("basic", "BASIC", "Basic "):
        header = scheme + drive.credentials.removeprefix("Basic")
        assert drive.request_raw("PROPFIND", "/dav/", headers={"Authorization": header}).status == 207


def test_r11_a_windows_domain_before_the_name_is_passed_over(drive: Drive) -> None:
    for domain in ("DOMAIN", "machine.example.org", "a\\b"):
        header = {"Authorization": basic(f"{domain}\\{drive.principal.name}", drive.password)}
        assert drive.request_raw("PROPFIND", "/dav/", headers=header).status == 207
        header = {"Authorization": basic(f"{domain}\\{drive.principal.name}", "wrong password")}
        assert drive.request_raw("PROPFIND", "/dav/", headers=header).status == 401


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_r11_a_password_may_come_as_utf_8_or_as_latin_1(drive: Drive, encoding: str) -> None:
    drive.services.accounts.set_password(drive.principal.name, "pässwörd-ñ")
    header = {"Authorization": basic(drive.principal.name, "pässwörd-ñ", encoding)}
    assert drive.request_raw("PROPFIND", "/dav/", headers=header).status == 207


def test_a_colon_in_the_password_belongs_to_it() -> None:
    assert list(read_credentials(basic("me", "a:b:c"))) == [("me", "a:b:c")]
    assert list(read_credentials(basic("DOM\\me", "p"))) == [("DOM\\me", "p"), ("me", "p")]
    assert list(read_credentials(None)) == []


def test_a_changed_password_and_a_disabled_user_count_from_the_next_request_on(drive: Drive) -> None:
    assert drive.request("PROPFIND", "/").status == 207
    drive.services.accounts.set_password(drive.principal.name, "another password")
    assert drive.request("PROPFIND", "/").status == 401
    drive.password = "another password"
    assert drive.request("PROPFIND", "/").status == 207
    drive.services.accounts.set_disabled(drive.principal.name, disabled=True)
    assert drive.request("PROPFIND", "/").status == 401
    assert drive.request("OPTIONS", "/").status == 401


def test_each_user_sees_their_own_tree_alone(drive: Drive) -> None:
    other = drive.neighbour()
    drive.put("/mine", "secret")
    assert other.request("GET", "/mine").status == 404
    assert "mine" not in other.request("PROPFIND", "/").text
    other.put("/mine", "another")
    assert drive.request("GET", "/mine").body == b"secret"


def test_the_principal_cannot_be_sent_along(drive: Drive) -> None:
    forged = {
        "X-Davserver-Principal": drive.principal.name,
        "Remote-User": drive.principal.name,
        "davserver.principal": "x",
    }
    assert drive.request_raw("PROPFIND", "/dav/", headers=forged).status == 401
