"""COPY and MOVE: rules R34 and R35, and the ways to lose data that must not be."""

import pytest

from tests.support.drive import Drive, Response

NFC, NFD = "/caf%C3%A9", "/cafe%CC%81"
BOTH = pytest.mark.parametrize("method", ["COPY", "MOVE"])


def send(drive: Drive, method: str, source: str, destination: str, **headers: str) -> Response:
    """COPY or MOVE to a path below the share; header names have underscores."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return drive.request(method, source, headers={"Destination": drive.url(destination), **fields})


def content(drive: Drive, path: str) -> bytes | None:
    response = drive.request("GET", path)
    return response.body if response.status == 200 else None


@pytest.fixture
def tree(drive: Drive) -> Drive:
    """A file /a, and a collection /c with a file and a collection with a file in it."""
    drive.put("/a", "a")
    drive.mkcol("/c")
    drive.put("/c/x", "x")
    drive.mkcol("/c/d")
    drive.put("/c/d/y", "y")
    return drive


@BOTH
def test_a_new_destination_is_201_and_a_replaced_one_204(tree: Drive, method: str) -> None:
    response = send(tree, method, "/a", "/b")
    assert (response.status, response.body) == (201, b"")
    assert content(tree, "/b") == b"a"
    assert content(tree, "/a") == (b"a" if method == "COPY" else None)
    tree.put("/other", "other")
    assert send(tree, method, "/b", "/other").status == 204
    assert content(tree, "/other") == b"a"


@BOTH
@pytest.mark.parametrize("source", ["/c", "/c/"])
@pytest.mark.parametrize("destination", ["/n", "/n/"])
def test_a_collection_goes_with_all_below_it(tree: Drive, method: str, source: str, destination: str) -> None:
    assert send(tree, method, source, destination).status == 201
    assert (content(tree, "/n/x"), content(tree, "/n/d/y")) == (b"x", b"y")
    left = (b"x", b"y") if method == "COPY" else (None, None)
    assert (content(tree, "/c/x"), content(tree, "/c/d/y")) == left


@BOTH
def test_overwrite_f_replaces_nothing(tree: Drive, method: str) -> None:
    assert send(tree, method, "/a", "/c/x", Overwrite="F").status == 412
    assert (content(tree, "/a"), content(tree, "/c/x")) == (b"a", b"x")
    assert send(tree, method, "/a", "/new", Overwrite="F").status == 201


@BOTH
@pytest.mark.parametrize("overwrite", ["X", "True", "0"])
def test_an_overwrite_that_is_neither_is_400(tree: Drive, method: str, overwrite: str) -> None:
    assert send(tree, method, "/a", "/c/x", Overwrite=overwrite).status == 400
    assert content(tree, "/c/x") == b"x"


@BOTH
def test_what_replaces_a_collection_leaves_nothing_of_it(tree: Drive, method: str) -> None:
    assert send(tree, method, "/a", "/c").status == 204
    assert content(tree, "/c") == b"a"
    assert content(tree, "/c/x") is None


@BOTH
def test_a_collection_replaces_and_is_not_merged(tree: Drive, method: str) -> None:
    tree.mkcol("/n")
    tree.put("/n/old", "old")
    assert send(tree, method, "/c", "/n").status == 204
    assert content(tree, "/n/x") == b"x"
    assert content(tree, "/n/old") is None


@BOTH
@pytest.mark.parametrize(("source", "destination"), [("/missing", "/n"), ("/a/below", "/n"), ("/missing/x", "/n")])
def test_a_source_that_is_missing_is_404(tree: Drive, method: str, source: str, destination: str) -> None:
    assert send(tree, method, source, destination).status == 404


@BOTH
@pytest.mark.parametrize("destination", ["/missing/n", "/a/n"])
def test_a_parent_that_is_missing_is_409(tree: Drive, method: str, destination: str) -> None:
    assert send(tree, method, "/c/x", destination).status == 409
    assert content(tree, "/c/x") == b"x"


@BOTH
@pytest.mark.parametrize(
    ("source", "destination"), [("/a", "/a"), ("/a", "/a/"), ("/c", "/c"), ("/c/", "/c"), ("/c", "/c?x")]
)
def test_onto_itself_is_403(tree: Drive, method: str, source: str, destination: str) -> None:
    assert send(tree, method, source, destination).status == 403
    assert (content(tree, "/a"), content(tree, "/c/d/y")) == (b"a", b"y")


@BOTH
@pytest.mark.parametrize("destination", ["/c/inside", "/c/d/inside", "/c/d"])
def test_a_collection_into_itself_is_403(tree: Drive, method: str, destination: str) -> None:
    assert send(tree, method, "/c", destination).status == 403
    assert content(tree, "/c/d/y") == b"y"


@BOTH
@pytest.mark.parametrize(
    ("source", "destination"), [("/c/d", "/c"), ("/c/d/y", "/c"), ("/c/d/y", "/c/d"), ("/c/d", "/")]
)
def test_onto_an_ancestor_destroys_nothing(tree: Drive, method: str, source: str, destination: str) -> None:
    assert send(tree, method, source, destination).status in {403, 409}
    assert (content(tree, "/c/x"), content(tree, "/c/d/y")) == (b"x", b"y")


@BOTH
def test_the_root_is_neither_source_nor_destination(tree: Drive, method: str) -> None:
    assert send(tree, method, "/", "/n").status == 403
    assert send(tree, method, "/a", "/").status == 403
    assert (content(tree, "/a"), content(tree, "/c/x")) == (b"a", b"x")


def test_copy_with_depth_0_takes_no_members(tree: Drive) -> None:
    assert send(tree, "COPY", "/c", "/n", Depth="0").status == 201
    assert tree.request("PROPFIND", "/n", headers={"Depth": "1"}).hrefs == ["/dav/n/"]
    assert content(tree, "/c/x") == b"x"


def test_copy_of_a_collection_into_itself_with_depth_0_is_no_loop(tree: Drive) -> None:
    assert send(tree, "COPY", "/c", "/c/shallow", Depth="0").status == 201
    assert tree.request("PROPFIND", "/c/shallow", headers={"Depth": "1"}).hrefs == ["/dav/c/shallow/"]


def test_depth_1_is_400_for_copy(tree: Drive) -> None:
    for source in ("/a", "/c"):
        assert send(tree, "COPY", source, "/n", Depth="1").status == 400
    assert content(tree, "/n") is None


def test_a_collection_moves_with_its_members_or_not_at_all(tree: Drive) -> None:
    for depth in ("0", "1", "nonsense"):
        assert send(tree, "MOVE", "/c", "/n", Depth=depth).status == 400
    assert content(tree, "/c/x") == b"x"
    assert send(tree, "MOVE", "/c", "/n", Depth="Infinity").status == 201


def test_depth_0_of_a_file_is_fine(tree: Drive) -> None:
    assert send(tree, "COPY", "/a", "/n1", Depth="0").status == 201
    assert send(tree, "MOVE", "/a", "/n2", Depth="0").status == 201


@BOTH
@pytest.mark.parametrize(
    "form",
    [
        "{path}",
        "http://localhost{path}",
        "https://localhost{path}",
        "http://proxy.example:8443{path}",
        "HTTP://LOCALHOST{path}",
        "webdav://localhost{path}",
        "webdavs://localhost{path}",
        "http://user:p%40ss@localhost{path}",
        "http://[::1]:8080{path}",
        " http://localhost{path} ",
        "//localhost{path}",
        "http://localhost{path}?query=a/b",
        "http://localhost{path}#fragment",
    ],
)
def test_only_the_path_of_a_destination_counts(tree: Drive, method: str, form: str) -> None:
    header = {"Destination": form.format(path="/dav/c/n")}
    assert tree.request(method, "/a", headers=header).status == 201
    assert content(tree, "/c/n") == b"a"


@BOTH
@pytest.mark.parametrize(
    "destination", ["http://localhost/elsewhere/n", "/elsewhere", "/davother/n", "http://localhost", "/"]
)
def test_a_destination_outside_the_share_is_refused(tree: Drive, method: str, destination: str) -> None:
    response = tree.request(method, "/a", headers={"Destination": destination})
    assert response.status in {403, 502}
    assert content(tree, "/a") == b"a"


@BOTH
@pytest.mark.parametrize(
    ("destination", "status"),
    [
        (None, 400), ("", 400), ("n", 400), ("/dav/%00", 400), ("/dav/a%2Fb", 400), ("/dav/%FF", 400), ("/dav/..", 400),
        ("/dav/100%", 400), ("/dav/" + "x" * 256, 403), ("/dav" + "/x" * 101, 403),
    ],
)  # fmt: skip
def test_a_destination_that_cannot_be_one_is_refused(
    tree: Drive, method: str, destination: str | None, status: int
) -> None:
    headers = {} if destination is None else {"Destination": destination}
    assert tree.request(method, "/a", headers=headers).status == status
    assert content(tree, "/a") == b"a"


@BOTH
@pytest.mark.parametrize("name", ["q%3Fmoved", "s;moved", "h%23moved", "a%26b", "50%25", "a+b", "a%20b", "%25%32%46"])
def test_what_stands_in_a_destination_is_the_name_to_its_end(tree: Drive, method: str, name: str) -> None:
    for victim in ("q", "s", "h"):
        tree.put(f"/{victim}", "keep me")
    assert send(tree, method, "/a", f"/{name}").status == 201
    assert content(tree, f"/{name}") == b"a"
    hrefs = tree.request("PROPFIND", f"/{name}", headers={"Depth": "0"}).hrefs
    assert hrefs == ["/dav/" + name.replace("%25%32%46", "%252F")]
    assert [content(tree, f"/{victim}") for victim in ("q", "s", "h")] == [b"keep me"] * 3


@BOTH
def test_a_destination_may_hold_utf8_that_is_not_encoded(tree: Drive, method: str) -> None:
    raw = "http://localhost/dav/caf\u00e9 \u4e2d".encode().decode("latin-1")  # as a server hands header fields on
    assert tree.request(method, "/a", headers={"Destination": raw}).status == 201
    assert content(tree, "/caf%C3%A9%20%E4%B8%AD") == b"a"


def test_a_rename_that_changes_only_the_case_keeps_the_file(tree: Drive) -> None:
    tree.put("/readme.txt", "text")
    assert send(tree, "MOVE", "/readme.txt", "/README.TXT").status == 201
    assert content(tree, "/README.TXT") == b"text"
    assert content(tree, "/readme.txt") is None
    assert send(tree, "MOVE", "/c", "/C", Overwrite="F").status == 201
    assert content(tree, "/C/d/y") == b"y"


@BOTH
def test_a_rename_to_the_other_spelling_of_a_name_keeps_the_file(tree: Drive, method: str) -> None:
    tree.put(NFD, "text")
    send(tree, method, NFD, NFC)
    assert content(tree, NFC) == content(tree, NFD) == b"text"


@BOTH
def test_a_destination_is_matched_in_either_spelling(tree: Drive, method: str) -> None:
    tree.put(NFD, "old")
    assert send(tree, method, "/a", NFC).status == 204
    assert content(tree, NFD) == b"a"
    assert len([h for h in tree.request("PROPFIND", "/", headers={"Depth": "1"}).hrefs if "caf" in h]) == 1


def test_a_copy_has_a_life_of_its_own(tree: Drive) -> None:
    send(tree, "COPY", "/c", "/n")
    tree.put("/n/x", "changed")
    tree.request("DELETE", "/n/d")
    assert (content(tree, "/c/x"), content(tree, "/c/d/y")) == (b"x", b"y")
    tree.request("DELETE", "/c")
    assert content(tree, "/n/x") == b"changed"


def test_a_moved_file_keeps_its_tag_and_its_times(tree: Drive) -> None:
    tree.request("PUT", "/a", "a", {"X-OC-Mtime": "1000000000"})
    before = tree.request("HEAD", "/a").headers
    send(tree, "MOVE", "/a", "/b")
    after = tree.request("HEAD", "/b").headers
    assert (after["etag"], after["last-modified"]) == (before["etag"], before["last-modified"])


@BOTH
def test_dead_properties_go_along(tree: Drive, method: str) -> None:
    update = (
        '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><p xmlns="urn:x">v</p></D:prop></D:set></D:propertyupdate>'
    )
    for path in ("/a", "/c/d/y"):
        assert tree.request("PROPPATCH", path, update).status == 207
    send(tree, method, "/a", "/a2")
    send(tree, method, "/c", "/c2")
    ask = '<D:propfind xmlns:D="DAV:"><D:prop><p xmlns="urn:x"/></D:prop></D:propfind>'
    for path in ("/a2", "/c2/d/y"):
        assert tree.request("PROPFIND", path, ask, {"Depth": "0"}).props()["{urn:x}p"].text == "v"


@BOTH
def test_the_time_that_rclone_sends_is_taken(tree: Drive, method: str) -> None:
    for source, destination in (("/a", "/n"), ("/c", "/m")):
        response = send(tree, method, source, destination, X_OC_Mtime="1000000000")
        assert (response.status, response.headers["x-oc-mtime"]) == (201, "accepted")
        shown = tree.request("PROPFIND", destination, headers={"Depth": "0"}).props()["{DAV:}getlastmodified"].text
        assert shown == "Sun, 09 Sep 2001 01:46:40 GMT"
    response = send(tree, method, "/n", "/o", X_OC_Mtime="now")
    assert response.status == 201
    assert "x-oc-mtime" not in response.headers


def test_a_lock_does_not_move(tree: Drive) -> None:
    token = tree.lock("/a")
    assert send(tree, "MOVE", "/a", "/b").status == 423
    assert send(tree, "MOVE", "/a", "/b", If=f"(<{token}>)").status == 201
    assert tree.request("PUT", "/a", "anew").status == 201
    assert tree.request("PUT", "/b", "anew").status == 204
    assert tree.request("UNLOCK", "/b", headers={"Lock-Token": f"<{token}>"}).status == 409


def test_a_lock_below_a_collection_keeps_it_where_it_is(tree: Drive) -> None:
    token = tree.lock("/c/d/y")
    assert send(tree, "MOVE", "/c", "/n").status == 423
    assert content(tree, "/c/d/y") == b"y"
    tagged = f"<http://localhost/dav/c/d/y> (<{token}>)"
    assert send(tree, "MOVE", "/c", "/n", If=tagged).status == 201
    assert tree.request("PUT", "/n/d/y", "free").status == 204


def test_a_lock_on_the_source_does_not_stop_a_copy_nor_is_it_copied(tree: Drive) -> None:
    tree.lock("/a")
    tree.lock("/c")
    assert send(tree, "COPY", "/a", "/b").status == 201
    assert send(tree, "COPY", "/c", "/n").status == 201
    assert tree.request("PUT", "/b", "free").status == 204
    assert tree.request("PUT", "/n/x", "free").status == 204


@BOTH
def test_a_locked_destination_wants_its_token(tree: Drive, method: str) -> None:
    token = tree.lock("/c/x")
    assert send(tree, method, "/a", "/c/x").status == 423
    assert content(tree, "/c/x") == b"x"
    tagged = f"<{tree.url('/c/x')}> (<{token}>)"
    assert send(tree, method, "/a", "/c/x", If=tagged).status == 204
    assert content(tree, "/c/x") == b"a"


@BOTH
@pytest.mark.parametrize("depth", ["0", "infinity"])
def test_a_lock_on_the_destinations_parent_wants_its_token(tree: Drive, method: str, depth: str) -> None:
    token = tree.lock("/c", depth=depth)
    assert send(tree, method, "/a", "/c/new").status == 423
    tagged = f"<{tree.url('/c')}> (<{token}>)"
    assert send(tree, method, "/a", "/c/new", If=tagged).status == 201


def test_a_lock_on_the_sources_parent_stops_a_move_and_no_copy(tree: Drive) -> None:
    token = tree.lock("/c", depth="0")
    assert send(tree, "COPY", "/c/x", "/n1").status == 201
    assert send(tree, "MOVE", "/c/x", "/n2").status == 423
    assert send(tree, "MOVE", "/c/x", "/n2", If=f"</dav/c> (<{token}>)").status == 201


@BOTH
def test_conditions_are_about_the_source(tree: Drive, method: str) -> None:
    etag = tree.request("HEAD", "/a").headers["etag"]
    failing = ({"If_Match": '"old"'}, {"If": '(["old"])'}, {"If_None_Match": "*"}, {"If": f"</dav/c/x> ([{etag}])"})
    for headers in failing:
        assert send(tree, method, "/a", "/n", **headers).status == 412
    assert (content(tree, "/a"), content(tree, "/n")) == (b"a", None)
    assert send(tree, method, "/a", "/n", If_Match=etag, If=f"([{etag}])").status == 201


@BOTH
def test_a_tag_that_a_network_stack_adds_is_ignored(tree: Drive, method: str) -> None:
    etag = tree.request("HEAD", "/a").headers["etag"]
    assert send(tree, method, "/a", "/n1", If_None_Match=etag).status == 201
    tree.put("/a2")
    assert send(tree, method, "/a2", "/n2", If_None_Match="JoplinIgnore-12345").status == 201


@BOTH
def test_each_user_copies_and_moves_in_their_own_tree(tree: Drive, method: str) -> None:
    other = tree.neighbour()
    assert send(other, method, "/a", "/n").status == 404
    other.put("/own", "own")
    assert send(other, method, "/own", "/a").status == 201
    assert content(tree, "/a") == b"a"
