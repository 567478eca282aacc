"""Files that are put at the same time share a unit, and nothing else: each is checked, counted and answered by itself."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, event, func, select
from sqlalchemy.exc import IntegrityError

from davserver.db.rows import ActivityRow, BlobRow, DeviceTokenRow, JobRow, TrashEntryRow, TreeRow, UploadRow
from davserver.domain.conditions import NO_CONDITIONS, Condition, EntityTag, IfList, Preconditions, TagSet
from davserver.domain.errors import (
    DavserverError,
    IsCollection,
    Locked,
    OutsidePrefix,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
    ReadOnlyToken,
    Unauthenticated,
)
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.services.attaching import PutDetails, Stored
from davserver.services.changes import open_change
from davserver.services.content import Content, ContentSettings
from davserver.services.devices import Devices, Limits
from davserver.services.locks import LockRequest
from tests.support.core import INLINE_LIMIT, SEGMENT_SIZE, BytesBody, Core, path, statements
from tests.support.faults import driver_error

NEW = Preconditions(if_none_match=TagSet(any=True))


@dataclass(eq=False)
class Put:
    """One PUT, and what came of it."""

    who: Principal
    where: str
    data: bytes = b"content"
    preconditions: Preconditions = NO_CONDITIONS
    outcome: Stored | BaseException | None = field(default=None, init=False)

    @property
    def told(self) -> Any:
        """Whether it created a file, or the type of the error."""
        return self.outcome.created if isinstance(self.outcome, Stored) else type(self.outcome)


def together(core: Core, puts: Sequence[Put], content: Content | None = None) -> list[Any]:
    """Do all of them at once: they wait for one writer, and come into one unit. What each was told."""
    content = content or core.content

    def do(put: Put) -> None:
        try:
            body = BytesBody(put.data, len(put.data))
            put.outcome = content.put(put.who, path(put.where), body, PutDetails(), put.preconditions)
        except Exception as error:  # noqa: BLE001 - compared by the test
            put.outcome = error

    threads = [threading.Thread(target=do, args=(put,)) for put in puts]
    with core.database.write() as unit:
        for owner_id in sorted({put.who.owner_id for put in puts}):
            open_change(unit, owner_id, core.clock())  # on PostgreSQL this is what they wait for
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda count=number + 1: gathered(content) == count)  # type: ignore[misc]  # one after the other
    for thread in threads:
        thread.join(60)
    return [put.told for put in puts]


def gathered(content: Content) -> int:
    """How many wait for their turn."""
    return sum(len(line.tickets) for line in content._puts._together._lines.values())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def version(core: Core, who: Principal) -> int:
    return int(core.scalar(select(TreeRow.version).where(TreeRow.owner_id == who.owner_id)))


def test_many_new_files_take_one_unit_and_as_many_statements_as_one(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")

    def counted(puts: list[Put]) -> tuple[int, int]:
        before = version(core, alice)
        with statements(core.database) as seen:
            assert together(core, puts) == [True] * len(puts)
        return version(core, alice) - before - 1, len(seen)  # one is that of the test

    units, few = counted([Put(alice, "/d/first")])
    assert units == 1
    puts = [Put(alice, f"/d/{number}", bytes([number]) * (number + 1)) for number in range(12)]
    units, many = counted(puts)
    assert units == 1
    assert many <= few + 2
    for put in puts:
        assert isinstance(put.outcome, Stored)
        assert put.outcome.resource == core.tree.find(alice, path(put.where))
        assert core.get(alice, put.where) == put.data
    assert core.used(alice) == len(b"content") + sum(len(put.data) for put in puts)
    noted = select(func.count()).select_from(ActivityRow).where(ActivityRow.action == "uploaded")
    assert core.scalar(noted) == 13
    assert core.verify(deep=True).is_clean


def test_what_is_refused_changes_nothing_and_harms_no_other(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    core.put(alice, "/old", b"old")
    etag, elsewhere = core.etag(alice, "/old"), IfList(path("/none"), (Condition(etag=EntityTag("x")),))
    puts = {
        Put(alice, "/d/a"): True,
        Put(alice, "/d"): IsCollection,
        Put(alice, "/missing/a"): ParentMissing,
        Put(alice, "/old", b"new", NEW): PreconditionFailed,
        Put(alice, "/old", b"newer", Preconditions(if_match=TagSet((EntityTag(etag),)))): False,
        Put(alice, "/b", b"b", NEW): True,
        Put(alice, "/c", b"c", Preconditions(if_match=TagSet(any=True))): PreconditionFailed,
        Put(alice, "/e", b"e", Preconditions(if_lists=(elsewhere,))): PreconditionFailed,
    }
    assert together(core, list(puts)) == list(puts.values())
    assert core.names(alice) == [".trash", "b", "d", "old"]
    assert core.get(alice, "/old") == b"newer"
    assert core.used(alice) == len(b"content") + len(b"b") + len(b"newer") + len(b"old")
    assert core.verify(deep=True).is_clean


def test_when_all_are_refused_the_tree_keeps_its_version(core: Core, alice: Principal) -> None:
    before = version(core, alice)
    assert together(core, [Put(alice, "/missing/a"), Put(alice, "/missing/b")]) == [ParentMissing, ParentMissing]
    assert version(core, alice) == before + 1  # that of the test


def test_two_of_one_name_come_one_after_the_other(core: Core, alice: Principal) -> None:
    told = together(core, [Put(alice, "/é", b"1"), Put(alice, "/e\u0301", b"22"), Put(alice, "/é", b"3", NEW)])
    assert told == [True, False, PreconditionFailed]
    assert core.get(alice, "/é") == b"22"
    assert core.scalar(select(func.count()).select_from(TrashEntryRow)) == 1
    assert core.used(alice) == 3
    assert core.verify(deep=True).is_clean


def test_the_quota_is_exact_within_one_unit(core: Core) -> None:
    carol = core.add_user("carol", quota=100)
    told = together(core, [Put(carol, f"/{number}", b"x" * 30) for number in range(5)])
    assert sorted(told, key=str) == [QuotaExceeded, QuotaExceeded, True, True, True]
    assert core.used(carol) == 90
    assert together(core, [Put(carol, "/0", b"x" * 40), Put(carol, "/rest", b"x" * 10), Put(carol, "/none", b"")]) == [
        QuotaExceeded,
        True,
        True,
    ]
    assert core.used(carol) == 100
    assert core.verify(deep=True).is_clean


def test_larger_files_share_their_units_with_small_ones(core: Core, alice: Principal) -> None:
    large = [Put(alice, f"/large-{number}", bytes([number]) * (INLINE_LIMIT + 1 + number)) for number in range(4)]
    small = [Put(alice, f"/small-{number}", b"x") for number in range(4)]
    before = version(core, alice)
    assert together(core, [*large, *small]) == [True] * 8
    # That of the test, one in which all larger files begin and all small ones are stored, and at most one for each that arrived.
    assert version(core, alice) - before <= 1 + 1 + 4
    for put in large:
        assert core.get(alice, put.where) == put.data
    assert core.scalar(select(func.count()).select_from(UploadRow)) == 0
    assert core.verify(deep=True).is_clean


def test_uploads_that_begin_in_one_unit_reserve_what_there_is_and_no_more(core: Core) -> None:
    size = INLINE_LIMIT + 10
    carol = core.add_user("carol", quota=3 * size + 5)
    puts = [Put(carol, f"/{number}", b"x" * size) for number in range(5)]
    assert together(core, [*puts, Put(carol, "/fits", b"x" * 5), Put(carol, "/not", b"x")]) == [
        *(True, True, True, QuotaExceeded, QuotaExceeded, True, QuotaExceeded)
    ]
    assert core.used(carol) == 3 * size + 5
    assert core.scalar(select(func.count()).select_from(UploadRow)) == 0
    assert core.verify(deep=True).is_clean


def test_what_fails_half_way_is_undone_though_another_tree_is_in_the_unit(core: Core, alice: Principal) -> None:
    carol = core.add_user("carol", quota=50)
    core.put(carol, "/old", b"x" * 30)
    assert together(core, [Put(carol, "/old", b"y" * 40), Put(alice, "/f")]) == [QuotaExceeded, True]
    assert core.get(carol, "/old") == b"x" * 30
    assert core.used(carol) == 30
    assert core.verify(deep=True).is_clean


def test_a_lock_shuts_out_those_without_its_token(core: Core, alice: Principal, bob: Principal) -> None:
    core.mkcol(alice, "/d")
    request = LockRequest(LockScope.EXCLUSIVE, is_deep=True, owner_xml="", seconds=100)
    token = core.locks.acquire(alice, path("/d"), request, NO_CONDITIONS).lock.token
    told = together(
        core,
        [
            Put(alice, "/d/a"),
            Put(alice, "/d/b", b"b", Preconditions(tokens=frozenset({token}))),
            Put(alice, "/free"),
            Put(bob, "/free"),
        ],
    )
    assert told == [Locked, True, True, True]


def test_each_goes_into_the_tree_of_its_own_user(core: Core, alice: Principal, bob: Principal) -> None:
    told = together(core, [Put(alice, "/f", b"hers"), Put(bob, "/f", b"his"), Put(alice, "/g", b"hers too")])
    assert told == [True, True, True]
    assert core.get(alice, "/f") == b"hers"
    assert core.get(bob, "/f") == b"his"
    assert core.names(bob) == [".trash", "f"]
    assert (core.used(alice), core.used(bob)) == (12, 3)


def test_a_token_that_may_not_may_not_in_company_either(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    devices = Devices(core.database, core.clock, core.random, b"secret")

    def holder(name: str, limits: Limits) -> Principal:
        found = devices.authenticate(devices.add(alice, name, limits).secret, alice.origin)
        assert found is not None
        return found

    reader, within, gone = (
        holder("reader", Limits(read_only=True)),
        holder("within", Limits(prefix=path("/d"))),
        holder("gone", Limits()),
    )
    with core.database.write() as unit:
        unit.connection.execute(delete(DeviceTokenRow).where(DeviceTokenRow.id == gone.token_id))
    puts = [Put(reader, "/r"), Put(within, "/w"), Put(within, "/d/w"), Put(gone, "/g"), Put(alice, "/a")]
    assert together(core, puts) == [ReadOnlyToken, OutsidePrefix, True, Unauthenticated, True]
    assert core.names(alice) == [".trash", "a", "d"]


def test_each_leaves_a_job_that_scans_it(core: Core, alice: Principal) -> None:
    settings = ContentSettings(inline_limit=INLINE_LIMIT, segment_size=SEGMENT_SIZE, scans=True)
    content = Content(core.database, core.store, core.keyring, core.clock, core.random, settings)
    rung: list[int] = []
    core.database.ring_with(lambda: rung.append(1))
    puts = [Put(alice, "/a"), Put(alice, "/b"), Put(alice, "/empty", b"")]
    assert together(core, puts, content) == [True, True, True]
    assert core.scalar(select(func.count()).select_from(JobRow).where(JobRow.kind == "scan")) == 2
    assert rung == [1]


@contextmanager
def failing(core: Core, what: str, error: Callable[[], Exception], times: int = 1) -> Iterator[None]:
    """Statements that begin so fail, the first `times` of them."""
    left = [times]

    def tell(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(what) and left[0] > 0:
            left[0] -= 1
            raise error()

    event.listen(core.database.engine, "before_cursor_execute", tell)
    try:
        yield
    finally:
        event.remove(core.database.engine, "before_cursor_execute", tell)


def test_a_unit_that_fails_of_one_of_them_is_tried_again_with_each_alone(core: Core, alice: Principal) -> None:
    with failing(core, "INSERT INTO resource", lambda: IntegrityError("(injected)", {}, Exception())):
        assert together(core, [Put(alice, "/a"), Put(alice, "/b")]) == [True, True]
    assert core.names(alice) == [".trash", "a", "b"]
    assert core.used(alice) == 2 * len(b"content")
    assert core.verify(deep=True).is_clean


def test_when_the_database_goes_away_all_hear_of_it_and_nothing_is_stored(core: Core, alice: Principal) -> None:

    with failing(core, "INSERT INTO resource", driver_error):
        told = together(core, [Put(alice, "/a"), Put(alice, "/b")])
    assert all(issubclass(one, DavserverError) and one.status == 503 for one in told)
    assert core.names(alice) == [".trash"]
    assert core.scalar(select(func.count()).select_from(BlobRow)) == 0
    assert together(core, [Put(alice, "/a"), Put(alice, "/b")]) == [True, True]
