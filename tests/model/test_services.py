"""Random sequences of all that users can do, by two users with two clients each, compared with plain dictionaries.

After every step the whole of the drive that it was about is compared: the tree and the trash with all content, entity tags, dead
properties, locks, and what the quota counts. With CI=true the sequences are always the same; one that fails is shortened and
printed.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path as FilePath
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from davserver.db.units import Database
from davserver.domain import errors
from davserver.domain.clock import HOUR
from davserver.domain.conditions import Preconditions
from davserver.domain.errors import DavserverError
from davserver.domain.lock import LockScope
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.jobs.outbox import enqueue
from davserver.services.attaching import KeepReplaced, PutDetails
from davserver.services.listing import Depth
from davserver.services.locks import LockRequest
from davserver.services.trash import Trash
from davserver.services.tree import TreeSettings
from davserver.services.upkeep import PURGE_EXPIRED
from davserver.stores.folder import FolderStore
from tests.support.core import BytesBody, Core, make_core
from tests.support.databases import Databases, SqliteDatabases
from tests.support.model import TRASH, DriveModel, Path, Refusals

Record = Callable[[str, object], None]
FULL = bool(os.environ.get("DAVSERVER_PROVE"))
CI = os.environ.get("CI", "").lower() in {"1", "true"}
KEEP = 2
QUOTA = 30_000
NAMES = ("a", "b", "x.txt", "caf\u00e9", "cafe\u0301")
CLIENTS = 2
DAYS_A_DATABASE = 20
"""At the end of each day the whole database is verified, and so should not hold too many before it."""

names = st.sampled_from(NAMES)
aims = st.tuples(st.integers(0, 9), st.integers(0, 30), st.lists(names, min_size=0, max_size=3).map(tuple), names)
"""Where a step goes: mostly to something that exists or into a collection that does, now and then anywhere; see `aim`."""
Aim = tuple[int, int, Path, str]
contents = st.one_of(
    st.sampled_from([b"", b"x", b"some text"]), st.integers(1, 9).map(lambda n: bytes([n]) * (n * 1000))
)
clients = st.integers(0, CLIENTS - 1)
drives = st.sampled_from([0, 0, 0, 1])
"""One user does more, so that much happens in one drive."""
picks = st.integers(0, 30)


class DriveMachine(RuleBasedStateMachine):
    """The real drive and the model, side by side."""

    core: ClassVar[Core]
    fresh: ClassVar[Callable[[], Core]]
    """Makes one on an empty database; the one before is of no more use."""
    made = 0
    steps: ClassVar[Counter[bool]]
    """How many were done (True), and how many rightly refused."""

    def __init__(self) -> None:
        super().__init__()
        if self.made % DAYS_A_DATABASE == 0:
            type(self).core = type(self).fresh()
        type(self).made += 1
        core = self.core
        self.trash = Trash(core.database, core.clock, core.tree, TreeSettings())
        quotas = (None, QUOTA)
        self.people = [core.add_user(f"user-{self.made}-{n}", quotas[n]) for n in range(2)]
        self.models = [DriveModel(quota, KEEP, 24 * HOUR) for quota in quotas]
        self.tokens: list[list[set[str]]] = [[set() for _ in range(CLIENTS)] for _ in range(2)]

        self.touched = {0, 1}
        """The drives that the last step may have changed."""
        self.read: set[str] = set()
        """The entity tags whose content was compared; what has a tag never changes, and at the end all is opened again."""

    @initialize()
    def begin(self) -> None:
        """Something to work on."""
        for way, name in ((5, "a"), (5, "b"), (6, "a")):
            self.mkcol(0, 0, (way, way - 4, (), name))
        self.put(0, 0, (5, 1, (), "x.txt"), b"some text")

    # How a step is taken.

    def expect(
        self, drive: int, refusals: Refusals, act: Callable[[Principal], Any], *, besides: Refusals | None = None
    ) -> Any:
        """Do it; it must be refused for one of these reasons, or, without any, be done."""
        self.touched = {drive}
        refused: DavserverError | None = None
        result = None
        try:
            result = act(self.people[drive])
        except DavserverError as error:
            refused = error
        type(self).steps[refused is None] += 1
        if refused is not None:
            allowed = refusals | (besides or set())
            assert type(refused) in allowed, f"refused as {refused!r}, not {[r.__name__ for r in allowed]}"
            return None
        assert not refusals, f"done, and should be refused as one of {[r.__name__ for r in refusals]}"
        return result if result is not None else True

    def shown(self, drive: int, client: int) -> Preconditions:
        """What the client shows: the tokens of all locks that it took."""
        return Preconditions(tokens=frozenset(self.tokens[drive][client]))

    def aim(self, drive: int, at: Aim, *, trash: bool = False, new: bool = False) -> Path:
        """The path that a step goes to: with `trash` now and then one in the trash, with `new` mostly a free one."""
        way, pick, anywhere, name = at
        model = self.models[drive]
        top: Path = ()
        root = model.root
        if trash and way in {4, 8} and model.trash:
            names = list(model.trash)
            top = (TRASH, names[pick % len(names)])
            root = model.trash[top[1]].node
        if way == 9:
            return (*top, *anywhere)
        nodes = list(root.walk(top))
        if way < (2 if new else 5):
            return nodes[pick % len(nodes)][0]
        collections = [path for path, node in nodes if node.is_collection and len(path) < 4] or [top]
        return (*collections[pick % len(collections)], name)

    @rule(drive=drives, client=clients, at=aims)
    def mkcol(self, drive: int, client: int, at: Aim) -> None:
        path = self.aim(drive, at, new=True)
        refusals = self.models[drive].mkcol(path, self.tokens[drive][client])
        act = self.core.tree.make_collection
        self.expect(drive, refusals, lambda who: act(who, ResourcePath(path), self.shown(drive, client)))

    @rule(drive=drives, client=clients, at=aims, content=contents)
    def put(self, drive: int, client: int, at: Aim, content: bytes) -> None:
        path = self.aim(drive, at)
        model = self.models[drive]
        old = model.find(path)
        refusals, besides = model.put(path, content, self.tokens[drive][client], self.core.clock.now)
        body = BytesBody(content, len(content))
        conditions = self.shown(drive, client)
        put = self.core.content.put
        done = self.expect(
            drive, refusals, lambda who: put(who, ResourcePath(path), body, PutDetails(), conditions), besides=besides
        )
        if done is not None:
            etag = done.resource.revision.etag
            assert done.created == (old is None)
            assert old is None or etag != old.etag, "the same tag for other bytes"
            model.did_put(path, content, etag, self.core.clock.now)

    @rule(
        drive=drives,
        client=clients,
        origin=aims,
        goal=aims,
        overwrite=st.booleans(),
        deep=st.booleans(),
    )
    def copy(self, drive: int, client: int, origin: Aim, goal: Aim, overwrite: bool, deep: bool) -> None:
        model = self.models[drive]
        source, destination = self.aim(drive, origin, trash=True), self.aim(drive, goal, new=True)
        created = model.find(destination) is None
        refusals = model.copy(
            source, destination, self.tokens[drive][client], self.core.clock.now, overwrite=overwrite, deep=deep
        )
        conditions = self.shown(drive, client)
        done = self.expect(
            drive,
            refusals,
            lambda who: {
                self.core.tree.copy(
                    who, ResourcePath(source), ResourcePath(destination),
                    overwrite=overwrite, deep=deep, preconditions=conditions,
                )
            },
        )  # fmt: skip
        assert done is None or done == {created}

    @rule(drive=drives, client=clients, origin=aims, goal=aims, pick=picks, overwrite=st.booleans())
    def move(self, drive: int, client: int, origin: Aim, goal: Aim, pick: int, overwrite: bool) -> None:
        model = self.models[drive]
        source, destination = self.aim(drive, origin, trash=True), self.aim(drive, goal, new=True)
        if pick == 30:
            destination = (TRASH, *destination)
        created = model.find(destination) is None or pick == 30
        refusals = model.move(source, destination, self.tokens[drive][client], self.core.clock.now, overwrite=overwrite)
        conditions = self.shown(drive, client)
        done = self.expect(
            drive,
            refusals,
            lambda who: {
                self.core.tree.move(
                    who, ResourcePath(source), ResourcePath(destination), overwrite=overwrite, preconditions=conditions
                )
            },
        )
        assert done is None or done == {created}

    @rule(drive=drives, client=clients, at=aims, pick=picks)
    def discard(self, drive: int, client: int, at: Aim, pick: int) -> None:
        path = (TRASH,) if pick == 30 else self.aim(drive, at, trash=True)
        refusals = self.models[drive].discard(path, self.tokens[drive][client], self.core.clock.now)
        conditions = self.shown(drive, client)
        self.expect(drive, refusals, lambda who: self.core.tree.discard(who, ResourcePath(path), conditions))
        if path[:1] == (TRASH,):
            self.core.runner().look()

    @precondition(lambda self: any(model.trash for model in self.models))
    @rule(drive=drives, pick=picks, overwrite=st.booleans())
    def restore(self, drive: int, pick: int, overwrite: bool) -> None:
        model = self.models[drive]
        names = [*model.trash, "nothing of the kind"]
        name = names[pick % len(names)]
        refusals = model.restore(name, self.core.clock.now, overwrite=overwrite)
        self.expect(drive, refusals, lambda who: self.trash.restore(who, name, overwrite=overwrite))

    @rule(
        drive=drives, client=clients, at=aims, exclusive=st.booleans(), deep=st.booleans(),
        seconds=st.sampled_from([60, 36_000, 36_000]),
    )  # fmt: skip
    def lock(self, drive: int, client: int, at: Aim, exclusive: bool, deep: bool, seconds: int) -> None:
        path = self.aim(drive, at, trash=True)
        model = self.models[drive]
        refusals = model.lock(path, self.tokens[drive][client], exclusive=exclusive, deep=deep)
        scope = LockScope.EXCLUSIVE if exclusive else LockScope.SHARED
        request = LockRequest(scope, is_deep=deep, owner_xml="<o/>", seconds=seconds)
        conditions = self.shown(drive, client)
        done = self.expect(
            drive, refusals, lambda who: self.core.locks.acquire(who, ResourcePath(path), request, conditions)
        )
        if done is not None:
            assert done.created == (model.find(path) is None)
            etag = done.resource.revision.etag if done.resource.revision else ""
            model.did_lock(path, done.lock.token, etag, done.lock.expires_at, exclusive=exclusive, deep=deep)
            self.tokens[drive][client].add(done.lock.token)

    @precondition(lambda self: any(model.locks for model in self.models))
    @rule(drive=drives, at=aims, pick=picks)
    def unlock(self, drive: int, at: Aim, pick: int) -> None:
        path = self.aim(drive, at)
        model = self.models[drive]
        # Now and then a token of the other user's, who cannot do anything with it.
        locks = [*model.locks, *self.models[1 - drive].locks]
        lock = locks[pick % len(locks)]
        where = lock.root if pick % 2 else path
        refusals = model.unlock(where, lock.token)
        self.expect(drive, refusals, lambda who: self.core.locks.release(who, ResourcePath(where), lock.token))

    @precondition(lambda self: any(model.locks for model in self.models))
    @rule(drive=drives, pick=picks)
    def refresh(self, drive: int, pick: int) -> None:
        model = self.models[drive]
        locks = [*model.locks, *self.models[1 - drive].locks]
        lock = locks[pick % len(locks)]
        refusals: Refusals = set() if lock in model.locks else {errors.PreconditionFailed}
        shown = Preconditions(tokens=frozenset([lock.token]))
        done = self.expect(
            drive, refusals, lambda who: self.core.locks.refresh(who, ResourcePath(lock.root), 900, shown)
        )
        if done is not None:
            lock.ends = done.expires_at

    @rule(
        drive=drives, client=clients, at=aims,
        changes=st.dictionaries(st.sampled_from("pq"), st.sampled_from([None, "<v/>", "<w/>"]), min_size=1),
    )  # fmt: skip
    def patch(self, drive: int, client: int, at: Aim, changes: dict[str, str | None]) -> None:
        path = self.aim(drive, at, trash=True)
        refusals = self.models[drive].patch(path, changes, self.tokens[drive][client])
        updates = [PropertyUpdate(PropertyName("", name), value) for name, value in changes.items()]
        conditions = self.shown(drive, client)
        act = self.core.properties.patch
        self.expect(drive, refusals, lambda who: act(who, ResourcePath(path), updates, preconditions=conditions))

    @rule(hours=st.sampled_from([0.001, 0.001, 0.001, 0.02, 25]))
    def time_passes(self, hours: float) -> None:
        self.touched = {0, 1}
        self.core.clock.advance(hours * 3600)
        runner = self.core.runner()
        with self.core.database.write() as unit:
            enqueue(unit, PURGE_EXPIRED, {}, self.core.clock())
        runner.look()
        for model in self.models:
            model.end_locks(self.core.clock.now)
            model.purge_expired(self.core.clock.now)

    # What must hold after each.

    @invariant()
    def they_are_the_same(self) -> None:
        for drive in sorted(self.touched):
            model, who = self.models[drive], self.people[drive]
            model.arrived(reversed([entry.names[0] for entry in self.core.listing(who, "/.trash")[1:]]))
            assert self.core.used(who) == model.used
            self.compare(who, model, (), dict(model.root.walk()))
            trashed = {(n, *path): node for n, e in model.trash.items() for path, node in e.node.walk()}
            self.compare(who, model, (TRASH,), trashed)

    def compare(self, who: Principal, model: DriveModel, top: Path, wanted: dict[Path, Any]) -> None:
        listing = {entry.names: entry for entry in self.core.listing(who, "/".join(top), Depth.INFINITY)}
        if top:
            del listing[()]
        assert sorted(listing) == sorted(wanted)
        for path, node in wanted.items():
            entry = listing[path]
            assert entry.resource.is_collection == node.is_collection
            assert {found.name.name: found.xml for found in entry.dead} == node.dead
            where = (*top, *path)
            assert {f.token for f in entry.locks} == {lock.token for lock in model.locks if lock.covers(where)}
            if not node.is_collection:
                assert entry.resource.revision is not None
                assert entry.resource.revision.etag == node.etag
                if node.etag not in self.read:
                    assert self.core.get(who, "/".join(where)) == node.content
                    self.read.add(node.etag)

    def teardown(self) -> None:
        self.touched = {0, 1}
        self.they_are_the_same()
        report = self.core.verify(deep=True)
        assert report.is_clean, report.findings


def run_machine(fresh: Callable[[], Core], examples: int, steps: int) -> Counter[bool]:
    class Machine(DriveMachine):
        steps: ClassVar[Counter[bool]] = Counter()

    Machine.fresh = fresh
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=CI,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            database=None,
        ),
    )
    return Machine.steps


@pytest.mark.timeout(7200)
def test_a_drive_is_what_the_model_says(databases: Databases, tmp_path: FilePath, record_property: Record) -> None:
    with ExitStack() as left:

        def fresh() -> Core:
            left.close()
            url = databases.migrated()
            left.callback(databases.drop, url)
            store = FolderStore(FilePath(tempfile.mkdtemp(dir=tmp_path)))
            core = make_core(Database(url), store, keep=KeepReplaced(count=KEEP))
            left.callback(core.close)
            return core

        short = 20 if isinstance(databases, SqliteDatabases) else 5
        steps = run_machine(fresh, examples=short * 40 if FULL else short, steps=50)
    record_property("operations compared", steps.total())
    print(f"{steps.total()} operations compared, {steps[True]} of them done and {steps[False]} rightly refused")
    assert steps[True] > steps.total() / 4
