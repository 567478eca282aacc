"""MKCOL: rules R26 and R37."""

import pytest

from tests.support.drive import Drive


def is_collection(drive: Drive, path: str) -> bool:
    shown = drive.request("PROPFIND", path, headers={"Depth": "0"}).props()["{DAV:}resourcetype"]
    return shown.find("{DAV:}collection") is not None


@pytest.mark.parametrize("path", ["/c", "/c/"])
def test_mkcol_with_or_without_a_slash_makes_the_collection(drive: Drive, path: str) -> None:
    response = drive.request("MKCOL", path)
    assert (response.status, response.body) == (201, b"")
    assert is_collection(drive, "/c")
    assert is_collection(drive, "/c/")


@pytest.mark.parametrize("path", ["/c", "/c/", "/file", "/file/", "/"])
def test_a_name_that_is_taken_is_405(drive: Drive, path: str) -> None:
    drive.mkcol("/c")
    drive.put("/file", "content")
    assert drive.request("MKCOL", path).status == 405
    assert drive.request("GET", "/file").body == b"content"


@pytest.mark.parametrize("path", ["/missing/c", "/file/c"])
def test_a_parent_that_is_missing_or_a_file_is_409(drive: Drive, path: str) -> None:
    drive.put("/file")
    assert drive.request("MKCOL", path).status == 409


@pytest.mark.parametrize("content_type", ["text/xml", "application/x-whatever", ""])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_415_and_makes_nothing(drive: Drive, content_type: str, chunked: bool) -> None:
    response = drive.request("MKCOL", "/c", b"<x/>", {"Content-Type": content_type}, chunked=chunked)
    assert response.status == 415
    assert drive.request("GET", "/c").status == 404


def test_a_type_without_a_body_is_fine_and_so_is_an_empty_body(drive: Drive) -> None:
    assert drive.request("MKCOL", "/a", headers={"Content-Type": "application/octet-stream"}).status == 201
    assert drive.request("MKCOL", "/b", length=0).status == 201
    assert drive.request("MKCOL", "/c", chunked=True).status == 201


def test_the_time_that_a_client_sends_is_taken(drive: Drive) -> None:
    response = drive.request("MKCOL", "/c", headers={"X-OC-Mtime": "1000000000"})
    assert (response.status, response.headers["x-oc-mtime"]) == (201, "accepted")
    shown = drive.request("PROPFIND", "/c", headers={"Depth": "0"}).props()["{DAV:}getlastmodified"].text
    assert shown == "Sun, 09 Sep 2001 01:46:40 GMT"


def test_a_locked_parent_wants_its_token(drive: Drive) -> None:
    drive.mkcol("/p")
    for depth in ("0", "infinity"):
        token = drive.lock("/p", depth=depth)
        response = drive.request("MKCOL", f"/p/{depth}")
        assert response.status == 423
        assert response.xml.findtext("{DAV:}lock-token-submitted/{DAV:}href") == "/dav/p/"
        tagged = {"If": f"<{drive.url('/p')}> (<{token}>)"}
        assert drive.request("MKCOL", f"/p/{depth}", headers=tagged).status == 201
        drive.request("UNLOCK", "/p", headers={"Lock-Token": f"<{token}>"})


@pytest.mark.parametrize("header", ['"0123"', "JoplinIgnore-12345"])
def test_a_tag_that_a_network_stack_adds_is_ignored(drive: Drive, header: str) -> None:
    assert drive.request("MKCOL", "/c", headers={"If-None-Match": header}).status == 201


def test_conditions_on_what_is_not_there_are_evaluated(drive: Drive) -> None:
    for headers in ({"If-Match": "*"}, {"If-Match": '"x"'}, {"If": "(<urn:x>)"}, {"If": '(["x"])'}):
        assert drive.request("MKCOL", "/c", headers=headers).status == 412
    assert drive.request("MKCOL", "/c", headers={"If": "(Not <urn:x>)", "If-None-Match": "*"}).status == 201


def test_each_user_has_their_own_tree(drive: Drive) -> None:
    drive.mkcol("/c")
    assert drive.neighbour().request("MKCOL", "/c").status == 201
