"""Random sequences of all methods by two users and two clients each, compared with a plain model after every step.

The real drive is the whole WebDAV application in this process. A failing script is printed by hypothesis; with CI=true the
same scripts are tried every time.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from davserver.services.verify import Verify
from tests.model.reference import Held, Model, Node, Path
from tests.support.drive import MovableClock, Response, app_of, new_drive, open_services

Record = Callable[[str, object], None]
FULL = os.environ.get("DAVSERVER_PROVE") == "1"
NAMES = st.sampled_from(["a", "\u00e9"])
"""So few that the steps of a script meet one another."""
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
BODIES = st.sampled_from([b"", b"one", b"another body", b"x" * 20_000])
USERS = st.sampled_from([0, 0, 0, 1])
"""One works more, so that much happens in one drive."""
COLOUR = "{urn:test}colour"
QUERY = (
    '<?xml version="1.0"?><D:propfind xmlns:D="DAV:" xmlns:T="urn:test"><D:prop><D:getetag/><D:resourcetype/>'
    "<D:getcontentlength/><T:colour/></D:prop></D:propfind>"
)
LOCK = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
    "</D:lockinfo>"
)


def encoded(path: Path) -> str:
    return "".join("/" + quote(name) for name in path)


class DriveMachine(RuleBasedStateMachine):
    """Two users' drives on one server, and what they should be."""

    answers: ClassVar[Counter[int]] = Counter()
    """How many requests that may change something had each status."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = MovableClock()
        self._folder = tempfile.TemporaryDirectory()
        self.services = open_services(FilePath(self._folder.name), self.clock, replaced_count=1_000)
        app = app_of(self.services, self.clock)
        self.drives = [new_drive(self.services, app, self.clock) for _ in range(2)]
        self.models = [Model() for _ in range(2)]
        self.changed: set[int] = {0, 1}

    @initialize(user=USERS)
    def make_a_few_collections(self, user: int) -> None:
        for path in (("a",), ("a", "a")):
            self.mkcol(user, path)

    def teardown(self) -> None:
        self.services.close()
        self._folder.cleanup()

    def send(self, user: int, method: str, path: str, body: bytes | str = b"", **fields: str) -> Response:
        self.changed.add(user)
        answer = self.drives[user].request(method, path, body, {k.replace("_", "-"): v for k, v in fields.items()})
        if method not in {"GET", "HEAD", "PROPFIND"}:
            self.answers[answer.status] += 1
        return answer

    def tokens(self, user: int, *, shown: bool) -> tuple[set[str], dict[str, str]]:
        """The tokens that this client shows, and the header that shows them."""
        locks = self.models[user].locks if shown else []
        if not locks:
            return set(), {}
        lists = " ".join(f"<{self.drives[user].url(encoded(lock.path))}> (<{lock.token}>)" for lock in locks)
        return {lock.token for lock in locks}, {"If": lists}

    @rule(user=USERS, path=PATHS, body=BODIES, shown=st.booleans())
    def put(self, user: int, path: Path, body: bytes, shown: bool) -> None:
        tokens, header = self.tokens(user, shown=shown)
        before = self.models[user].live.get(path, Node()).etag
        answer = self.send(user, "PUT", encoded(path), body, **header)
        assert answer.status == self.models[user].put(path, body, tokens), answer
        if answer.status < 300:
            etag = answer.headers["etag"]
            assert etag != before
            self.models[user].live[path].etag = etag
        self.learn(user)

    @rule(user=USERS, path=PATHS, right=st.booleans())
    def put_if_match(self, user: int, path: Path, right: bool) -> None:
        model = self.models[user]
        node = model.live.get(path)
        if node is None or node.is_collection or model.is_blocked(path, set()):
            return
        etag = node.etag if right else '"another"'
        answer = self.send(user, "PUT", encoded(path), b"conditional", If_Match=etag)
        assert answer.status == (204 if right else 412), answer
        if right:
            model.put(path, b"conditional", set())
            model.live[path].etag = answer.headers["etag"]
        self.learn(user)

    @rule(user=USERS, path=PATHS)
    def put_that_is_cut_off(self, user: int, path: Path) -> None:
        answer = self.drives[user].request("PUT", encoded(path), b"y" * 30_000, cut_off=True, length=40_000)
        assert answer.status >= 400

    @rule(user=USERS, path=PATHS, shown=st.booleans())
    def mkcol(self, user: int, path: Path, shown: bool = False) -> None:
        tokens, header = self.tokens(user, shown=shown)
        answer = self.send(user, "MKCOL", encoded(path), **header)
        assert answer.status == self.models[user].mkcol(path, tokens), answer

    @rule(user=USERS, path=PATHS, shown=st.booleans())
    def delete(self, user: int, path: Path, shown: bool) -> None:
        tokens, header = self.tokens(user, shown=shown)
        answer = self.send(user, "DELETE", encoded(path), **header)
        assert answer.status == self.models[user].delete(path, tokens), answer
        self.learn(user)

    @rule(
        user=USERS, source=PATHS, destination=PATHS, overwrite=st.booleans(), deep=st.booleans(), shown=st.booleans(),
        moving=st.booleans(),
    )  # fmt: skip
    def transfer(
        self, user: int, source: Path, destination: Path, overwrite: bool, deep: bool, shown: bool, moving: bool
    ) -> None:
        tokens, header = self.tokens(user, shown=shown)
        deep = deep or moving
        answer = self.send(
            user, "MOVE" if moving else "COPY", encoded(source), Depth="infinity" if deep else "0",
            Destination=self.drives[user].url(encoded(destination)), Overwrite="T" if overwrite else "F", **header,
        )  # fmt: skip
        expected = self.models[user].transfer(
            source, destination, tokens, overwrite=overwrite, deep=deep, moving=moving
        )
        assert answer.status == expected, answer
        self.learn(user)

    @precondition(lambda self: any(model.trash for model in self.models))
    @rule(user=USERS, data=st.data(), destination=PATHS, overwrite=st.booleans(), moving=st.booleans())
    def bring_back(self, user: int, data: st.DataObject, destination: Path, overwrite: bool, moving: bool) -> None:
        model = self.models[user]
        if not model.trash:
            return
        name = data.draw(st.sampled_from(sorted(model.trash)))
        answer = self.send(
            user, "MOVE" if moving else "COPY", encoded((".trash", name)),
            Destination=self.drives[user].url(encoded(destination)), Overwrite="T" if overwrite else "F",
        )  # fmt: skip
        assert answer.status == model.bring_back(name, destination, set(), overwrite=overwrite, moving=moving), answer
        self.learn(user)

    @precondition(lambda self: any(model.trash for model in self.models))
    @rule(user=USERS, data=st.data())
    def purge(self, user: int, data: st.DataObject) -> None:
        model = self.models[user]
        if model.trash:
            name = data.draw(st.sampled_from(sorted(model.trash)))
            assert self.send(user, "DELETE", encoded((".trash", name))).status == 204
            del model.trash[name]

    @precondition(lambda self: any(len(model.trash) > 2 for model in self.models))
    @rule(user=USERS)
    def empty_the_trash(self, user: int) -> None:
        assert self.send(user, "DELETE", "/.trash").status == 204
        self.models[user].trash.clear()

    @precondition(lambda self: any(model.trash for model in self.models))
    @rule(user=USERS, path=PATHS)
    def write_into_the_trash(self, user: int, path: Path) -> None:
        assert self.send(user, "PUT", "/.trash" + encoded(path), b"x").status in {403, 405}

    @rule(user=USERS, path=PATHS, deep=st.booleans(), shown=st.booleans())
    def lock(self, user: int, path: Path, deep: bool, shown: bool) -> None:
        model = self.models[user]
        tokens, header = self.tokens(user, shown=shown)
        answer = self.send(user, "LOCK", encoded(path), LOCK, Depth="infinity" if deep else "0", **header)
        assert answer.status == model.lock(path, tokens, deep=deep), answer
        if answer.status < 300:
            token = answer.headers["lock-token"].strip("<>")
            model.locks.append(Held(token, path, deep and model.live[path].is_collection))
            if answer.status == 201:
                model.live[path].etag = self.send(user, "HEAD", encoded(path)).headers["etag"]

    @precondition(lambda self: any(model.locks for model in self.models))
    @rule(user=USERS, data=st.data())
    def unlock(self, user: int, data: st.DataObject) -> None:
        model = self.models[user]
        if model.locks:
            held = data.draw(st.sampled_from(model.locks))
            other = self.send(1 - user, "UNLOCK", encoded(held.path), Lock_Token=f"<{held.token}>")
            assert other.status in {404, 409}
            assert self.send(user, "UNLOCK", encoded(held.path), Lock_Token=f"<{held.token}>").status == 204
            model.locks.remove(held)

    @rule(user=USERS, path=PATHS, colour=st.sampled_from(["red", "blue"]), shown=st.booleans())
    def proppatch(self, user: int, path: Path, colour: str, shown: bool) -> None:
        tokens, header = self.tokens(user, shown=shown)
        body = (
            '<D:propertyupdate xmlns:D="DAV:" xmlns:T="urn:test"><D:set><D:prop>'
            f"<T:colour>{colour}</T:colour></D:prop></D:set></D:propertyupdate>"
        )
        answer = self.send(user, "PROPPATCH", encoded(path), body, **header)
        assert answer.status == self.models[user].proppatch(path, colour, tokens), answer

    @precondition(lambda self: any(len(model.locks) > 1 for model in self.models))
    @rule()
    def let_locks_expire(self) -> None:
        self.clock.advance(7_200)
        for model in self.models:
            model.locks.clear()

    def learn(self, user: int) -> None:
        """Match what the model discarded with what is new in the trash."""
        model = self.models[user]
        shown = {path[0] for path in self.look(user, "/.trash") if len(path) == 1}
        new = sorted(shown - set(model.trash))
        assert len(new) == len(model.discarded), (new, model.discarded)
        if new:
            [name], [subtree] = new, model.discarded
            model.trash[name] = subtree
        model.discarded.clear()

    def look(self, user: int, top: str) -> dict[Path, tuple[str, str, bool]]:
        """What is below `top`: ETag, colour and whether it is a collection."""
        answer = self.send(user, "PROPFIND", top + "/", QUERY, Depth="infinity")
        assert answer.status == 207, answer
        base = len(self.drives[user].url(top).strip("/").split("/"))
        found = {}
        for href in answer.hrefs:
            props: dict[str, Any] = answer.props(href)
            etag = props.get("{DAV:}getetag")
            colour = props.get(COLOUR)
            path = tuple(unquote(name) for name in href.strip("/").split("/")[base:])
            found[path] = (
                "" if etag is None else str(etag.text), "" if colour is None else str(colour.text), href.endswith("/"),
            )  # fmt: skip
        return found

    @invariant()
    def the_drives_are_what_the_model_says(self) -> None:
        for user in sorted(self.changed):
            model = self.models[user]
            shown = self.look(user, "")
            assert shown == {p: (n.etag, n.colour, n.is_collection) for p, n in model.live.items()}
            for path, node in model.live.items():
                if not node.is_collection:
                    assert self.send(user, "GET", encoded(path)).body == node.body
            trash = self.look(user, "/.trash")
            expected = {(name, *p) for name, tree in model.trash.items() for p in tree} | {()}
            assert set(trash) == expected
        self.changed.clear()

    @rule()
    def the_books_are_right(self) -> None:
        self.services.runner.look()
        for drive, model in zip(self.drives, self.models, strict=True):
            assert self.services.tree.usage(drive.principal).used == model.used_bytes
        report = Verify(self.services.database, self.services.store, self.services.keyring, self.clock).run(
            deep=True, repair=False
        )
        assert not report.findings, report


@pytest.mark.timeout(7200)
def test_random_days_of_two_users_match_the_model(record_property: Record) -> None:
    DriveMachine.answers.clear()
    examples, steps = (400, 60) if FULL else (25, 40)
    run_state_machine_as_test(
        DriveMachine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    )
    answers = DriveMachine.answers
    done = sum(number for status, number in answers.items() if status < 400)
    record_property("requests compared", answers.total())
    print(f"{answers.total()} requests compared, {done} of them done and {answers.total() - done} rightly refused")
    assert done > answers.total() / 4
