"""Files, the trash and links through the API: the same drive as WebDAV shows."""

import io
import zipfile
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update

from davserver.db.rows import RevisionRow
from tests.support.drive import Sent, call, environ_of
from tests.support.rest import Rest

RAW = {"Content_Type": "application/octet-stream"}


def at(rule: str, path: str) -> str:
    return f"{rule}?path={quote(path, safe='')}"


def put(client: Rest, path: str, data: bytes, status: int = 201, **headers: str) -> Any:
    return client.json("PUT", at("/files/content", path), data, status=status, **{**RAW, **headers})


def form(*parts: tuple[str, bytes], end: bytes = b"--B--\r\n") -> bytes:
    pieces = [
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\nContent-Type: text/plain\r\n\r\n%s\r\n'
        % (name.encode(), data)
        for name, data in parts
    ]
    return b"".join(pieces) + end


FORM = {"Content_Type": "multipart/form-data; boundary=B"}


def names(client: Rest, path: str = "/") -> list[str]:
    items = client.json("GET", at("/files", path))["items"]
    return [item["name"] for item in items if item["name"] != ".trash"]


def test_a_file_is_uploaded_described_downloaded_and_seen_by_webdav(ada: Rest) -> None:
    made = put(ada, "/é a&b.txt", b"hello", Content_Type="text/plain")
    assert (made["path"], made["size"], made["content_type"], made["is_folder"]) == (
        "/é a&b.txt", 5, "text/plain", False,
    )  # fmt: skip
    described = ada.request("GET", at("/files/metadata", "/é a&b.txt"))
    assert described.headers["etag"] == made["etag"]
    got = ada.request("GET", at("/files/content", "/é a&b.txt"))
    assert (got.status, got.body, got.headers["etag"]) == (200, b"hello", made["etag"])
    assert ada.drive is not None
    assert ada.drive.request("GET", "/%C3%A9%20a&b.txt").body == b"hello"
    put(ada, "/é a&b.txt", b"again", 200)


def test_metadata_tell_what_a_scan_found_and_when(ada: Rest) -> None:
    assert ada.drive is not None
    put(ada, "/f", b"hello")
    put(ada, "/empty", b"")
    ada.json("POST", "/files/folder", {"path": "/d"}, status=201)

    def scan(path: str) -> Any:
        return ada.json("GET", at("/files/metadata", path))["scan"]

    nothing = {"signature": None, "signature_version": None, "scanned_at": None}
    assert scan("/d") is None
    assert scan("/f") == {"verdict": "unscanned", "reason": "no_scanner", **nothing}
    mine = RevisionRow.owner_id == ada.drive.principal.user_id
    for verdict in ("infected", "released", "clean"):
        signature = None if verdict == "clean" else "Test-Virus"
        found = {"verdict": verdict, "signature": signature, "signature_version": "ClamAV 1/2", "scanned_at": 10**15}
        with ada.services.database.write() as unit:
            unit.connection.execute(update(RevisionRow).where(mine, RevisionRow.size == 5).values(found))
        assert scan("/f") == {**found, "reason": None, "scanned_at": "2001-09-09T01:46:40Z"}
        (item,) = ada.json("GET", "/files/search?name=f&min_size=1")["items"]
        assert item["verdict"] == verdict, "infected files are found like others"
        assert ada.request("GET", at("/files/content", "/f")).status == (403 if verdict == "infected" else 200)


def test_parts_and_conditions_are_answered_as_webdav_answers_them(ada: Rest) -> None:
    etag = put(ada, "/f", b"0123456789")["etag"]
    where = at("/files/content", "/f")
    part = ada.request("GET", where, Range="bytes=2-4")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert ada.request("GET", where, If_None_Match=etag).status == 304
    assert ada.json("GET", where, status=416, Range="bytes=99-")["code"] == "range_not_satisfiable"
    head = ada.request("HEAD", where)
    assert (head.status, head.headers["content-length"], head.body) == (200, "10", b"")
    put(ada, "/f", b"no", 412, If_Match='"other"')
    put(ada, "/f", b"no", 412, If_None_Match="*")
    put(ada, "/f", b"yes", 200, If_Match=etag)
    assert ada.request("DELETE", at("/files", "/f"), If_Match=etag).status == 412
    assert ada.request("GET", where).body == b"yes"


def test_a_body_that_ends_early_changes_nothing(ada: Rest) -> None:
    put(ada, "/f", b"old")
    for rule, path, data, headers in (
        ("/files/content", "/f", b"new", {"Content-Type": "application/octet-stream", "Content-Length": "10"}),
    ):
        sent = {"Authorization": f"Bearer {ada.token}", **headers}
        target = "/api/v1" + at(rule, path)
        assert call(ada.app, environ_of("PUT", target, Sent(data), sent), "PUT").status == 400
    cut = form(("f", b"new"), end=b"")[:-2]
    assert ada.json("POST", at("/files", "/"), cut, status=400, **FORM)["code"] == "incomplete_body"
    assert ada.request("GET", at("/files/content", "/f")).body == b"old"


def test_the_files_of_a_form_are_stored_in_a_folder(ada: Rest) -> None:
    ada.json("POST", "/files/folder", {"path": "/in"}, status=201)
    large = bytes(range(256)) * 4096
    items = ada.json("POST", at("/files", "/in"), form(("a.txt", b"a"), ("ü.bin", large)), status=201, **FORM)["items"]
    assert [(one["name"], one["size"]) for one in items] == [("a.txt", 1), ("ü.bin", len(large))]
    assert ada.request("GET", at("/files/content", "/in/ü.bin")).body == large
    assert ada.json("POST", at("/files", "/in"), form(), status=400, **FORM)["code"] in {
        "bad_request", "incomplete_body",
    }  # fmt: skip
    assert ada.request("POST", at("/files", "/in"), form(("../up", b"x")), **FORM).status == 400
    assert ada.request("POST", at("/files", "/in"), b"x", Content_Type="text/plain").status == 415
    assert names(ada, "/in") == ["a.txt", "ü.bin"]


def test_a_folder_is_listed_page_by_page(ada: Rest) -> None:
    for number in range(5):
        put(ada, f"/{number}", b"x")
    seen: list[str] = []
    cursor = ""
    while True:
        page = ada.json("GET", at("/files", "/") + f"&limit=2{cursor}")
        assert len(page["items"]) <= 2
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == [".trash", "0", "1", "2", "3", "4"]
    assert ada.json("GET", at("/files", "/") + "&cursor=nonsense", status=400)["code"] == "bad_request"
    assert ada.request("GET", at("/files", "/0")).status == 400


def test_files_are_moved_copied_and_deleted(ada: Rest) -> None:
    put(ada, "/a", b"a")
    ada.json("POST", "/files/folder", {"path": "/d"}, status=201)
    assert ada.json("POST", "/files/copy", {"source": "/a", "destination": "/d/b"})["created"]
    assert ada.json("POST", "/files/move", {"source": "/a", "destination": "/c"})["created"]
    again = {"source": "/c", "destination": "/d/b"}
    assert ada.json("POST", "/files/move", again, status=412)["code"] == "precondition_failed"
    assert not ada.json("POST", "/files/move", {**again, "overwrite": True})["created"]
    assert (names(ada), names(ada, "/d")) == (["d"], ["b"])
    ada.json("DELETE", at("/files", "/d"), status=204)
    assert ada.json("GET", at("/files/metadata", "/d"), status=404)["code"] == "not_found"


def test_a_deleted_file_is_seen_in_the_trash_and_restored(ada: Rest) -> None:
    ada.json("POST", "/files/folder", {"path": "/d"}, status=201)
    put(ada, "/d/f", b"1")
    put(ada, "/g", b"22")
    ada.json("DELETE", at("/files", "/d/f"), status=204)
    ada.json("DELETE", at("/files", "/d"), status=204)
    ada.json("DELETE", at("/files", "/g"), status=204)
    items = ada.json("GET", "/trash")["items"]
    assert [(one["name"], one["origin"], one["size"]) for one in items] == [
        ("g", "/g", 2), ("d", "/d", 0), ("f", "/d/f", 1),
    ]  # fmt: skip
    first = ada.json("GET", "/trash?limit=2")
    rest_of = ada.json("GET", f"/trash?limit=2&cursor={first['next']}")
    assert [one["name"] for one in (*first["items"], *rest_of["items"])] == ["g", "d", "f"]
    restore = f"/trash/{items[2]['id']}/restore"
    assert ada.json("POST", restore, {})["path"] == "/d/f"
    assert ada.json("POST", restore, {}, status=404)["code"] == "not_found"
    put(ada, "/g", b"new")
    restore = f"/trash/{items[0]['id']}/restore"
    assert ada.json("POST", restore, {}, status=409)["code"] == "conflict"
    assert ada.json("POST", restore, {"to": "/new/g"})["path"] == "/new/g"
    ada.json("DELETE", f"/trash/{items[1]['id']}", status=204)
    assert ada.request("DELETE", f"/trash/{items[1]['id']}").status == 404
    ada.json("DELETE", "/trash", status=204)
    assert ada.json("GET", "/trash")["items"] == []


def test_a_link_made_here_is_downloaded_by_anybody_until_it_is_taken_back(rest: Rest, ada: Rest) -> None:
    ada.json("POST", "/files/folder", {"path": "/d"}, status=201)
    put(ada, "/d/f", b"content")
    made = ada.json("POST", "/links", {"path": "/d", "expires_at": "2100-01-01T00:00:00Z", "max_uses": 5}, status=201)
    where = "/s/" + made["url"].rpartition("/s/")[2]

    def anonymous(path: str) -> Any:
        return call(rest.app, environ_of("GET", path, Sent(b""), {}), "GET")

    with zipfile.ZipFile(io.BytesIO(anonymous(where).body)) as archive:
        assert archive.read("d/f") == b"content"
    assert anonymous(where + "/files/f").body == b"content"
    listed = ada.json("GET", "/links")["items"]
    assert [(one["path"], one["uses"], one["max_uses"]) for one in listed] == [("/d", 2, 5)]
    assert made["url"] not in str(listed)
    assert rest.sign_in().json("GET", f"/links/{made['id']}", status=404)["code"] == "not_found"
    ada.json("DELETE", f"/links/{made['id']}", status=204)
    assert anonymous(where).status == 404
    refused = ada.json("POST", "/links", {"path": "/d", "expires_at": "2001-01-01T00:00:00Z"}, status=400)
    assert refused["code"] == "bad_request"


def test_a_folder_is_downloaded_as_a_zip(ada: Rest) -> None:
    put(ada, "/f", b"content")
    got = ada.request("GET", at("/files/archive", "/"))
    with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
        assert archive.namelist() == ["Files/", "Files/f"]
    assert ada.request("GET", at("/files/archive", "/f")).status == 400


def test_an_uploaded_page_cannot_act_as_the_site(ada: Rest) -> None:
    put(ada, "/page.html", b"<script>alert(1)</script>", Content_Type="text/html")
    got = ada.request("GET", at("/files/content", "/page.html"))
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/files?path=%2F"), ("GET", "/files/content?path=%2Ff"), ("GET", "/trash"), ("GET", "/links")],
)
def test_nobody_sees_anything(rest: Rest, method: str, target: str) -> None:
    assert rest.json(method, target, status=401)["code"] == "unauthenticated"


def test_a_limited_token_reaches_its_folder_only(ada: Rest) -> None:
    for name in ("/a", "/b"):
        ada.json("POST", "/files/folder", {"path": name}, status=201)
    put(ada, "/b/f", b"x")
    secret = ada.json("POST", "/tokens", {"name": "t", "prefix": "/a", "read_only": True}, status=201)["token"]
    device = Rest(ada.app, ada.services, ada.clock, secret)
    assert device.request("GET", at("/files", "/a")).status == 200
    for target in (at("/files", "/b"), at("/files/content", "/b/f"), at("/files/archive", "/b"), at("/files", "/")):
        assert device.request("GET", target).status == 403
    assert device.request("PUT", at("/files/content", "/a/f"), b"x", **RAW).status == 403
    assert device.request("GET", "/trash").status == 403
    assert device.request("GET", "/links").status == 403
