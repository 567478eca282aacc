"""GET and HEAD: rules R48 to R52, ranges and conditions of RFC 9110, the page for browsers."""

import re
from pathlib import Path

import pytest

from davserver.domain.errors import ContentDamaged
from tests.support.drive import Drive, Response

DIGITS = b"0123456789"
LARGE = bytes(range(256)) * 4096
"""1 MiB: lies in the store, in several segments."""


def date_of(drive: Drive, path: str, seconds_later: int = 0) -> str:
    """The Last-Modified date of a file, moved by so many seconds."""
    from email.utils import formatdate, parsedate_to_datetime

    shown = drive.request("HEAD", path).headers["last-modified"]
    return formatdate(parsedate_to_datetime(shown).timestamp() + seconds_later, usegmt=True)


def test_get_answers_the_content_with_what_describes_it(drive: Drive) -> None:
    put = drive.request("PUT", "/a.txt", DIGITS, {"Content-Type": "text/x-own; charset=utf-8"})
    response = drive.request("GET", "/a.txt")
    assert (response.status, response.body) == (200, DIGITS)
    headers = response.headers
    assert headers["etag"] == put.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{16,}"', headers["etag"])
    assert headers["last-modified"] == put.headers["last-modified"]
    assert headers["content-type"] == "text/x-own; charset=utf-8"
    assert headers["content-length"] == "10"
    assert headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("path", ["/a.txt", "/empty", "/c/", "/c", "/"])
def test_head_answers_the_header_fields_of_get(drive: Drive, path: str) -> None:
    drive.put("/a.txt", DIGITS)
    drive.put("/empty", b"")
    drive.mkcol("/c")
    get, head = drive.request("GET", path), drive.request("HEAD", path)
    assert (get.status, head.status) == (200, 200)
    assert head.fields == get.fields
    assert head.body == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_not_there_is_404(drive: Drive, method: str) -> None:
    drive.put("/file")
    for path in ("/missing", "/missing/deeper", "/file/below"):
        assert drive.request(method, path).status == 404


def test_a_slash_at_the_end_makes_no_other_resource_and_no_redirect(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    assert drive.request("GET", "/a.txt/").body == DIGITS
    drive.mkcol("/c")
    assert drive.request("GET", "/c").status == drive.request("GET", "/c/").status == 200
    assert drive.request("GET", "/c").body == drive.request("GET", "/c/").body


@pytest.mark.parametrize("headers", [{"Depth": "0"}, {"Depth": "1"}, {"Depth": "infinity"}, {"Depth": "nonsense"}])
def test_depth_on_get_is_ignored(drive: Drive, headers: dict[str, str]) -> None:
    drive.put("/a.txt", DIGITS)
    assert drive.request("GET", "/a.txt", headers=headers).body == DIGITS


@pytest.mark.parametrize("path", ["/a.txt", "/"])
def test_a_body_on_get_is_ignored(drive: Drive, path: str) -> None:
    drive.put("/a.txt", DIGITS)
    assert drive.request("GET", path, b"<whatever/>").status == 200
    assert drive.request("GET", path, b"<whatever/>", chunked=True).status == 200


@pytest.mark.parametrize(
    ("header", "content", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-4", b"4", "bytes 4-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", DIGITS, "bytes 0-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
        ("bytes=0-1,1-3", b"0123", "bytes 0-3/10"),
        ("bytes=8-,20-30", b"89", "bytes 8-9/10"),
    ],
)
def test_one_range_is_206_with_that_part(drive: Drive, header: str, content: bytes, content_range: str) -> None:
    drive.put("/a.txt", DIGITS)
    response = drive.request("GET", "/a.txt", headers={"Range": header})
    assert (response.status, response.body) == (206, content)
    assert response.headers["content-range"] == content_range
    assert response.headers["etag"] == drive.request("HEAD", "/a.txt").headers["etag"]
    assert response.headers["content-type"] == "text/plain"


@pytest.mark.parametrize("header", ["foo=0-3", "bytes=5-2", "bytes=x", "garbage", "bytes=", "bytes=0-1,9-3"])
def test_a_range_that_cannot_be_read_is_ignored(drive: Drive, header: str) -> None:
    drive.put("/a.txt", DIGITS)
    response = drive.request("GET", "/a.txt", headers={"Range": header})
    assert (response.status, response.body) == (200, DIGITS)
    assert "content-range" not in response.headers


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-,50-60"])
def test_a_range_past_the_end_is_416_with_the_size(drive: Drive, header: str) -> None:
    drive.put("/a.txt", DIGITS)
    response = drive.request("GET", "/a.txt", headers={"Range": header})
    assert response.status == 416
    assert response.headers["content-range"] == "bytes */10"
    assert response.body != DIGITS


def parts_of(response: Response) -> list[tuple[str, bytes]]:
    """(Content-Range, content) of each part of a multipart/byteranges answer."""
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-zA-Z]+)", response.headers["content-type"])
    assert boundary
    before, *parts, after = response.body.split(b"\r\n--" + boundary[1].encode())
    assert (before, after) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n"))
        assert fields["Content-Type"] == "text/plain"
        found.append((fields["Content-Range"], content))
    return found


def test_several_ranges_are_answered_with_all_of_them(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    response = drive.request("GET", "/a.txt", headers={"Range": "bytes=0-1,4-5,-1"})
    assert response.status == 206
    assert "content-range" not in response.headers
    assert parts_of(response) == [("bytes 0-1/10", b"01"), ("bytes 4-5/10", b"45"), ("bytes 9-9/10", b"9")]


def test_several_ranges_of_a_large_file_come_from_its_segments(drive: Drive) -> None:
    drive.put("/large.txt", LARGE)
    size = len(LARGE)
    response = drive.request("GET", "/large.txt", headers={"Range": f"bytes=100-299,262100-262200,{size - 5}-"})
    assert [content for _, content in parts_of(response)] == [LARGE[100:300], LARGE[262100:262201], LARGE[-5:]]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (262_143, 262_145), (500_000, 900_000), (1_048_575, 1_048_576)])
def test_a_range_of_a_large_file_is_exact(drive: Drive, start: int, stop: int) -> None:
    drive.put("/large", LARGE)
    response = drive.request("GET", "/large", headers={"Range": f"bytes={start}-{stop - 1}"})
    assert (response.status, response.body) == (206, LARGE[start:stop])


def test_too_many_ranges_are_answered_with_the_whole_file(drive: Drive) -> None:
    drive.put("/large", LARGE)
    wanted = ",".join(f"{n * 1000}-{n * 1000 + 1}" for n in range(500))
    response = drive.request("GET", "/large", headers={"Range": f"bytes={wanted}"})
    assert (response.status, response.body) == (200, LARGE)


def test_head_ignores_range(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    response = drive.request("HEAD", "/a.txt", headers={"Range": "bytes=0-1"})
    assert (response.status, response.headers["content-length"]) == (200, "10")


def test_any_range_of_an_empty_file_is_the_empty_file(drive: Drive) -> None:
    drive.put("/empty", b"")
    response = drive.request("GET", "/empty", headers={"Range": "bytes=0-"})
    assert (response.status, response.body, response.headers["content-length"]) == (200, b"", "0")


def test_if_range_with_the_tag_or_the_date_resumes_and_else_starts_again(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    shown = drive.request("HEAD", "/a.txt").headers
    for holds in (shown["etag"], shown["last-modified"]):
        response = drive.request("GET", "/a.txt", headers={"Range": "bytes=8-", "If-Range": holds})
        assert (response.status, response.body) == (206, b"89")
    for fails in ('"other"', "W/" + shown["etag"], date_of(drive, "/a.txt", -1), date_of(drive, "/a.txt", 1), "junk"):
        response = drive.request("GET", "/a.txt", headers={"Range": "bytes=8-", "If-Range": fails})
        assert (response.status, response.body) == (200, DIGITS)
        # A range that cannot be satisfied does not count either.
        response = drive.request("GET", "/a.txt", headers={"Range": "bytes=80-", "If-Range": fails})
        assert response.status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has_already_is_304(drive: Drive, method: str) -> None:
    drive.put("/a.txt", DIGITS)
    etag = drive.request("HEAD", "/a.txt").headers["etag"]
    for header in (etag, "W/" + etag, f'"x", {etag}', "*"):
        response = drive.request(method, "/a.txt", headers={"If-None-Match": header})
        assert (response.status, response.body) == (304, b"")
        assert response.headers["etag"] == etag
        assert "content-length" not in response.headers
    for header in ('"other"', "JoplinIgnore-12345", etag.strip('"')):
        assert drive.request(method, "/a.txt", headers={"If-None-Match": header}).status == 200


def test_if_modified_since_is_the_right_way_round(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    for later, status in ((0, 304), (10, 304), (-1, 200), (-10_000, 200)):
        headers = {"If-Modified-Since": date_of(drive, "/a.txt", later)}
        assert drive.request("GET", "/a.txt", headers=headers).status == status, later
    assert drive.request("GET", "/a.txt", headers={"If-Modified-Since": "last week"}).status == 200


def test_if_none_match_goes_before_if_modified_since(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    headers = {"If-None-Match": '"other"', "If-Modified-Since": date_of(drive, "/a.txt")}
    assert drive.request("GET", "/a.txt", headers=headers).status == 200


def test_if_match_and_if_unmodified_since_stop_a_read_of_something_else(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    etag = drive.request("HEAD", "/a.txt").headers["etag"]
    part = {"Range": "bytes=0-1"}
    assert drive.request("GET", "/a.txt", headers=part | {"If-Match": etag}).status == 206
    assert drive.request("GET", "/a.txt", headers=part | {"If-Match": '"old"'}).status == 412
    assert drive.request("GET", "/a.txt", headers=part | {"If-Match": "junk"}).status == 412
    assert drive.request("GET", "/a.txt", headers={"If-Unmodified-Since": date_of(drive, "/a.txt")}).status == 200
    assert drive.request("GET", "/a.txt", headers={"If-Unmodified-Since": date_of(drive, "/a.txt", -1)}).status == 412


def test_if_is_evaluated_on_get_too(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    etag = drive.request("HEAD", "/a.txt").headers["etag"]
    assert drive.request("GET", "/a.txt", headers={"If": f"([{etag}])"}).status == 200
    assert drive.request("GET", "/a.txt", headers={"If": '(["other"])'}).status == 412
    assert drive.request("GET", "/", headers={"If": "(<urn:x>)"}).status == 412


def test_the_checksum_that_came_with_a_file_is_shown_with_it(drive: Drive) -> None:
    sums = {"OC-Checksum": "SHA1:87acec17cd9dcd20a716cc2cf67417b71c8a7016"}
    assert drive.request("PUT", "/a.txt", DIGITS, sums).status == 201
    assert drive.request("GET", "/a.txt").headers["oc-checksum"] == sums["OC-Checksum"]
    drive.put("/b.txt", DIGITS)
    assert "oc-checksum" not in drive.request("GET", "/b.txt").headers


def test_content_that_was_altered_in_the_store_breaks_the_answer_off_and_is_never_shown(drive: Drive) -> None:
    drive.put("/large", LARGE)
    blobs = [p for p in (drive.services.config.data_dir / "blobs").rglob("*") if p.is_file()]
    newest = max(blobs, key=lambda p: p.stat().st_mtime_ns)
    sealed = bytearray(newest.read_bytes())
    assert len(sealed) > len(LARGE)
    sealed[700_000] ^= 1
    _overwrite(newest, bytes(sealed))
    with pytest.raises(ContentDamaged):
        drive.request("GET", "/large")
    assert drive.request("GET", "/large", headers={"Range": "bytes=0-99"}).body == LARGE[:100]
    _overwrite(newest, bytes(sealed[:-1]))
    assert drive.request("GET", "/large", headers={"Range": "bytes=1048000-"}).status == 502


@pytest.mark.parametrize("wanted", [{}, {"Range": "bytes=0-1"}, {"Range": "bytes=0-1,500000-500001"}])
def test_content_that_is_missing_in_the_store_is_an_error_page(drive: Drive, wanted: dict[str, str]) -> None:
    drive.put("/large", LARGE)
    blobs = [p for p in (drive.services.config.data_dir / "blobs").rglob("*") if p.is_file()]
    max(blobs, key=lambda p: p.stat().st_mtime_ns).unlink()
    response = drive.request("GET", "/large", headers=wanted)
    assert response.status == 502
    assert drive.request("HEAD", "/large").status == 200


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def test_an_uploaded_page_cannot_act_as_this_site(drive: Drive) -> None:
    for name, content_type in (("/x.html", "text/html"), ("/x.svg", "image/svg+xml"), ("/x.xml", "text/xml")):
        drive.request("PUT", name, "<script>alert(1)</script>", {"Content-Type": content_type})
        headers = drive.request("GET", name).headers
        assert headers["content-type"] == content_type
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-disposition"] == "attachment"
        assert "sandbox" in headers["content-security-policy"]


def test_a_picture_is_shown_by_browsers(drive: Drive) -> None:
    drive.put("/x.png")
    headers = drive.request("GET", "/x.png").headers
    assert headers["content-type"] == "image/png"
    assert "content-disposition" not in headers


def test_the_type_follows_the_name_when_nothing_else_is_known(drive: Drive) -> None:
    drive.put("/photo.part")
    assert drive.request("HEAD", "/photo.part").headers["content-type"] == "application/octet-stream"
    drive.request("MOVE", "/photo.part", headers={"Destination": drive.url("/photo.jpg")})
    assert drive.request("HEAD", "/photo.jpg").headers["content-type"] == "image/jpeg"
    body = '<D:propfind xmlns:D="DAV:"><D:prop><D:getcontenttype/></D:prop></D:propfind>'
    shown = drive.request("PROPFIND", "/photo.jpg", body, {"Depth": "0"}).props()["{DAV:}getcontenttype"].text
    assert shown == "image/jpeg"


def test_a_collection_is_shown_as_a_page(drive: Drive) -> None:
    drive.mkcol("/Fotos%20%26%20mehr")
    drive.put("/Fotos%20%26%20mehr/%3Cb%3E%231.txt", b"x" * 1234)
    drive.mkcol("/Fotos%20%26%20mehr/zzz")
    response = drive.request("GET", "/Fotos%20%26%20mehr")
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in response.headers["content-security-policy"]
    page = response.text
    assert 'href="/dav/Fotos%20%26%20mehr/%3Cb%3E%231.txt"' in page
    assert "&lt;b&gt;#1.txt" in page
    assert "<b>" not in page
    assert "1.23 kB" in page
    assert page.index("zzz/") < page.index("#1.txt")
    assert 'href="/dav/"' in page


def test_every_link_of_a_page_leads_somewhere(drive: Drive) -> None:
    drive.mkcol("/c")
    for name in ("a%20b", "a%26b", "50%25", "q%3Fx", "h%23x", "%C3%BC", "a;b", "a+b", "quo%22te", "o'clock", "%3A"):
        drive.put(f"/c/{name}", name)
    page = drive.request("GET", "/c").text
    from html import unescape

    hrefs = [unescape(href) for href in re.findall(r'href="([^"]*)"', page)]
    assert len(hrefs) == 13
    for href in hrefs:
        assert drive.request_raw("GET", href, headers={"Authorization": drive.credentials}).status == 200, href


def test_a_page_is_never_taken_from_a_cache_unasked(drive: Drive) -> None:
    drive.mkcol("/c")
    headers = drive.request("GET", "/c").headers
    assert "no-cache" in headers["cache-control"]
    assert drive.request("GET", "/c", headers={"If-None-Match": "*"}).status == 200
    assert drive.request("GET", "/c", headers={"If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"}).status == 200


def test_nobody_sees_another_users_file(drive: Drive) -> None:
    drive.put("/a.txt", DIGITS)
    assert drive.neighbour().request("GET", "/a.txt").status == 404
