"""OPTIONS: rules R1 to R4."""

import pytest

from tests.support.drive import Drive, basic

EVERYWHERE = ["/", "*", "/dav", "/dav/", "/dav/missing/deep", "/elsewhere", "/dav/bad%00name", "/dav/%FF"]


@pytest.mark.parametrize("target", EVERYWHERE)
def test_r1_r3_options_is_200_without_credentials_on_every_path(drive: Drive, target: str) -> None:
    response = drive.request_raw("OPTIONS", target)
    assert response.status == 200
    assert response.headers["content-length"] == "0"
    assert response.fields == drive.request_raw("OPTIONS", "/dav/").fields


def test_r2_options_tells_the_classes_and_every_method(drive: Drive) -> None:
    headers = drive.request_raw("OPTIONS", "/dav/").headers
    assert headers["dav"] == "1, 2, 3"
    assert headers["ms-author-via"] == "DAV"
    assert headers["accept-ranges"] == "bytes"
    assert set(headers["allow"].split(", ")) == {
        "OPTIONS", "GET", "HEAD", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK",
    }  # fmt: skip


def test_r3_options_with_a_wrong_password_is_401(drive: Drive) -> None:
    for target in ("/", "/dav/"):
        wrong = {"Authorization": basic(drive.principal.name, "wrong password")}
        assert drive.request_raw("OPTIONS", target, headers=wrong).status == 401
        assert drive.request_raw("OPTIONS", target, headers={"Authorization": drive.credentials}).status == 200


def test_r4_options_promises_no_upload_protocol_that_is_not_there(drive: Drive) -> None:
    response = drive.request_raw("OPTIONS", "/dav/")
    shown = " ".join(f"{name}: {value}" for name, value in response.fields).lower()
    for word in ("microsoft-iis", "msdavext", "nextcloud", "sabredav", "apache.org"):
        assert word not in shown
