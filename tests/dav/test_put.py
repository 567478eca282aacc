"""PUT: rules R27 to R31 and R33. Above all: what does not end well changes nothing."""

import re
import threading

import pytest

from tests.support.drive import Drive, Response, Sent, call, environ_of

LARGE = bytes(range(251)) * 2000
"""Half a megabyte: goes to the store, not into the row."""


def content_of(drive: Drive, path: str) -> tuple[int, bytes, str | None]:
    response = drive.request("GET", path)
    return response.status, response.body, response.headers.get("etag")


def test_put_is_201_when_new_and_204_when_replaced_and_tells_the_tag_and_the_time(drive: Drive) -> None:
    for status in (201, 204):
        response = drive.request("PUT", "/a.txt", f"content {status}")
        assert response.status == status
        assert response.body == b""
        assert response.headers["content-length"] == "0"
        shown = drive.request("HEAD", "/a.txt").headers
        assert response.headers["etag"] == shown["etag"]
        assert response.headers["last-modified"] == shown["last-modified"]


def test_every_put_changes_the_tag_even_within_a_second_and_with_the_same_content(drive: Drive) -> None:
    tags = [drive.request("PUT", "/a.txt", "same").headers["etag"] for _ in range(5)]
    assert len(set(tags)) == 5
    assert all(re.fullmatch(r'"[^"]+"', tag) for tag in tags)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, len(LARGE)])
def test_any_size_arrives_whole_with_a_length_or_chunked(drive: Drive, size: int, chunked: bool) -> None:
    assert drive.request("PUT", "/a", LARGE[:size], chunked=chunked).status == 201
    assert drive.request("GET", "/a").body == LARGE[:size]


def test_a_put_without_any_body_makes_an_empty_file(drive: Drive) -> None:
    assert drive.request("PUT", "/a").status == 201
    assert drive.request("GET", "/a").headers["content-length"] == "0"


def test_the_content_of_a_file_of_zero_bytes_can_follow(drive: Drive) -> None:
    assert drive.request("PUT", "/a", length=0).status == 201
    assert drive.request("PUT", "/a", LARGE, chunked=True).status == 204
    assert drive.request("GET", "/a").body == LARGE


BROKEN = {
    "a cut-off body with a length": {"cut_off": True, "length": len(LARGE)},
    "a short body with a length": {"length": len(LARGE)},
    "a cut-off body in chunks": {"cut_off": True, "chunked": True},
}


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("sent", [0, 10, 64 * 1024, 300_000])
def test_a_body_that_ends_early_changes_nothing(drive: Drive, sent: int, how: dict[str, int]) -> None:
    drive.put("/old", "the old content")
    before = content_of(drive, "/old")
    listing = drive.request("PROPFIND", "/", headers={"Depth": "1"}).hrefs
    for path in ("/old", "/new"):
        assert drive.request("PUT", path, LARGE[:sent], **how).status == 400  # type: ignore[arg-type]
    assert content_of(drive, "/old") == before
    assert drive.request("GET", "/new").status == 404
    assert drive.request("PROPFIND", "/", headers={"Depth": "1"}).hrefs == listing


def test_a_body_that_ends_early_leaves_no_blob_behind(drive: Drive) -> None:
    blobs = drive.services.config.data_dir / "blobs"
    before = {p for p in blobs.rglob("*") if p.is_file()}
    assert drive.request("PUT", "/new", LARGE, cut_off=True, chunked=True).status == 400
    assert {p for p in blobs.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("announced", [len(LARGE) + 1, len(LARGE) - 1, 1])
def test_finders_announcement_that_is_not_met_changes_nothing(drive: Drive, announced: int) -> None:
    drive.put("/old", "the old content")
    before = content_of(drive, "/old")
    headers = {"X-Expected-Entity-Length": str(announced)}
    assert drive.request("PUT", "/old", LARGE, headers, chunked=True).status == 400
    assert content_of(drive, "/old") == before


def test_finders_way_of_storing_a_file_works(drive: Drive) -> None:
    assert drive.request("PUT", "/f", length=0).status == 201
    token = drive.lock("/f", depth="0")
    headers = {"X-Expected-Entity-Length": str(len(LARGE)), "If": f"(<{token}>)", "Connection": "close"}
    assert drive.request("PUT", "/f", LARGE, headers, chunked=True).status == 204
    assert drive.request("UNLOCK", "/f", headers={"Lock-Token": f"<{token}>"}).status == 204
    assert drive.request("GET", "/f").body == LARGE


def test_lengths_that_contradict_each_other_are_400(drive: Drive) -> None:
    assert drive.request("PUT", "/a", b"12345", {"X-Expected-Entity-Length": "6"}).status == 400
    assert drive.request("GET", "/a").status == 404


def test_a_parent_that_is_missing_is_409(drive: Drive) -> None:
    drive.put("/file")
    for path in ("/missing/a", "/file/a"):
        response = drive.request("PUT", path, "x")
        assert response.status == 409
        assert drive.request("GET", path).status == 404


@pytest.mark.parametrize("path", ["/c", "/c/", "/"])
def test_put_on_a_collection_is_405_and_says_what_is_allowed(drive: Drive, path: str) -> None:
    drive.mkcol("/c")
    response = drive.request("PUT", path, "x")
    assert response.status == 405
    assert "allow" in response.headers
    assert (
        drive.request("PROPFIND", "/c", headers={"Depth": "0"}).props()["{DAV:}resourcetype"].find("{DAV:}collection")
        is not None
    )


def test_a_slash_at_the_end_makes_no_other_file(drive: Drive) -> None:
    assert drive.request("PUT", "/f/", "one").status == 201
    assert drive.request("PUT", "/f", "two").status == 204
    assert drive.request("GET", "/f/").body == b"two"


@pytest.mark.parametrize("header", ["bytes 0-3/10", "bytes */10", ""])
def test_a_part_of_a_file_is_refused_and_never_stored(drive: Drive, header: str) -> None:
    drive.put("/a", "the whole content")
    assert drive.request("PUT", "/a", "part", {"Content-Range": header}).status == 400
    assert drive.request("GET", "/a").body == b"the whole content"


def test_an_encoded_body_is_refused_and_the_identity_is_not(drive: Drive) -> None:
    for encoding in ("gzip", "br", "gzip, identity"):
        assert drive.request("PUT", "/a", "x", {"Content-Encoding": encoding}).status == 415
    assert drive.request("GET", "/a").status == 404
    assert drive.request("PUT", "/a", "x", {"Content-Encoding": "Identity"}).status == 201


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("1000000000", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("1000000000.75", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("0", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ],
)
def test_the_time_that_a_client_sends_is_taken(drive: Drive, given: str, shown: str) -> None:
    for status in (201, 204):
        response = drive.request("PUT", "/a", "x", {"X-OC-Mtime": given})
        assert response.status == status
        assert response.headers["x-oc-mtime"] == "accepted"
        assert response.headers["last-modified"] == shown
        assert drive.request("HEAD", "/a").headers["last-modified"] == shown


@pytest.mark.parametrize("given", ["", "yesterday", "1e9", "99999999999999"])
def test_a_time_that_is_none_is_passed_over_and_not_called_accepted(drive: Drive, given: str) -> None:
    response = drive.request("PUT", "/a", "x", {"X-OC-Mtime": given})
    assert response.status == 201
    assert "x-oc-mtime" not in response.headers


def test_the_time_of_creation_that_a_client_sends_is_taken(drive: Drive) -> None:
    assert drive.request("PUT", "/a", "x", {"X-OC-CTime": "1000000000"}).status == 201
    shown = drive.request("PROPFIND", "/a", headers={"Depth": "0"}).props()
    assert shown["{DAV:}creationdate"].text == "2001-09-09T01:46:40Z"


def test_a_checksum_that_does_not_fit_changes_nothing(drive: Drive) -> None:
    drive.put("/a", "old")
    before = content_of(drive, "/a")
    for body in (b"new", LARGE):
        assert drive.request("PUT", "/a", body, {"OC-Checksum": "SHA1:" + "0" * 40}).status == 400
    assert content_of(drive, "/a") == before


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("/a.txt", None, "text/plain"),
        ("/a.txt", "text/html", "text/html"),
        ("/a.txt", "application/x-www-form-urlencoded", "text/plain"),
        ("/a.docx", None, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("/a", None, "application/octet-stream"),
        ("/a.txt", "no type", "text/plain"),
    ],
)
def test_a_file_has_the_type_that_was_sent_or_that_its_name_stands_for(
    drive: Drive, name: str, given: str | None, shown: str
) -> None:
    drive.request("PUT", name, "x", {} if given is None else {"Content-Type": given})
    assert drive.request("HEAD", name).headers["content-type"] == shown


def test_a_lock_stops_a_put_without_its_token_before_the_body_is_read(drive: Drive) -> None:
    drive.put("/a", "old")
    token = drive.lock("/a")
    # Were the body read first, that it is cut off would be the answer.
    assert drive.request("PUT", "/a", LARGE, cut_off=True, chunked=True).status == 423
    assert drive.request("PUT", "/a", "new", {"If": f"(<{token}>)"}).status == 204
    assert drive.request("PUT", "/a", "newer", {"Lock-Token": f"<{token}>"}).status == 204  # Word 2016, rule R44
    assert drive.request("GET", "/a").body == b"newer"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/c", {}, 405),
        ("/missing/a", {}, 409),
        ("/a", {"If-Match": '"x"'}, 412),
        ("/a", {"If": '(["x"])'}, 412),
        ("/%00", {}, 400),
    ],
)
def test_what_can_be_refused_is_refused_before_the_body_is_read(
    drive: Drive, path: str, headers: dict[str, str], status: int
) -> None:
    drive.mkcol("/c")
    assert drive.request("PUT", path, b"", headers, cut_off=True, length=10).status == status


def test_a_client_that_asks_first_is_refused_before_it_sends_even_a_small_body(drive: Drive) -> None:
    class Untouched(Sent):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("the body was asked for")

    drive.mkcol("/c")
    fields = {"Authorization": drive.credentials, "Expect": "100-continue", "Content-Length": "10"}
    for path, status in (("/c", 405), ("/missing/a", 409)):
        assert call(drive.app, environ_of("PUT", drive.url(path), Untouched(b""), fields), "PUT").status == status


def test_a_quota_is_known_before_the_body_is_read(drive: Drive) -> None:
    name = f"poor-{drive.principal.name}"
    drive.services.accounts.add(name, "a password", quota_bytes=1000)
    principal = drive.services.accounts.authenticate(name, "a password")
    poor = Drive(drive.services, drive.app, principal, "a password", drive.clock)
    assert poor.request("PUT", "/a", length=1001, cut_off=True).status == 507
    finder = {"X-Expected-Entity-Length": "1001"}
    assert poor.request("PUT", "/a", b"", finder, chunked=True, cut_off=True).status == 507
    assert poor.request("PUT", "/a", b"x" * 1000).status == 201
    assert poor.request("PUT", "/b", b"x", chunked=True).status == 507
    assert poor.request("GET", "/b").status == 404


def test_of_many_concurrent_puts_with_one_tag_only_one_wins(drive: Drive) -> None:
    drive.put("/a", "old")
    tag = drive.request("HEAD", "/a").headers["etag"]
    results: list[Response] = []

    def put(number: int) -> None:
        results.append(drive.request("PUT", "/a", LARGE[: 20_000 + number], {"If-Match": tag}))

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.status for r in results) == [204, *[412] * 7]
    winner = next(r for r in results if r.status == 204)
    assert drive.request("HEAD", "/a").headers["etag"] == winner.headers["etag"]


def test_of_many_concurrent_creations_only_one_wins(drive: Drive) -> None:
    statuses: list[int] = []

    def put() -> None:
        statuses.append(drive.request("PUT", "/a", "x", {"If-None-Match": "*"}).status)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, *[412] * 7]
