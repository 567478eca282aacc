"""The trash as WebDAV clients see it."""

from dataclasses import replace
from datetime import datetime
from functools import partial

import pytest

from tests.support.drive import Drive

V = "{urn:davserver:}"
NAMES = ("origin", "discarded-at", "purge-at", "reason")
ASK = (
    '<D:propfind xmlns:D="DAV:" xmlns:V="urn:davserver:"><D:prop>'
    + "".join(f"<V:{name}/>" for name in NAMES)
    + "</D:prop></D:propfind>"
)

LOCKINFO = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    "<D:locktype><D:write/></D:locktype></D:lockinfo>"
)


def move(drive: Drive, source: str, destination: str, method: str = "MOVE", overwrite: str = "T") -> int:
    headers = {"Destination": drive.url(destination), "Overwrite": overwrite}
    return drive.request(method, source, headers=headers).status


def names(drive: Drive, path: str, depth: str = "1") -> list[str]:
    base = drive.url(path)
    hrefs = drive.request("PROPFIND", path, headers={"Depth": depth}).hrefs[1:]
    return [href.removeprefix(base) for href in hrefs]


@pytest.fixture
def tree(drive: Drive) -> Drive:
    """/docs/a b.txt, /docs/sub/deep.txt"""
    drive.mkcol("/docs")
    drive.mkcol("/docs/sub")
    drive.put("/docs/a%20b.txt", "one")
    drive.put("/docs/sub/deep.txt", "deep")
    return drive


def test_what_is_deleted_can_be_browsed_read_copied_and_moved_back(tree: Drive) -> None:
    tree.request("DELETE", "/docs")
    assert names(tree, "/") == [".trash/"]
    assert names(tree, "/.trash/", "infinity") == ["docs/", "docs/a%20b.txt", "docs/sub/", "docs/sub/deep.txt"]
    assert tree.request("GET", "/.trash/docs/sub/deep.txt").text == "deep"
    assert move(tree, "/.trash/docs/sub/deep.txt", "/copied.txt", "COPY") == 201
    assert move(tree, "/.trash/docs", "/docs") == 201
    assert tree.request("GET", "/docs/a%20b.txt").text == "one"
    assert tree.request("GET", "/copied.txt").text == "deep"
    assert names(tree, "/.trash/") == []


def test_properties_tell_where_it_came_from_why_and_until_when_it_is_kept(tree: Drive) -> None:
    tree.put("/docs/a%20b.txt", "two")
    tree.clock.advance(60)
    tree.request("DELETE", "/docs/sub")
    assert names(tree, "/.trash/") == ["sub/", "a%20b.txt"]
    answer = tree.request("PROPFIND", "/.trash/", ASK, {"Depth": "infinity"})
    replaced = answer.props("/dav/.trash/a%20b.txt")
    assert (replaced[f"{V}origin"].text, replaced[f"{V}reason"].text) == ("/dav/docs/a%20b.txt", "replaced")
    deleted = answer.props("/dav/.trash/sub/")
    assert (deleted[f"{V}origin"].text, deleted[f"{V}reason"].text) == ("/dav/docs/sub", "deleted")
    times = [datetime.fromisoformat(str(deleted[f"{V}{name}"].text)) for name in ("discarded-at", "purge-at")]
    assert (times[1] - times[0]).total_seconds() == 24 * 3600
    for other in ("/dav/.trash/", "/dav/.trash/sub/deep.txt"):
        assert set(answer.props(other, 404)) == {f"{V}{name}" for name in NAMES}
    alone = tree.request("PROPFIND", "/.trash/sub", ASK, {"Depth": "0"})
    assert alone.props()[f"{V}origin"].text == "/dav/docs/sub"


def test_the_properties_are_told_by_propname_in_the_trash_and_nowhere_else(tree: Drive) -> None:
    tree.request("DELETE", "/docs/sub")
    ask = '<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>'
    told = tree.request("PROPFIND", "/.trash/sub", ask, {"Depth": "0"}).props()
    assert {f"{V}{name}" for name in NAMES} <= set(told)
    elsewhere = tree.request("PROPFIND", "/docs", ask, {"Depth": "0"}).props()
    assert not {f"{V}{name}" for name in NAMES} & set(elsewhere)


def test_a_move_into_the_trash_is_a_delete(tree: Drive) -> None:
    assert move(tree, "/docs/sub", "/.trash/sub") == 201
    assert move(tree, "/docs/a%20b.txt", "/.trash/") == 201
    assert names(tree, "/docs/") == []
    assert names(tree, "/.trash/") == ["a%20b.txt", "sub/"]


def test_delete_in_the_trash_is_for_good_and_of_the_trash_empties_it(tree: Drive) -> None:
    tree.request("DELETE", "/docs/a%20b.txt")
    tree.request("DELETE", "/docs/sub")
    assert tree.request("DELETE", "/.trash/a%20b.txt").status == 204
    assert tree.request("DELETE", "/.trash/sub/deep.txt").status == 204
    assert names(tree, "/.trash/", "infinity") == ["sub/"]
    assert tree.request("DELETE", "/.trash").status == 204
    assert names(tree, "/.trash/") == []
    assert tree.request("DELETE", "/.trash/").status == 204


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/.trash/docs/new.txt", "x"),
        ("PUT", "/.trash/new.txt", "x"),
        ("PUT", "/.trash/docs/sub/deep.txt", "x"),
        ("MKCOL", "/.trash/new", ""),
        ("MKCOL", "/.trash/docs/new", ""),
        (
            "LOCK",
            "/.trash/docs",
            LOCKINFO,
        ),
    ],
)
def test_nothing_is_written_in_the_trash_and_the_answer_says_why(
    tree: Drive, method: str, path: str, body: str
) -> None:
    tree.request("DELETE", "/docs")
    before = tree.request("PROPFIND", "/.trash/", headers={"Depth": "infinity"}).body
    answer = tree.request(method, path, body)
    assert answer.status == 403
    assert "trash" in answer.text
    assert tree.request("PROPFIND", "/.trash/", headers={"Depth": "infinity"}).body == before


@pytest.mark.parametrize("method", ["MOVE", "COPY"])
def test_nothing_is_moved_or_copied_within_the_trash(tree: Drive, method: str) -> None:
    tree.request("DELETE", "/docs/sub")
    for destination in ("/.trash/other", "/.trash/sub/other", "/.trash/"):
        assert move(tree, "/.trash/sub/deep.txt", destination, method) == 403
    assert move(tree, "/docs/a%20b.txt", "/.trash/a", "COPY") == 403
    assert names(tree, "/.trash/", "infinity") == ["sub/", "sub/deep.txt"]


def test_who_hides_the_trash_does_not_see_it_from_the_next_request_on(tree: Drive) -> None:
    tree.request("DELETE", "/docs/sub")
    tree.services.settings.change(tree.principal, partial(replace, hides_trash=True))
    for depth in ("1", "infinity"):
        assert not any(".trash" in name for name in names(tree, "/", depth))
    assert ".trash" not in tree.request("GET", "/").text
    assert names(tree, "/.trash/") == ["sub/"]
    tree.services.settings.change(tree.principal, partial(replace, hides_trash=False))
    assert ".trash/" in names(tree, "/")


def test_quota_counts_what_is_in_the_trash_until_it_is_purged(tree: Drive) -> None:
    def used() -> int:
        ask = '<D:propfind xmlns:D="DAV:"><D:prop><D:quota-used-bytes/></D:prop></D:propfind>'
        answer = tree.request("PROPFIND", "/", ask, {"Depth": "0"})
        return int(answer.props()["{DAV:}quota-used-bytes"].text)

    assert used() == 7
    tree.request("DELETE", "/docs")
    assert used() == 7
    tree.request("DELETE", "/.trash/")
    tree.services.runner.look()
    assert used() == 0
