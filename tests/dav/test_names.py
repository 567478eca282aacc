"""Names: what is one resource, what is refused before anything is stored, and that what is shown leads back (R17, R24, R53)."""

from urllib.parse import quote, unquote

import pytest

from tests.support.drive import Drive

NFC, NFD = "/caf%C3%A9.txt", "/cafe%CC%81.txt"

ODD_NAMES = [
    "a b", "a&b", "50%", "%41", "%2F", "%", "a+b", "q?mark", "h#ash", "s;p=1", "c:d", "back\\slash", 'quo"te', "o'clock", "<b>",
    "a=b", "a,b", "(1)", "[x]", "{y}", "^", "`", "|", "~x", "*", "$5", "@home", "!", "...", ".hidden", "x.", " lead", "trail ",
    "ünïcödé", "中文", "\U0001f600", "a\u00a0b", "\u200bzero", "\u202ertl", "\ufeffbom", "CON", "._x", "~$x.docx",
    ".~lock.x.odt#", "x" * 255, "ü" * 127,
]  # fmt: skip


def encoded(name: str) -> str:
    return "/" + quote(name, safe="")


def members(drive: Drive, path: str) -> list[str]:
    """The hrefs of the members of a collection, without the trash."""
    hrefs = drive.request("PROPFIND", path, headers={"Depth": "1"}).hrefs[1:]
    return [href for href in hrefs if not href.startswith("/dav/.trash")]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_goes_in_by_url_and_comes_out_in_hrefs_that_lead_back(drive: Drive, name: str) -> None:
    drive.mkcol("/c")
    assert drive.request("PUT", "/c" + encoded(name), name).status == 201
    [href] = members(drive, "/c")
    assert href.startswith("/dav/c/")
    assert unquote(href.removeprefix("/dav/c/")) == name
    assert href.isascii()
    assert not set(href) & set(' "<>&#?\\^`{}|')
    response = drive.request_raw("GET", href, headers={"Authorization": drive.credentials})
    assert (response.status, response.body.decode()) == (200, name)
    shown = drive.request("PROPFIND", "/c" + encoded(name), headers={"Depth": "0"}).props()
    assert shown["{DAV:}displayname"].text == name


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_goes_in_by_destination(drive: Drive, name: str) -> None:
    drive.put("/a", name)
    for method in ("COPY", "MOVE"):
        target = encoded(f"{name[:120]}.{method}")
        header = {"Destination": f"http://localhost/dav{target}"}
        assert drive.request(method, "/a", headers=header).status == 201
        assert drive.request("GET", target).body.decode() == name


@pytest.mark.parametrize("name", ODD_NAMES)
def test_every_name_can_be_that_of_a_collection(drive: Drive, name: str) -> None:
    path = encoded(name)
    drive.mkcol(path)
    drive.put(path + "/inside", "x")
    [href] = members(drive, "/")
    assert href.endswith("/")
    assert members(drive, path) == [href + "inside"]


REFUSED = [
    "%00", "a%00b", "a%2Fb", "a%2fb", "%2F", "%FF", "%C3", "%ED%A0%80", "%C0%AF", "%01", "%0A", "%0D%0A", "%1F", "%7F", "%C2%80",
    "%C2%9F", "%EF%BF%BE", "%EF%BF%BF", "%", "a%", "%4", "%zz", ".", "..", "%2E%2E", "%2e",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_name_is_400_for_every_method_and_is_not_stored(drive: Drive, name: str) -> None:
    drive.put("/a")
    before = members(drive, "/")
    for method in ("GET", "HEAD", "PUT", "DELETE", "MKCOL", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK"):
        headers = {"Lock-Token": "<urn:x>"} if method == "UNLOCK" else {}
        assert drive.request(method, f"/{name}", headers=headers).status == 400, method
        assert drive.request(method, f"/{name}/below", headers=headers).status == 400, method
    for method in ("COPY", "MOVE"):
        assert drive.request(method, "/a", headers={"Destination": f"/dav/{name}"}).status == 400
        assert drive.request(method, f"/{name}", headers={"Destination": "/dav/b"}).status == 400
    assert members(drive, "/") == before


@pytest.mark.parametrize("name", ["x" * 256, "%C3%BC" * 128, "%F0%9F%98%80" * 64, "e%CC%81" * 128])
def test_a_name_over_255_bytes_is_403_and_is_not_stored(drive: Drive, name: str) -> None:
    drive.put("/a")
    for method in ("PUT", "MKCOL", "LOCK"):
        assert drive.request(method, f"/{name}").status == 403
    for method in ("COPY", "MOVE"):
        assert drive.request(method, "/a", headers={"Destination": f"/dav/{name}"}).status == 403
    assert members(drive, "/") == ["/dav/a"]


def test_a_path_over_the_limit_of_levels_is_403(drive: Drive) -> None:
    limit = drive.services.config.max_depth
    path = ""
    for _ in range(limit):
        path += "/d"
        drive.mkcol(path)
    for method in ("PUT", "MKCOL", "LOCK", "GET"):
        assert drive.request(method, path + "/d").status == 403
    assert drive.request("COPY", "/d", headers={"Destination": f"/dav{path}/d"}).status == 403


def test_a_bad_name_never_breaks_the_listing_of_its_collection(drive: Drive) -> None:
    drive.mkcol("/c")
    for name in REFUSED:
        drive.request("PUT", f"/c/{name}", "x")
        drive.request("MKCOL", f"/c/{name}")
    drive.put("/c/good")
    assert members(drive, "/c") == ["/dav/c/good"]


def test_both_spellings_of_a_name_are_one_resource_shown_as_first_written(drive: Drive) -> None:
    assert drive.request("PUT", NFD, "one").status == 201
    assert drive.request("PUT", NFC, "two").status == 204
    assert drive.request("GET", NFD).body == drive.request("GET", NFC).body == b"two"
    assert members(drive, "/") == ["/dav" + NFD]
    assert drive.request("MKCOL", NFC).status == 405
    assert drive.request("DELETE", NFC).status == 204
    assert drive.request("GET", NFD).status == 404


def test_what_is_below_a_name_is_found_in_either_spelling_and_hrefs_extend_the_url_that_was_asked(drive: Drive) -> None:
    drive.mkcol("/u%CC%88")
    drive.put("/%C3%BC/a", "x")
    for spelling in ("/u%CC%88", "/%C3%BC"):
        hrefs = drive.request("PROPFIND", spelling, headers={"Depth": "1"}).hrefs
        assert hrefs == [f"/dav{spelling}/", f"/dav{spelling}/a"]


def test_names_that_differ_in_case_or_compatibility_are_two(drive: Drive) -> None:
    for name in ("/A", "/a", "/%EF%AC%81", "/fi"):
        assert drive.request("PUT", name, "x").status == 201


@pytest.mark.parametrize(
    "spelling",
    [
        "/a%7Eb%c3%bc%28",
        "/a~b%C3%BC(",
        "/%61~b%C3%bc(",
        "/a~b\u00c3\u00bc(",
        "//a~b%C3%BC(",
        "/a~b%C3%BC(/",
        "/a~b%C3%BC(//",
    ],
)
def test_one_name_spelt_otherwise_in_a_url_is_one_resource(drive: Drive, spelling: str) -> None:
    drive.put("/a~b%C3%BC(", "x")
    assert drive.request("GET", spelling).body == b"x"
    assert drive.request("PUT", spelling, "y").status == 204


def test_plus_is_plus(drive: Drive) -> None:
    drive.put("/a+b", "plus")
    assert drive.request("GET", "/a%2Bb").body == b"plus"
    assert drive.request("GET", "/a%20b").status == 404


def test_the_query_of_a_url_is_no_part_of_the_name(drive: Drive) -> None:
    drive.put("/a", "x")
    assert drive.request("GET", "/a?b=/c").body == b"x"
    assert drive.request("GET", "/a%3Fb").status == 404


def test_the_shares_own_name_may_be_spelt_otherwise(drive: Drive) -> None:
    drive.put("/a", "x")
    for target in ("/%64av/a", "/d%61v/a", "//dav/a"):
        response = drive.request_raw("GET", target, headers={"Authorization": drive.credentials})
        assert (response.status, response.body) == (200, b"x"), target


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PROPFIND", "LOCK"])
def test_a_slash_at_the_end_never_redirects(drive: Drive, method: str) -> None:
    drive.put("/f")
    drive.mkcol("/c")
    body = (
        '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>'
        if method == "LOCK"
        else ""
    )
    for path in ("/f", "/f/", "/c", "/c/"):
        assert not 300 <= drive.request(method, path, body).status < 400
