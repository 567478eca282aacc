"""LOCK and UNLOCK: rules R38 to R45, and RFC 4918 sections 6, 7, 9.10 and 9.11."""

import re
import threading

import pytest

from tests.support.drive import DAV, Drive, Response

EXCLUSIVE, SHARED = "exclusive", "shared"
OWNER = "<D:owner><D:href>DESKTOP-ABC\\user</D:href></D:owner>"


def lockinfo(scope: str = EXCLUSIVE, owner: str = OWNER) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        f"<D:locktype><D:write/></D:locktype>{owner}</D:lockinfo>"
    )


def lock(drive: Drive, path: str, body: str | bytes | None = None, **headers: str) -> Response:
    return drive.request("LOCK", path, lockinfo() if body is None else body, headers)


def unlock(drive: Drive, path: str, token: str) -> int:
    return drive.request("UNLOCK", path, headers={"Lock-Token": f"<{token}>"}).status


def active(response: Response) -> dict[str, str]:
    """The one activelock of a LOCK answer, as texts by local name; elements that hold one element by that one's name."""
    root = response.xml
    assert root.tag == f"{DAV}prop"
    [found] = root.findall(f"{DAV}lockdiscovery/{DAV}activelock")
    return {
        child.tag.removeprefix(DAV): "".join(child.itertext()) or next(iter(child)).tag.removeprefix(DAV)
        for child in found
    }


def discovered(drive: Drive, path: str) -> list[str]:
    """The tokens that lockdiscovery shows, in order."""
    ask = '<D:propfind xmlns:D="DAV:"><D:prop><D:lockdiscovery/></D:prop></D:propfind>'
    shown = drive.request("PROPFIND", path, ask, {"Depth": "0"}).props()[f"{DAV}lockdiscovery"]
    return [found.text for found in shown.iter(f"{DAV}href") if found.getparent().tag == f"{DAV}locktoken"]


def test_the_token_is_in_the_header_and_in_the_body_and_is_a_uri(drive: Drive) -> None:
    drive.put("/a")
    response = lock(drive, "/a", Timeout="Second-600")
    assert response.status == 200
    assert response.headers["content-type"] == "application/xml; charset=utf-8"
    token = re.fullmatch(r"<(urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})>", response.headers["lock-token"])
    assert token
    assert active(response) == {
        "locktype": "write",
        "lockscope": "exclusive",
        "depth": "0",
        "owner": "DESKTOP-ABC\\user",
        "timeout": "Second-600",
        "locktoken": token[1],
        "lockroot": "/dav/a",
    }
    # Finder takes the first text of locktoken/href, and wants no white space before it.
    assert f"<D:locktoken><D:href>{token[1]}</D:href></D:locktoken>" in response.text
    assert discovered(drive, "/a") == [token[1]]


def test_a_lock_on_a_collection_says_so(drive: Drive) -> None:
    drive.mkcol("/c")
    shown = active(lock(drive, "/c"))
    assert (shown["depth"], shown["lockroot"]) == ("infinity", "/dav/c/")
    drive.mkcol("/d")
    assert active(lock(drive, "/d", Depth="0"))["depth"] == "0"


def test_the_owner_comes_back_as_it_was_sent(drive: Drive) -> None:
    owner = '<D:owner xml:lang="de"><x:who xmlns:x="urn:x" x:at="1">M\u00fcller &amp; Co <b/>tail</x:who></D:owner>'
    drive.put("/a")
    shown = lock(drive, "/a", lockinfo(owner=owner)).xml.find(f"{DAV}lockdiscovery/{DAV}activelock/{DAV}owner")
    assert shown.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    [who] = shown
    assert (who.tag, who.get("{urn:x}at"), who.text) == ("{urn:x}who", "1", "M\u00fcller & Co ")
    assert (who[0].tag, who[0].tail) == ("b", "tail")


def test_an_owner_is_not_needed(drive: Drive) -> None:
    drive.put("/a")
    response = lock(drive, "/a", lockinfo(owner=""))
    assert response.status == 200
    assert "owner" not in active(response)


def test_a_lock_on_nothing_makes_an_empty_file(drive: Drive) -> None:
    response = lock(drive, "/new")
    assert response.status == 201
    token = active(response)["locktoken"]
    shown = drive.request("GET", "/new")
    assert (shown.status, shown.body) == (200, b"")
    assert drive.request("PROPFIND", "/", headers={"Depth": "1"}).hrefs.count("/dav/new") == 1
    assert unlock(drive, "/new", token) == 204
    assert drive.request("GET", "/new").status == 200


def test_the_tag_of_a_file_made_by_a_lock_is_the_same_until_it_is_put(drive: Drive) -> None:
    """What davfs2 does: LOCK, HEAD, PUT with If-Match and a tagged If, UNLOCK (rule R39)."""
    token = active(lock(drive, "/new", Depth="0", Timeout="Second-1800"))["locktoken"]
    etag = drive.request("HEAD", "/new").headers["etag"]
    headers = {"If-Match": etag, "If": f"<http://localhost:80/dav/new> (<{token}>)"}
    assert drive.request("PUT", "/new", "content", headers).status == 204
    assert unlock(drive, "/new", token) == 204
    assert drive.request("GET", "/new").body == b"content"


@pytest.mark.parametrize("path", ["/missing/a", "/file/a"])
def test_a_lock_without_a_parent_is_409_and_makes_nothing(drive: Drive, path: str) -> None:
    drive.put("/file")
    assert lock(drive, path).status == 409
    assert drive.request("GET", path).status == 404


@pytest.mark.parametrize("depth", ["0", "infinity"])
def test_a_lock_under_a_locked_parent_leaves_no_empty_file_when_it_is_refused(drive: Drive, depth: str) -> None:
    drive.mkcol("/c")
    drive.lock("/c", depth=depth)
    before = drive.request("PROPFIND", "/c", headers={"Depth": "1"}).hrefs
    assert lock(drive, "/c/new").status == 423
    assert drive.request("GET", "/c/new").status == 404
    assert drive.request("PROPFIND", "/c", headers={"Depth": "1"}).hrefs == before


def test_a_lock_under_a_flat_locked_parent_is_granted_with_its_token(drive: Drive) -> None:
    drive.mkcol("/c")
    token = drive.lock("/c", depth="0")
    assert lock(drive, "/c/new", If=f"<{drive.url('/c')}> (<{token}>)").status == 201


@pytest.mark.parametrize("depth", ["1", "2", "nonsense"])
def test_no_other_depth_than_0_and_infinity(drive: Drive, depth: str) -> None:
    drive.put("/a")
    assert lock(drive, "/a", Depth=depth).status == 400
    assert drive.request("PUT", "/a", "free").status == 204


@pytest.mark.parametrize(
    ("timeout", "granted"),
    [
        (None, "Second-3600"),
        ("Second-600", "Second-600"),
        ("Second-0", "Second-180"),
        ("Second-1", "Second-180"),
        ("Infinite", "Second-3600"),
        ("Infinite, Second-4100000000", "Second-3600"),
        ("Second-4294967296", "Second-3600"),
        ("Second-99999999999999999999", "Second-3600"),
        ("Extend, Second-300", "Second-300"),
        ("whatever", "Second-3600"),
    ],
)
def test_the_answer_tells_the_granted_timeout(drive: Drive, timeout: str | None, granted: str) -> None:
    drive.put("/a")
    response = lock(drive, "/a") if timeout is None else lock(drive, "/a", Timeout=timeout)
    assert active(response)["timeout"] == granted


def test_a_lock_ends_by_itself(drive: Drive) -> None:
    drive.put("/a")
    token = active(lock(drive, "/a", Timeout="Second-300"))["locktoken"]
    drive.clock.advance(299)
    assert drive.request("PUT", "/a", "x").status == 423
    drive.clock.advance(2)
    assert drive.request("PUT", "/a", "x").status == 204
    assert discovered(drive, "/a") == []
    assert unlock(drive, "/a", token) == 409
    assert drive.request("LOCK", "/a", headers={"If": f"(<{token}>)"}).status == 412
    assert lock(drive, "/a").status == 200


def test_a_refresh_begins_anew_and_keeps_the_lock_as_it_was(drive: Drive) -> None:
    drive.put("/a")
    first = active(lock(drive, "/a", Timeout="Second-300"))
    drive.clock.advance(200)
    response = drive.request("LOCK", "/a", headers={"If": f"(<{first['locktoken']}>)", "Timeout": "Second-600"})
    assert response.status == 200
    assert "lock-token" not in response.headers
    assert active(response) == first | {"timeout": "Second-600"}
    drive.clock.advance(500)
    assert drive.request("PUT", "/a", "x").status == 423
    drive.clock.advance(101)
    assert drive.request("PUT", "/a", "x").status == 204


@pytest.mark.parametrize("form", ["(<{token}>)", "<{url}> (<{token}>)", "<http://localhost{url}> (<{token}>)"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_refresh_takes_the_token_in_any_if(drive: Drive, form: str, chunked: bool) -> None:
    drive.put("/a")
    token = drive.lock("/a")
    header = {"If": form.format(token=token, url=drive.url("/a"))}
    assert drive.request("LOCK", "/a", headers=header, chunked=chunked).status == 200


def test_a_refresh_of_a_deep_lock_works_through_a_url_below_it(drive: Drive) -> None:
    drive.mkcol("/c")
    drive.put("/c/a")
    token = drive.lock("/c")
    response = drive.request("LOCK", "/c/a", headers={"If": f"(<{token}>)"})
    assert (response.status, active(response)["lockroot"]) == (200, "/dav/c/")


def test_a_refresh_without_a_token_is_400_and_with_another_412(drive: Drive) -> None:
    drive.put("/a")
    drive.put("/b")
    drive.lock("/a")
    other = drive.lock("/b")
    assert drive.request("LOCK", "/a").status == 400
    assert drive.request("LOCK", "/a", headers={"If": "(<urn:uuid:no>)"}).status == 412
    assert drive.request("LOCK", "/a", headers={"If": f"(<{other}>)"}).status == 412
    assert drive.request("LOCK", "/a", headers={"If": f"</dav/b> (<{other}>)"}).status == 412


def test_nobody_refreshes_or_ends_another_users_lock(drive: Drive) -> None:
    drive.put("/a")
    token = drive.lock("/a")
    other = drive.neighbour()
    other.put("/a")
    other.lock("/a")
    for form in (f"(<{token}>)", f"</dav/a> (<{token}>)"):
        assert other.request("LOCK", "/a", headers={"If": form}).status == 412
    assert unlock(other, "/a", token) == 409
    assert other.request("PUT", "/a", "x", {"If": f"(<{token}>)"}).status == 412
    assert drive.request("PUT", "/a", "x").status == 423


def test_an_exclusive_lock_goes_with_no_other(drive: Drive) -> None:
    drive.put("/a")
    drive.lock("/a")
    for scope in (EXCLUSIVE, SHARED):
        response = lock(drive, "/a", lockinfo(scope))
        assert response.status == 423
        assert response.xml.tag == f"{DAV}error"
        assert response.xml.findtext(f"{DAV}no-conflicting-lock/{DAV}href") == "/dav/a"


def test_an_exclusive_lock_is_not_granted_over_a_shared_one(drive: Drive) -> None:
    drive.put("/a")
    drive.lock("/a", scope=SHARED)
    assert lock(drive, "/a").status == 423
    assert lock(drive, "/a", lockinfo(SHARED)).status == 200


def test_each_of_several_shared_locks_lists_itself_alone_and_can_be_ended(drive: Drive) -> None:
    """The TCK takes the first token of the body for its own: listing all, oldest first, made it end another's lock."""
    drive.put("/a")
    tokens = [active(lock(drive, "/a", lockinfo(SHARED)))["locktoken"] for _ in range(3)]
    assert len(set(tokens)) == 3
    assert discovered(drive, "/a") == tokens[::-1]
    for left in (2, 1, 0):
        assert unlock(drive, "/a", tokens.pop()) == 204
        assert len(discovered(drive, "/a")) == left
    assert drive.request("PUT", "/a", "free").status == 204


def test_the_holder_of_one_of_two_shared_locks_can_write(drive: Drive) -> None:
    drive.put("/a")
    first, second = drive.lock("/a", scope=SHARED), drive.lock("/a", scope=SHARED)
    assert drive.request("PUT", "/a", "x").status == 423
    assert drive.request("PUT", "/a", "x", {"If": f"(<{first}>)"}).status == 204
    assert drive.request("PUT", "/a", "x", {"If": f"(<{second}>)"}).status == 204
    assert drive.request("PUT", "/a", "x", {"If": f"(<{first}>) (<{second}>)"}).status == 204


def test_a_deep_lock_covers_what_is_below_and_what_comes_to_be(drive: Drive) -> None:
    drive.mkcol("/c")
    drive.mkcol("/c/d")
    drive.put("/c/d/a")
    token = drive.lock("/c")
    for method, path in (
        ("PUT", "/c/d/a"),
        ("PUT", "/c/new"),
        ("MKCOL", "/c/new"),
        ("DELETE", "/c/d/a"),
        ("PUT", "/c/d/b"),
    ):
        assert drive.request(method, path).status == 423, (method, path)
    header = {"If": f"(<{token}>)"}
    assert drive.request("PUT", "/c/new", "x", header).status == 201
    assert drive.request("PUT", "/c/new", "x").status == 423
    assert discovered(drive, "/c/d/a") == [token]
    for scope in (EXCLUSIVE, SHARED):
        assert lock(drive, "/c/d/a", lockinfo(scope)).status == 423


def test_a_flat_lock_covers_the_collection_and_its_membership_alone(drive: Drive) -> None:
    drive.mkcol("/c")
    drive.put("/c/a")
    drive.lock("/c", depth="0")
    assert drive.request("PUT", "/c/a", "x").status == 204
    assert drive.request("PUT", "/c/new", "x").status == 423
    assert drive.request("DELETE", "/c/a").status == 423
    assert lock(drive, "/c/a").status == 200


def test_a_deep_lock_is_not_granted_over_a_lock_below(drive: Drive) -> None:
    drive.mkcol("/c")
    drive.put("/c/a")
    token = drive.lock("/c/a")
    response = lock(drive, "/c")
    assert response.status == 423
    assert response.xml.findtext(f"{DAV}no-conflicting-lock/{DAV}href") == "/dav/c/a"
    assert lock(drive, "/c", Depth="0").status == 200
    assert unlock(drive, "/c/a", token) == 204


def test_a_lock_covers_both_spellings_of_a_name(drive: Drive) -> None:
    drive.put("/caf%C3%A9")
    token = drive.lock("/cafe%CC%81")
    assert drive.request("PUT", "/caf%C3%A9", "x").status == 423
    assert lock(drive, "/caf%C3%A9").status == 423
    assert drive.request("PUT", "/caf%C3%A9", "x", {"If": f"</dav/cafe%CC%81> (<{token}>)"}).status == 204
    assert unlock(drive, "/caf%C3%A9", token) == 204


@pytest.mark.parametrize("form", ["<{token}>", "{token}", " <{token}> ", "< {token} >"])
def test_unlock_takes_the_token_with_or_without_brackets(drive: Drive, form: str) -> None:
    drive.put("/a")
    token = drive.lock("/a")
    response = drive.request("UNLOCK", "/a", headers={"Lock-Token": form.format(token=token)})
    assert (response.status, response.body) == (204, b"")
    assert drive.request("PUT", "/a", "free").status == 204


def test_unlock_of_a_deep_lock_works_through_a_url_below_it(drive: Drive) -> None:
    drive.mkcol("/c")
    drive.put("/c/a")
    assert unlock(drive, "/c/a", drive.lock("/c")) == 204
    assert drive.request("PUT", "/c/a", "free").status == 204


def test_unlock_with_a_wrong_token_is_409_and_without_one_400(drive: Drive) -> None:
    for path in ("/a", "/b", "/free"):
        drive.put(path)
    token = drive.lock("/a")
    drive.lock("/b")
    response = drive.request("UNLOCK", "/b", headers={"Lock-Token": f"<{token}>"})
    assert response.status == 409
    assert response.xml.find(f"{DAV}lock-token-matches-request-uri") is not None
    assert unlock(drive, "/a", "urn:uuid:no") == 409
    assert unlock(drive, "/free", token) == 409
    for headers in ({}, {"Lock-Token": ""}, {"Lock-Token": "<>"}):
        assert drive.request("UNLOCK", "/a", headers=headers).status == 400
    assert drive.request("PUT", "/a", "x").status == 423


def test_unlock_leaves_the_time_of_the_file_alone(drive: Drive) -> None:
    drive.request("PUT", "/a", "x", {"X-OC-Mtime": "1000000000"})
    token = drive.lock("/a")
    assert unlock(drive, "/a", token) == 204
    assert drive.request("HEAD", "/a").headers["last-modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"


@pytest.mark.parametrize(
    "body",
    [
        "<not xml",
        "<D:lockinfo>",
        '<D:propfind xmlns:D="DAV:"/>',
        '<D:lockinfo xmlns:D="DAV:"/>',
        "<lockinfo><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>",
        lockinfo().replace("<D:exclusive/>", ""),
        lockinfo().replace("<D:exclusive/>", "<D:exclusive/><D:shared/>"),
        lockinfo().replace("<D:exclusive/>", "<D:sideways/>"),
        lockinfo().replace("<D:write/>", "<D:read/>"),
        '<!DOCTYPE x [<!ENTITY e "x">]>' + lockinfo().partition("?>")[2],
    ],
)
def test_a_body_that_is_no_lockinfo_is_400_and_locks_nothing(drive: Drive, body: str) -> None:
    drive.put("/a")
    assert lock(drive, "/a", body).status == 400
    assert lock(drive, "/new", body).status == 400
    assert drive.request("PUT", "/a", "free").status == 204
    assert drive.request("GET", "/new").status == 404


def test_windows_gets_a_lock_even_for_a_lockinfo_that_cannot_be_read(drive: Drive) -> None:
    drive.put("/a")
    body = lockinfo().replace("\\user</D:href>", "\\us&er</D:href>")
    assert lock(drive, "/a", body).status == 400
    windows = {"User-Agent": "Microsoft-WebDAV-MiniRedir/10.0.22000"}
    response = drive.request("LOCK", "/a", body, windows)
    assert (response.status, active(response)["lockscope"]) == (200, "exclusive")
    assert drive.request("PUT", "/a", "x").status == 423


def test_bodies_in_other_encodings_and_with_comments_are_read(drive: Drive) -> None:
    drive.put("/a")
    drive.put("/b")
    assert lock(drive, "/a", lockinfo().replace("utf-8", "utf-16").encode("utf-16")).status == 200
    assert lock(drive, "/b", lockinfo().replace("<D:locktype>", "<!-- why --><D:locktype><!-- not -->")).status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_lockinfo_has_a_limit(drive: Drive, chunked: bool) -> None:
    drive.put("/a")
    body = lockinfo(owner="<D:owner>" + "x" * 70_000 + "</D:owner>")
    assert drive.request("LOCK", "/a", body, chunked=chunked).status == 413
    assert drive.request("PUT", "/a", "free").status == 204


def test_a_lockinfo_that_is_cut_off_locks_nothing(drive: Drive) -> None:
    drive.put("/a")
    assert drive.request("LOCK", "/a", lockinfo()[:50], cut_off=True, length=len(lockinfo())).status == 400
    assert drive.request("LOCK", "/a", "", cut_off=True, chunked=True).status == 400
    assert drive.request("PUT", "/a", "free").status == 204


def test_conditions_of_a_lock_are_evaluated(drive: Drive) -> None:
    drive.put("/a")
    etag = drive.request("HEAD", "/a").headers["etag"]
    for headers in ({"If": "(<urn:x>)"}, {"If": '(["old"])'}, {"If-Match": '"old"'}):
        assert drive.request("LOCK", "/a", lockinfo(), headers).status == 412
        assert drive.request("LOCK", "/new", lockinfo(), headers).status == 412
    assert drive.request("GET", "/new").status == 404
    assert drive.request("LOCK", "/a", lockinfo(), {"If-Match": etag, "If-None-Match": etag}).status == 200


@pytest.mark.parametrize("path", ["/", ""])
def test_the_root_of_a_drive_can_be_locked(drive: Drive, path: str) -> None:
    drive.put("/a")
    response = lock(drive, path)
    assert (response.status, active(response)["lockroot"]) == (200, "/dav/")
    assert drive.request("PUT", "/a", "x").status == 423
    assert unlock(drive, "/", active(response)["locktoken"]) == 204


def test_of_many_concurrent_locks_exactly_one_is_granted(drive: Drive) -> None:
    drive.put("/a")
    statuses: list[int] = []

    def try_it() -> None:
        statuses.append(lock(drive, "/a").status)

    threads = [threading.Thread(target=try_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[423] * 15]


def test_of_many_concurrent_locks_on_nothing_exactly_one_is_granted(drive: Drive) -> None:
    statuses: list[int] = []

    def try_it() -> None:
        statuses.append(lock(drive, "/new").status)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, *[423] * 7]


def test_windows_way_of_storing_a_file_works(drive: Drive) -> None:
    """Clients 3.1, upload: PROPFIND, PUT of nothing, LOCK, PROPPATCH, HEAD, PUT, PROPPATCH, UNLOCK."""
    drive.headers = {"User-Agent": "Microsoft-WebDAV-MiniRedir/10.0.19045", "Translate": "f"}
    assert drive.request("PROPFIND", "/x.txt", headers={"Depth": "0"}).status == 404
    assert drive.request("PUT", "/x.txt", length=0).status == 201
    token = active(lock(drive, "/x.txt", Timeout="Second-3600"))["locktoken"]
    held = {"If": f"(<{token}>)"}
    update = (
        '<D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop>'
        "<Z:Win32LastModifiedTime>Sun, 09 Sep 2001 01:46:40 GMT</Z:Win32LastModifiedTime>"
        "<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"
    )
    assert drive.request("PROPPATCH", "/x.txt", update, held).status == 207
    assert drive.request("HEAD", "/x.txt").status == 200
    assert drive.request("PUT", "/x.txt", "content", held).status == 204
    assert drive.request("PROPPATCH", "/x.txt", update, held).status == 207
    assert unlock(drive, "/x.txt", token) == 204
    shown = drive.request("GET", "/x.txt")
    assert (shown.body, shown.headers["last-modified"]) == (b"content", "Sun, 09 Sep 2001 01:46:40 GMT")
