"""Conditional requests over the whole application: If in all its forms, If-Match, If-None-Match and their kin (R43, R44, R50)."""

import pytest

from tests.support.drive import Drive

NO_LOCK = "<DAV:no-lock>"


@pytest.fixture
def held(drive: Drive) -> tuple[Drive, dict[str, str]]:
    """A drive with /a, locked, and /b; and the words that the headers below are made of."""
    drive.put("/a", "a")
    drive.put("/b", "b")
    words = {
        "a": drive.url("/a"),
        "b": drive.url("/b"),
        "tag_a": drive.request("HEAD", "/a").headers["etag"],
        "tag_b": drive.request("HEAD", "/b").headers["etag"],
        "lock": f"<{drive.lock('/a')}>",
    }
    return drive, words


@pytest.mark.parametrize(
    "form",
    [
        "({lock})",
        "  ( {lock} )  ",
        "({lock} [{tag_a}])",
        "([{tag_a}] {lock})",
        "({lock}) (<urn:uuid:stale>)",
        "(<urn:uuid:stale>) ({lock})",
        "(<urn:uuid:stale>)({lock})",
        "({lock} Not <urn:uuid:stale>)",
        f"({{lock}} Not {NO_LOCK})",
        f"({{lock}}) (Not {NO_LOCK})",
        "(Not <urn:uuid:stale> {lock})",
        "<{a}> ({lock})",
        "<{a}/> ({lock})",
        "<http://localhost{a}> ({lock})",
        "<https://proxy.example:8443{a}> ({lock})",
        "<http://localhost{a}> ({lock} [{tag_a}])",
        "<{b}> ([{tag_b}]) <{a}> ({lock})",
        "<{b}> (<urn:uuid:stale>) <{a}> ({lock})",
        "<http://localhost{b}> ([{tag_b}] Not {lock})",
        "</dav/%61> ({lock})",
    ],
)
def test_an_if_that_holds_opens_the_lock(held: tuple[Drive, dict[str, str]], form: str) -> None:
    drive, words = held
    assert drive.request("PUT", "/a", "new", {"If": form.format(**words)}).status == 204


@pytest.mark.parametrize(
    "form",
    [
        "(<urn:uuid:stale>)",
        "(Not {lock})",
        '({lock} ["other"])',
        "({lock} [W/{tag_a}])",
        "({lock} [junk])",
        "({lock} Not [{tag_a}])",
        f"({{lock}} {NO_LOCK})",
        f"({NO_LOCK})",
        "<{b}> ({lock})",
        "<http://localhost{b}> ({lock} [{tag_b}])",
        "<{a}> ({lock} [{tag_b}])",
        '<http://localhost{a}> (["other"])',
        "<http://localhost/dav/unmapped> ({lock})",
        "<http://localhost/elsewhere> ({lock})",
        "<http://localhost{a}%00> ({lock})",
    ],
)
def test_an_if_that_fails_is_412_and_changes_nothing(held: tuple[Drive, dict[str, str]], form: str) -> None:
    drive, words = held
    assert drive.request("PUT", "/a", "new", {"If": form.format(**words)}).status == 412
    assert drive.request("GET", "/a").body == b"a"


@pytest.mark.parametrize(
    "form",
    ["{lock}", "()", "({lock}", "<{a}>", "<{a}> <{b}> ({lock})", "lock", "({lock}) garbage", "(Not)", "[{tag_a}]"],
)
def test_an_if_that_cannot_be_read_is_400_and_changes_nothing(held: tuple[Drive, dict[str, str]], form: str) -> None:
    drive, words = held
    assert drive.request("PUT", "/a", "new", {"If": form.format(**words)}).status == 400
    assert drive.request("GET", "/a").body == b"a"


@pytest.mark.parametrize(
    "form", ["([{tag_a}])", f"(Not {NO_LOCK})", "(<urn:uuid:stale>) ([{tag_a}])", "<{b}> ([{tag_b}])"]
)
def test_an_if_that_holds_without_the_token_leaves_the_lock_closed(
    held: tuple[Drive, dict[str, str]], form: str
) -> None:
    drive, words = held
    assert drive.request("PUT", "/a", "new", {"If": form.format(**words)}).status == 423
    assert drive.request("GET", "/a").body == b"a"


def test_a_token_opens_the_lock_wherever_it_stands_when_another_list_holds(held: tuple[Drive, dict[str, str]]) -> None:
    """RFC 4918 section 10.4.1: appearing in the header is submitting, whichever list made it hold."""
    drive, words = held
    header = f"<{words['b']}> ({words['lock']}) (Not {NO_LOCK})"
    assert drive.request("PUT", "/a", "new", {"If": header}).status == 204


def test_an_if_about_what_is_not_there_has_neither_tag_nor_token(held: tuple[Drive, dict[str, str]]) -> None:
    drive, words = held
    for form in ("({lock})", "([{tag_a}])", '(["x"])', "</dav/new> ([{tag_a}])"):
        assert drive.request("PUT", "/new", "new", {"If": form.format(**words)}).status == 412
        assert drive.request("GET", "/new").status == 404
    for form in ("(Not {lock})", "(Not [{tag_a}])", "<{a}> ({lock})", "<http://localhost{a}> ([{tag_a}])"):
        assert drive.request("PUT", "/new", "new", {"If": form.format(**words)}).status == 201
        drive.request("DELETE", "/new")


def test_a_full_url_in_if_stops_a_lost_update(drive: Drive) -> None:
    """wsgidav#347: a tag with scheme and host never matched, so the condition passed and the file was overwritten."""
    drive.put("/a", "first")
    stale = drive.request("HEAD", "/a").headers["etag"]
    drive.put("/a", "second")
    header = {"If": f"<http://localhost:8080{drive.url('/a')}> ([{stale}])"}
    assert drive.request("PUT", "/a", "lost", header).status == 412
    assert drive.request("GET", "/a").body == b"second"


def test_a_token_ends_with_its_lock(held: tuple[Drive, dict[str, str]]) -> None:
    drive, words = held
    drive.request("UNLOCK", "/a", headers={"Lock-Token": words["lock"]})
    assert drive.request("PUT", "/a", "new", {"If": f"({words['lock']})"}).status == 412
    assert drive.request("PUT", "/a", "new", {"Lock-Token": words["lock"]}).status == 204


def test_words_token_in_lock_token_opens_the_lock(held: tuple[Drive, dict[str, str]]) -> None:
    drive, words = held
    for value in (words["lock"], words["lock"].strip("<>")):
        assert drive.request("PUT", "/a", "new", {"Lock-Token": value}).status == 204
    assert drive.request("PUT", "/a", "new", {"Lock-Token": "<urn:uuid:stale>"}).status == 423


def test_many_lists_are_refused_rather_than_looked_up(drive: Drive) -> None:
    drive.put("/a")
    header = {"If": "".join(f"</dav/{n}> (<urn:x>) " for n in range(1000)) + f"(Not {NO_LOCK})"}
    assert drive.request("PUT", "/a", "x", header).status == 400


@pytest.mark.parametrize("header", ['"junk"', 'W/"{tag}"', "junk", "", '"', '"other", "another"'])
def test_an_if_match_that_does_not_name_the_tag_is_412(drive: Drive, header: str) -> None:
    drive.put("/a", "old")
    tag = drive.request("HEAD", "/a").headers["etag"].strip('"')
    fields = {"If-Match": header.replace("{tag}", tag)}
    assert drive.request("PUT", "/a", "new", fields).status == 412
    assert drive.request("GET", "/a").body == b"old"


def test_an_if_match_that_names_the_tag_holds_once(drive: Drive) -> None:
    drive.put("/a", "old")
    tag = drive.request("HEAD", "/a").headers["etag"]
    assert drive.request("PUT", "/a", "new", {"If-Match": f'"other", {tag}'}).status == 204
    assert drive.request("PUT", "/a", "newer", {"If-Match": tag}).status == 412
    assert drive.request("PUT", "/a", "newest", {"If-Match": "*"}).status == 204


@pytest.mark.parametrize("header", ["*", '"x"', "junk"])
def test_an_if_match_on_nothing_is_412_and_makes_nothing(drive: Drive, header: str) -> None:
    assert drive.request("PUT", "/new", "x", {"If-Match": header}).status == 412
    assert drive.request("GET", "/new").status == 404


def test_if_none_match_star_makes_and_never_replaces(drive: Drive) -> None:
    assert drive.request("PUT", "/a", "first", {"If-None-Match": "*"}).status == 201
    assert drive.request("PUT", "/a", "second", {"If-None-Match": "*"}).status == 412
    assert drive.request("GET", "/a").body == b"first"


def test_joplins_junk_stops_nothing(drive: Drive) -> None:
    drive.headers = {"If-None-Match": "JoplinIgnore-12345"}
    assert drive.request("MKCOL", "/c").status == 201
    for status in (201, 204):
        assert drive.request("PUT", "/c/a", "x").status == status
    assert drive.request("PROPFIND", "/c", headers={"Depth": "1"}).status == 207
    assert drive.request("MOVE", "/c/a", headers={"Destination": drive.url("/c/b")}).status == 201
    assert drive.request("OPTIONS", "/c").status == 200
    assert drive.request("DELETE", "/c/b").status == 204


def test_the_tag_that_ios_adds_stops_nothing_but_get_and_put(drive: Drive) -> None:
    drive.put("/a")
    drive.headers = {"If-None-Match": drive.request("HEAD", "/a").headers["etag"]}
    assert drive.request("PROPFIND", "/a", headers={"Depth": "0"}).status == 207
    update = '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x/></D:prop></D:set></D:propertyupdate>'
    assert drive.request("PROPPATCH", "/a", update).status == 207
    assert drive.request("COPY", "/a", headers={"Destination": drive.url("/b")}).status == 201
    drive.request("UNLOCK", "/a", headers={"Lock-Token": drive.lock("/a")})
    assert drive.request("GET", "/a").status == 304
    assert drive.request("PUT", "/a", "x").status == 412
    assert drive.request("DELETE", "/a").status == 204


def test_if_modified_since_is_for_reading_alone(drive: Drive) -> None:
    drive.put("/a")
    headers = {"If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"}
    assert drive.request("GET", "/a", headers=headers).status == 304
    assert drive.request("PROPFIND", "/a", headers=headers | {"Depth": "0"}).status == 207
    assert drive.request("PUT", "/a", "x", headers).status == 204
    assert drive.request("DELETE", "/a", headers=headers).status == 204


def test_if_unmodified_since_stops_a_change_of_what_changed(drive: Drive) -> None:
    drive.request("PUT", "/a", "old", {"X-OC-Mtime": "1000000000"})
    before, same = "Sun, 09 Sep 2001 01:46:39 GMT", "Sun, 09 Sep 2001 01:46:40 GMT"
    assert drive.request("PUT", "/a", "new", {"If-Unmodified-Since": before}).status == 412
    assert drive.request("DELETE", "/a", headers={"If-Unmodified-Since": before}).status == 412
    assert drive.request("GET", "/a").body == b"old"
    assert drive.request("PUT", "/a", "new", {"If-Unmodified-Since": "some day"}).status == 204
    drive.request("PUT", "/b", "old", {"X-OC-Mtime": "1000000000"})
    assert drive.request("PUT", "/b", "new", {"If-Unmodified-Since": same}).status == 204
