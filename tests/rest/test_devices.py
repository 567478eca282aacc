import pytest

from davserver.domain.errors import Unauthenticated
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from tests.support.drive import Sent, call, environ_of
from tests.support.rest import Rest

LOCK = b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>'
PATCH = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="x:">1</x></D:prop></D:set></D:propertyupdate>'


def token(ada: Rest, name: str = "laptop", **limits: object) -> str:
    return str(ada.json("POST", "/tokens", {"name": name, **limits}, status=201)["token"])


def test_a_token_is_the_password_of_one_device_until_it_is_revoked(ada: Rest) -> None:
    laptop, phone = token(ada), token(ada, "phone")
    assert ada.dav("PUT", "/a.txt", laptop, b"hello").status == 201
    assert ada.dav("GET", "/a.txt", phone).body == b"hello"
    listed = {one["name"]: one for one in ada.json("GET", "/tokens")["items"]}
    assert listed["laptop"]["used_address"] == "127.0.0.1"
    assert laptop not in str(listed)
    ada.json("DELETE", f"/tokens/{listed['laptop']['id']}", status=204)
    assert ada.dav("GET", "/a.txt", laptop).status == 401
    assert ada.dav("GET", "/a.txt", phone).status == 200
    assert ada.request("DELETE", f"/tokens/{listed['laptop']['id']}").status == 404


def test_a_token_works_as_bearer_and_not_with_another_users_name(rest: Rest, ada: Rest) -> None:
    laptop = token(ada)
    bearer = {"Authorization": f"Bearer {laptop}", "Depth": "0"}
    assert call(ada.app, environ_of("PROPFIND", "/dav/", Sent(b""), bearer), "PROPFIND").status == 207
    wrong = {"Authorization": "Bearer dav_" + "a" * 32}
    assert call(ada.app, environ_of("GET", "/dav/", Sent(b""), wrong), "GET").status == 401
    assert rest.sign_in().dav("GET", "/", laptop).status == 401


def test_a_token_does_not_open_the_account(ada: Rest) -> None:
    device = Rest(ada.app, ada.services, ada.clock, token(ada))
    for method, path in (("GET", "/me"), ("GET", "/tokens"), ("DELETE", "/sessions"), ("GET", "/sessions")):
        assert device.json(method, path, status=403)["code"] == "forbidden"


def test_a_token_ends_at_its_time_and_stays_in_its_networks(ada: Rest) -> None:
    elsewhere = token(ada, "elsewhere", networks=["10.0.0.0/8", "2001:db8::/32"])
    assert ada.dav("GET", "/", elsewhere).status == 401
    assert ada.dav("GET", "/", token(ada, "here", networks=["127.0.0.0/8"])).status == 200
    assert ada.request("POST", "/tokens", {"name": "bad", "networks": ["10.0.0.0/99"]}).status == 400
    assert ada.request("POST", "/tokens", {"name": "late", "expires_at": "2001-01-01T00:00:00Z"}).status == 400
    brief = token(ada, "brief", expires_at="2100-01-01T00:00:00Z")
    assert ada.dav("GET", "/", brief).status == 200
    ada.clock.advance(80 * 366 * 86_400)
    try:
        assert ada.dav("GET", "/", brief).status == 401
    finally:
        ada.clock.advance(-80 * 366 * 86_400)


def test_names_of_tokens_are_told_apart(ada: Rest) -> None:
    token(ada)
    assert ada.json("POST", "/tokens", {"name": "laptop"}, status=409)["code"] == "conflict"
    assert ada.request("POST", "/tokens", {"name": " x"}).status == 400


CHANGES = [
    ("PUT", "/in/new.txt", b"x", {}), ("PUT", "/in/a.txt", b"x", {}), ("DELETE", "/in/a.txt", b"", {}),
    ("MKCOL", "/in/b", b"", {}), ("PROPPATCH", "/in/a.txt", PATCH, {}), ("LOCK", "/in/a.txt", LOCK, {}),
    ("LOCK", "/in/none.txt", LOCK, {}), ("UNLOCK", "/in/a.txt", b"", {"Lock_Token": "<urn:uuid:x>"}),
    ("COPY", "/in/a.txt", b"", {"Destination": "/dav/in/c.txt"}),
    ("MOVE", "/in/a.txt", b"", {"Destination": "/dav/in/c.txt"}), ("DELETE", "/.trash", b"", {}),
]  # fmt: skip


def fill(ada: Rest) -> None:
    assert ada.drive is not None
    for folder in ("/in", "/out"):
        ada.drive.mkcol(folder)
        ada.drive.put(f"{folder}/a.txt", b"first")


def names(ada: Rest) -> list[str]:
    assert ada.drive is not None
    return sorted(ada.drive.request("PROPFIND", "/", headers={"Depth": "infinity"}).hrefs)


def test_a_read_only_token_changes_nothing_by_any_method(ada: Rest) -> None:
    fill(ada)
    before, reader = names(ada), token(ada, read_only=True)
    for method, path, body, headers in CHANGES:
        response = ada.dav(method, path, reader, body, **headers)
        if method == "PROPPATCH":
            assert (response.status, b"403 Forbidden" in response.body) == (207, True)  # it answers by property
            continue
        assert response.status == 403, (method, path, response)
        assert b"read_only_token" in response.body
    assert names(ada) == before
    assert ada.dav("GET", "/in/a.txt", reader).body == b"first"
    assert ada.dav("PROPFIND", "/", reader, Depth="1").status == 207


OUTSIDE = ["/", "/out", "/out/a.txt", "/out/none", "/none", "/.trash", "/inside", "/in%2E%2E", "/in2/a.txt"]
METHODS = [
    ("GET", b"", {}), ("HEAD", b"", {}), ("PROPFIND", b"", {"Depth": "1"}), ("PUT", b"x", {}), ("DELETE", b"", {}),
    ("MKCOL", b"", {}), ("PROPPATCH", PATCH, {}), ("LOCK", LOCK, {}), ("UNLOCK", b"", {"Lock_Token": "<urn:uuid:x>"}),
    ("COPY", b"", {"Destination": "/dav/in/got.txt"}), ("MOVE", b"", {"Destination": "/dav/in/got.txt"}),
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_outside_the_prefix_every_method_says_the_same(ada: Rest, path: str) -> None:
    fill(ada)
    before, limited = names(ada), token(ada, prefix="/in")
    for method, body, headers in METHODS:
        response = ada.dav(method, path, limited, body, **headers)
        assert response.status in {403, 405}, (method, path, response)
    for method in ("COPY", "MOVE"):
        assert ada.dav(method, "/in/a.txt", limited, Destination="/dav" + path).status == 403, (method, path)
    tagged = ada.dav("PUT", "/in/a.txt", limited, b"x", If=f"</dav{path}> (Not <urn:uuid:x>)")
    assert tagged.status == 403
    assert names(ada) == before


def test_inside_the_prefix_a_token_does_what_others_do(ada: Rest) -> None:
    fill(ada)
    limited = token(ada, prefix="/in")
    assert ada.dav("PROPFIND", "/in/", limited, Depth="1").status == 207
    assert ada.dav("PUT", "/in/b.txt", limited, b"b").status == 201
    assert ada.dav("MOVE", "/in/b.txt", limited, Destination="/dav/in/c.txt").status == 201
    assert ada.dav("COPY", "/in/c.txt", limited, Destination="/dav/in/d.txt").status == 201
    assert ada.dav("DELETE", "/in/d.txt", limited).status == 204


class Revoking(Sent):
    """A body in the middle of which something happens."""

    def __init__(self, data: bytes, ada: Rest) -> None:
        super().__init__(data)
        self.ada = ada

    def read(self, size: int | None = -1) -> bytes:
        for one in self.ada.json("GET", "/tokens")["items"]:
            self.ada.json("DELETE", f"/tokens/{one['id']}", status=204)
        return super().read(size)


@pytest.mark.parametrize("size", [10, 100_000])
def test_an_upload_during_which_its_token_is_revoked_changes_nothing(ada: Rest, size: int) -> None:
    assert ada.drive is not None
    ada.drive.put("/a.txt", b"first")
    sent = {"Authorization": f"Bearer {token(ada)}", "Content-Length": str(size)}
    answer = call(ada.app, environ_of("PUT", "/dav/a.txt", Revoking(b"x" * size, ada), sent), "PUT")
    assert answer.status == 401
    assert ada.drive.request("GET", "/a.txt").body == b"first"


def test_a_disabled_users_token_commits_nothing(ada: Rest) -> None:
    assert ada.drive is not None
    found = ada.services.devices.authenticate(token(ada), ada.drive.principal.origin)
    assert isinstance(found, Principal)
    ada.services.accounts.set_disabled(found.name, disabled=True)
    with pytest.raises(Unauthenticated):
        ada.services.tree.discard(found, ResourcePath(("a.txt",)))
