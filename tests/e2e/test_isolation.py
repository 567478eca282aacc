"""Nobody sees, learns of or changes what is another's: every route and every method, by everybody who should not.

Ada has one of everything. Others ask for it by its name, by its id, by her lock tokens, from outside the folder that a token is
limited to, by what was revoked. Each request is made twice: for what she has and for what does not exist. The two answers are the
same, hold nothing of hers, and afterwards every row of hers in the database is what it was.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from tests.support.davserver import Deployment, User
from tests.support.drive import basic
from tests.support.isolation import HID, IN, LOCK, NOT, OUT, PATCH, Ada, all_of, bearer, furnish, plain, shows, sign_in
from tests.support.routes import Request, Route, requests_of, routes_of
from tests.support.wire import Answer, Wire

pytestmark = pytest.mark.timeout(240)
SEARCH = b'<D:searchrequest xmlns:D="DAV:"><D:basicsearch/></D:searchrequest>'
SYNC = b'<D:sync-collection xmlns:D="DAV:"><D:sync-token/><D:prop><D:getetag/></D:prop></D:sync-collection>'
FIND = b'<D:propfind xmlns:D="DAV:"><D:prop><D:getetag/><D:lockdiscovery/><x xmlns="x:"/></D:prop></D:propfind>'
Headers = dict[str, str]
After = Callable[[Request, Answer], None]


@dataclass
class World:
    """Ada, somebody else, and the server."""

    deployment: Deployment
    wire: Wire
    ada: Ada
    mallory: User
    routes: list[Route]
    cursors: dict[str, str | None]
    """By operation: where ada's own listing goes on."""

    @property
    def mallory_by_password(self) -> Headers:
        return {"Authorization": basic(*self.mallory.auth)}

    def pair(self, one: Request, other: Request, credentials: Headers, after: After = lambda *_: None) -> Answer:
        """Ask for what there is and for what there is not: one learns nothing from either.

        `after` each it undoes what would be in the way of the next.
        """
        answers = []
        for request in (one, other) if one != other else (one,):
            sent = {**request.headers, **credentials, "X-Request-ID": "walk"}
            answer = self.wire.ask(request.method, request.target, sent, request.body)
            assert answer.status not in {500, 503}, (request, answer)
            assert not shows(answer, HID), f"of ada's, in the answer to {request}: {answer}"
            after(request, answer)
            answers.append(answer)
        seen = [plain(answer, asked.target) for answer, asked in zip(answers, (one, other), strict=False)]
        assert seen[0] == seen[-1], f"{one} is told from {other}:\n{seen[0]}\n{seen[-1]}"
        return answers[0]

    def alike(self, method: str, target: str, credentials: Headers, other: str | None = None) -> Answer:
        """The same for one path; without `other`, that is the like of it that does not exist."""
        there, absent = target, target.replace(OUT, NOT) if other is None else other
        return self.pair(Request(method, there, {}, b""), Request(method, absent, {}, b""), credentials)


@pytest.fixture(scope="module")
def world(whole_deployment: Deployment) -> Iterator[World]:
    wire = Wire(whole_deployment.servers[0].url)
    ada = furnish(whole_deployment, wire)
    routes = routes_of(wire.ask("GET", "/api/openapi.json").json)
    cursors = {}
    for route in routes:
        if any(one["name"] == "cursor" for one in route.operation.get("parameters", ())):
            answer = wire.ask("GET", f"{route.path}?limit=1", ada.by_session)
            cursors[route.name] = answer.json.get("next") if answer.status == 200 else None
    yield World(whole_deployment, wire, ada, whole_deployment.add_user(f"mallory-{OUT[3:]}"), routes, cursors)
    wire.close()


@contextmanager
def untouched(world: World, who: str) -> Iterator[None]:
    """See that nothing of ada's changes, and say how much was asked."""
    before, sent = all_of(world.deployment, world.ada.id), world.wire.sent
    assert sum(map(len, before.values())) > 50, "ada has a full drive"
    yield
    after = all_of(world.deployment, world.ada.id)
    changed = {table: (before[table], after[table]) for table in before if before[table] != after[table]}
    assert not changed
    print(f"{world.deployment.kind}: {world.wire.sent - sent} requests walked as {who}")


# The doors


def walk_rest(world: World, credentials: Callable[[], Headers], check: Callable[[Route, Answer], None]) -> None:
    """Every route, those that end a session last of all."""
    for route in sorted(world.routes, key=lambda one: (one.method == "DELETE", "sessions" in one.path)):
        more = ["HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND"] if route.method == "GET" else []
        for one, other in requests_of(route, world.ada, world.cursors.get(route.name)):
            check(route, world.pair(one, other, credentials()))
            for method in more:
                world.alike(method, one.target, credentials(), other.target)
            more = more[:1]


def dav_requests(world: World, place: str, own: str) -> Iterator[Request]:
    """Every method for one place, an encoded path; `own` is a file of whoever asks."""
    to_own, lock = {"Destination": f"/dav/{own}-copy"}, f"<{world.ada.lock}>"
    for method, headers, body in (
        ("OPTIONS", {}, b""), ("GET", {}, b""), ("HEAD", {}, b""), ("GET", {"Range": "bytes=0-3"}, b""),
        ("GET", {"If-None-Match": world.ada.etag}, b""), ("PROPFIND", {"Depth": "0"}, b""),
        ("PROPFIND", {"Depth": "1"}, FIND), ("PROPFIND", {"Depth": "infinity"}, FIND), ("POST", {}, b"x"),
        ("PATCH", {"Content-Range": "bytes 0-0/1"}, b"x"), ("REPORT", {}, SYNC), ("SEARCH", {}, SEARCH), ("TRACE", {}, b""),
        ("BREW", {}, b""), ("PROPPATCH", {}, PATCH % b"walked"), ("COPY", to_own, b""), ("MOVE", to_own, b""),
        ("LOCK", {"If": f"({lock})"}, b""), ("UNLOCK", {"Lock-Token": lock}, b""),
        ("DELETE", {"If": f"({lock})"}, b""), ("DELETE", {}, b""), ("MKCOL", {}, b""), ("PUT", {}, b"x"),
        ("PUT", {"If-Match": world.ada.etag}, b"x"), ("PUT", {"If-None-Match": "*"}, b"x"), ("DELETE", {}, b""),
        ("LOCK", {}, LOCK % b"walked"),
    ):  # fmt: skip
        yield Request(method, place, headers, body)
    for target in (
        place,
        f"http://{world.wire.host}{place}",
        f"https://elsewhere.example{place}",
        f"/dav/./{place[5:]}",
    ):
        for method, overwrite in (("COPY", "T"), ("MOVE", "F")):
            yield Request(method, f"/dav/{own}", {"Destination": target, "Overwrite": overwrite}, b"")
    for tagged in (f"<{place}> ({lock})", f"<{place}> ([{world.ada.etag}])", f"<{place}> (Not [{world.ada.etag}])"):
        yield Request("PUT", f"/dav/{own}", {"If": tagged}, b"x")


def walk_dav(world: World, place: str, own: str, credentials: Headers, after: After) -> None:
    """Every method for a place and for the like of it that does not exist, and by ada's lock token and one that is none."""
    absent = place.replace(OUT, NOT)
    for one, other in zip(dav_requests(world, place, own), dav_requests(world, absent, own), strict=True):
        world.pair(one, other, credentials, after)
    nothing = f"urn:uuid:{secrets.token_hex(4)}-0000-4000-8000-{secrets.token_hex(6)}"
    for headers in ({"If": "({})"}, {"Lock-Token": "<{}>", "If": "(<{}>)"}, {"If": "(Not <{}>)"}):
        for method, body in (("PUT", b"x"), ("UNLOCK", b""), ("LOCK", b""), ("DELETE", b"")):
            one, other = (
                Request(method, f"/dav/{own}", {n: v.format(token) for n, v in headers.items()}, body)
                for token in (world.ada.lock, nothing)
            )
            world.pair(one, other, credentials, after)


def places(ada: Ada) -> list[str]:
    """Where ada's things are, and ways that could lead there."""
    name, file = quote(ada.user.name), f"{OUT}-d/{OUT}-file.txt"
    return [
        f"/dav/{OUT}-root.txt", f"/dav/{file}", f"/dav/{OUT}-d/", f"/dav/{OUT}-d/deep/{OUT}-locked.txt",
        f"/dav/.trash/{OUT}-gone.txt", f"/dav/.trash/{OUT}-gone-d/{OUT}-child.txt",
        f"/dav/{name}/{file}", f"/{name}/{file}", f"/dav/~{name}/{file}", f"/dav/{ada.id}/{file}",
    ]  # fmt: skip


def sideways(base: str, target: str) -> list[str]:
    """Paths that climb out of `base`, an encoded path with a slash at its end, in every spelling."""
    ups = (
        "..",
        "%2e%2e",
        ".%2E",
        "..%2f..",
        "%2e%2e%2f%2e%2e",
        "%252e%252e",
        "..%5c..",
        "..;",
        "%c0%ae%c0%ae",
        "..%00",
        "../..",
    )
    return [f"{base}{up}/{target}" for up in ups] + [f"/{base}/..//{target}", f"{base}./../{target}"]


# The walks


def test_another_user_learns_nothing_and_changes_nothing_by_any_route(world: World) -> None:
    token: list[Headers] = []

    def by_session() -> Headers:
        if not token or world.wire.ask("GET", "/api/v1/me", token[-1]).status != 200:
            token.append(bearer(sign_in(world.wire, world.mallory, "walk")["access_token"]))
        return token[-1]

    own: list[str] = []

    def check(route: Route, answer: Answer) -> None:
        if answer.status == 200 and route.method == "GET":
            own.append(route.name)

    with untouched(world, "another user, over REST"):
        walk_rest(world, by_session, check)
        device = world.wire.ask(
            "POST", "/api/v1/tokens", {**by_session(), "Content-Type": "application/json"}, b'{"name": "w"}'
        )
        walk_rest(world, lambda: bearer(device.json["token"]), check)
    assert {"get_me", "list_folder", "list_links", "list_sessions", "list_tokens"} <= set(own), (
        "they do see what is their own"
    )


def test_another_user_learns_nothing_and_changes_nothing_by_any_method(world: World) -> None:
    me = world.mallory_by_password

    def restored(request: Request, answer: Answer) -> None:
        if token := answer.field("lock-token"):
            assert world.wire.ask("UNLOCK", request.target, {**me, "Lock-Token": token}).status == 204
        if request.method in {"MOVE", "DELETE"}:
            assert world.wire.ask("PUT", "/dav/own.txt", me, b"own").status in {201, 204}

    assert world.wire.ask("PUT", "/dav/own.txt", me, b"own").status == 201
    with untouched(world, "another user, over WebDAV"):
        for place in places(world.ada)[::2]:
            walk_dav(world, place, "own.txt", me, restored)
        for place in [*places(world.ada)[1::2], *sideways("/dav/", f"{quote(world.ada.user.name)}/{OUT}-root.txt")]:
            for method in ("GET", "PROPFIND", "PUT", "DELETE", "MKCOL"):
                world.alike(method, place, me)


def test_a_token_that_is_limited_to_a_folder_learns_nothing_of_the_rest(world: World) -> None:
    secret, inside = world.ada.tokens["limited"], f"{IN}-open/{IN}-file.txt"
    by_basic = {"Authorization": basic(world.ada.user.name, secret)}

    def check(request: Request, answer: Answer) -> None:
        is_safe = request.method in {"OPTIONS", "HEAD", "LOCK"} or request.target == f"/dav/{inside}"
        assert answer.status in {400, 403, 404, 405, 409, 412} or is_safe, (request, answer)

    with untouched(world, "a token that is limited to a folder"):
        seen = world.wire.ask("PROPFIND", f"/dav/{IN}-open/", {**by_basic, "Depth": "infinity"})
        assert (seen.status, shows(seen, f"{IN}-file.txt"), shows(seen, HID) or shows(seen, OUT)) == (207, True, False)
        for place in [*places(world.ada)[:6], f"/dav/{IN}-open{OUT}/{OUT}"]:
            for one, other in zip(
                dav_requests(world, place, inside), dav_requests(world, place.replace(OUT, NOT), inside), strict=True
            ):
                check(one, world.pair(one, other, by_basic))
        for place in sideways(f"/dav/{IN}-open/", f"{OUT}-d/{OUT}-file.txt"):
            for method in ("GET", "PROPFIND", "PUT", "DELETE", "MKCOL", "LOCK"):
                check(Request(method, place, {}, b""), world.alike(method, place, by_basic))

        def refused(route: Route, answer: Answer) -> None:
            assert route.is_public or answer.status in {400, 403, 422}, (route, answer)

        walk_rest(world, lambda: bearer(secret), refused)


def test_a_token_that_only_reads_changes_nothing(world: World) -> None:
    secret = world.ada.tokens["reader"]
    by_basic = {"Authorization": basic(world.ada.user.name, secret)}
    reads = {"OPTIONS", "GET", "HEAD", "PROPFIND", "PROPPATCH"}
    with untouched(world, "a token that only reads"):
        for place in places(world.ada)[:6]:
            for request in dav_requests(world, place, f"{OUT}-root.txt"):
                answer = world.wire.ask(request.method, request.target, {**request.headers, **by_basic}, request.body)
                assert answer.status >= 400 or request.method in reads, (request, answer)
        for route in world.routes:
            for request, _ in requests_of(route, world.ada, None):
                answer = world.wire.ask(
                    route.method, request.target, {**request.headers, **bearer(secret)}, request.body
                )
                assert answer.status >= 400 or route.method == "GET", (request, answer)


@pytest.mark.parametrize("who", ["nobody", "expired", "revoked", "elsewhere", "ended", "made up"])
def test_who_may_not_come_in_learns_nothing(world: World, who: str) -> None:
    secret = world.ada.tokens.get(who, f"dav_{'a' * 32}")
    credentials = {} if who == "nobody" else bearer(secret)

    def refused(request: Request, answer: Answer) -> None:
        is_open = who == "nobody" and request.method == "OPTIONS"
        assert answer.status == (200 if is_open else 401) or request.method == "OPTIONS", (request, answer)

    with untouched(world, f"one whose credentials are {who}"):
        for place in places(world.ada)[:6] if who in {"nobody", "expired"} else places(world.ada)[1:5:3]:
            for one, other in zip(
                dav_requests(world, place, "x"), dav_requests(world, place.replace(OUT, NOT), "x"), strict=True
            ):
                refused(one, world.pair(one, other, credentials))
        if who != "nobody":
            by_basic = {"Authorization": basic(world.ada.user.name, secret)}
            assert world.alike("GET", f"/dav/{OUT}-root.txt", by_basic).status == 401

        def unknown(route: Route, answer: Answer) -> None:
            assert route.is_public or answer.status == 401, (route, answer)

        walk_rest(world, lambda: credentials, unknown)


def test_a_visitor_of_a_link_sees_what_it_leads_to_and_nothing_beside_it(world: World) -> None:
    file, folder = world.ada.links["file"], world.ada.links["folder"]
    with untouched(world, "a visitor of links"):
        targets = [*sideways(f"{folder}/files/", f"{OUT}-d/{OUT}-file.txt"), f"{folder}/files/{OUT}-root.txt"]
        targets += [f"{folder}/{OUT}-root.txt", f"{folder}/files/.trash/{OUT}-gone.txt", f"{file}/files/{OUT}-root.txt"]
        for target in targets:
            for method in ("GET", "HEAD", "POST", "PROPFIND", "PUT", "DELETE"):
                answer = world.alike(method, target, {})
                assert answer.status >= 400, (target, answer)
        for credentials in ({}, {"Authorization": basic("", "not the password")}, world.mallory_by_password):
            answer = world.wire.ask("GET", file, credentials)
            assert (answer.status, shows(answer, HID) or shows(answer, OUT)) == (401, False)
        made_up = ["/s/" + "A" * (len(file) - 3), file[:-1], file[:-1] + ("A" if file[-1] != "A" else "B"), "/s/"]
        answers = {plain(world.wire.ask("GET", one))[::2] for one in made_up}
        assert {status for status, _ in answers} == {404}


def test_afterwards_the_drive_is_whole(world: World) -> None:
    told = world.deployment.run("verify", "--deep", check=False)
    assert told.returncode == 0, told.stdout
    assert "Traceback" not in world.deployment.servers[0].log
