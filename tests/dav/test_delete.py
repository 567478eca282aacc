"""DELETE: rule R36."""

import pytest

from tests.support.drive import Drive


def paths_of(drive: Drive, top: str = "/") -> set[str]:
    return {href for href in drive.request("PROPFIND", top, headers={"Depth": "1"}).hrefs if ".trash" not in href}


@pytest.fixture
def tree(drive: Drive) -> Drive:
    """A collection /c with a file, and a collection with a file in it."""
    drive.mkcol("/c")
    drive.mkcol("/c/d")
    drive.put("/c/a", "a")
    drive.put("/c/d/b", "b")
    return drive


@pytest.mark.parametrize("path", ["/c/a", "/c/a/"])
def test_a_file_is_deleted_with_204(tree: Drive, path: str) -> None:
    response = tree.request("DELETE", path)
    assert (response.status, response.body) == (204, b"")
    assert tree.request("GET", "/c/a").status == 404
    assert paths_of(tree, "/c") == {"/dav/c/", "/dav/c/d/"}


@pytest.mark.parametrize("path", ["/c", "/c/"])
@pytest.mark.parametrize("depth", [None, "0", "1", "infinity", "whatever"])
def test_a_collection_is_deleted_with_all_below_it_whatever_depth_says(
    tree: Drive, path: str, depth: str | None
) -> None:
    assert tree.request("DELETE", path, headers={} if depth is None else {"Depth": depth}).status == 204
    for gone in ("/c", "/c/a", "/c/d", "/c/d/b"):
        assert tree.request("GET", gone).status == 404
    assert paths_of(tree) == {"/dav/"}


@pytest.mark.parametrize("path", ["/missing", "/c/missing", "/c/a/below"])
def test_what_is_not_there_is_404(tree: Drive, path: str) -> None:
    assert tree.request("DELETE", path).status == 404


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_of_a_drive_stays(tree: Drive, path: str) -> None:
    assert tree.request("DELETE", path).status == 403
    assert tree.request("GET", "/c/a").body == b"a"


def test_a_fragment_names_nothing_to_delete(tree: Drive) -> None:
    assert tree.request("DELETE", "/c/#a").status in {400, 404}
    assert tree.request("GET", "/c/a").status == 200


def test_a_lock_on_it_wants_its_token(tree: Drive) -> None:
    token = tree.lock("/c/a")
    assert tree.request("DELETE", "/c/a").status == 423
    assert tree.request("DELETE", "/c/a", headers={"If": f"(<{token}>)"}).status == 204


def test_a_lock_below_keeps_the_whole_collection(tree: Drive) -> None:
    token = tree.lock("/c/d/b")
    response = tree.request("DELETE", "/c")
    assert response.status == 423
    assert response.xml.findtext("{DAV:}lock-token-submitted/{DAV:}href") == "/dav/c/d/b"
    assert paths_of(tree, "/c") == {"/dav/c/", "/dav/c/a", "/dav/c/d/"}
    tagged = {"If": f"<http://localhost{tree.url('/c/d/b')}> (<{token}>)"}
    assert tree.request("DELETE", "/c", headers=tagged).status == 204
    assert paths_of(tree) == {"/dav/"}


def test_an_untagged_if_is_about_the_collection_and_not_about_each_member(tree: Drive) -> None:
    token = tree.lock("/c")
    assert tree.request("DELETE", "/c", headers={"If": f"(<{token}>)"}).status == 204
    assert paths_of(tree) == {"/dav/"}


@pytest.mark.parametrize("depth", ["0", "infinity"])
def test_a_lock_on_the_parent_wants_its_token(tree: Drive, depth: str) -> None:
    token = tree.lock("/c", depth=depth)
    assert tree.request("DELETE", "/c/a").status == 423
    tagged = {"If": f"<{tree.url('/c/')}> (<{token}>)"}
    assert tree.request("DELETE", "/c/a", headers=tagged).status == 204


def test_a_deep_lock_above_wants_its_token_and_a_flat_one_does_not(tree: Drive) -> None:
    token = tree.lock("/c", depth="0")
    assert tree.request("DELETE", "/c/d/b").status == 204
    tree.request("UNLOCK", "/c", headers={"Lock-Token": f"<{token}>"})
    tree.put("/c/d/b")
    token = tree.lock("/c", depth="infinity")
    assert tree.request("DELETE", "/c/d/b").status == 423
    assert tree.request("DELETE", "/c/d/b", headers={"If": f"(<{token}>)"}).status == 204


def test_a_lock_ends_with_what_it_was_on(tree: Drive) -> None:
    token = tree.lock("/c/a")
    tree.request("DELETE", "/c/a", headers={"If": f"(<{token}>)"})
    assert tree.request("PUT", "/c/a", "anew").status == 201
    assert tree.request("PUT", "/c/a", "again").status == 204


def test_a_condition_that_fails_deletes_nothing(tree: Drive) -> None:
    etag = tree.request("HEAD", "/c/a").headers["etag"]
    for headers in ({"If-Match": '"old"'}, {"If": '(["old"])'}, {"If-None-Match": "*"}):
        assert tree.request("DELETE", "/c/a", headers=headers).status == 412
    assert tree.request("GET", "/c/a").status == 200
    assert tree.request("DELETE", "/c/a", headers={"If-Match": etag}).status == 204


def test_a_tag_that_a_network_stack_adds_is_ignored(tree: Drive) -> None:
    etag = tree.request("HEAD", "/c/a").headers["etag"]
    assert tree.request("DELETE", "/c/a", headers={"If-None-Match": etag}).status == 204
    assert tree.request("DELETE", "/c/d/b", headers={"If-None-Match": "JoplinIgnore-12345"}).status == 204


def test_nobody_deletes_another_users_file(tree: Drive) -> None:
    assert tree.neighbour().request("DELETE", "/c/a").status == 404
    assert tree.request("GET", "/c/a").status == 200
