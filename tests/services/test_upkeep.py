"""Upkeep: what crashes leave behind goes, and nothing else does."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, func, insert, select, update

from davserver.db.rows import BlobRow, JobRow, LockRow, UploadRow
from davserver.domain.clock import HOUR
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import StoreUnavailable, Unavailable
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.services.content import PutDetails
from davserver.services.locks import LockRequest
from davserver.services.upkeep import WrongDatabase
from davserver.stores.base import BytesLike, blob_key
from tests.support.core import BytesBody, Core, path
from tests.support.upkeep import Helpers, helpers_of

LARGE = b"x" * 5000


@pytest.fixture
def helpers(core: Core) -> Helpers:
    return helpers_of(core)


def stored(core: Core) -> set[str]:
    return {blob.key for blob in core.store.list()}


def leave(core: Core, number: int) -> str:
    """Put a blob into the store that nothing refers to."""
    blob_id = f"{number:032x}"
    core.store.put(blob_key(blob_id), iter([b"sealed"]), None)
    return blob_id


def add_upload(core: Core, who: Principal, blob_id: str, expires_at: int) -> None:
    row = {
        "blob_id": blob_id,
        "owner_id": who.owner_id,
        "reserved_bytes": 700,
        "started_at": 0,
        "expires_at": expires_at,
    }
    with core.database.write() as unit:
        unit.connection.execute(insert(UploadRow), row)


def test_an_upload_that_died_gives_back_its_room_and_its_bytes(core: Core, alice: Principal, helpers: Helpers) -> None:
    dead, alive = leave(core, 1), leave(core, 2)
    add_upload(core, alice, dead, core.clock.now)
    add_upload(core, alice, alive, core.clock.now + HOUR)
    helpers.recur()
    assert core.scalar(select(UploadRow.blob_id)) == alive
    assert core.scalar(select(func.sum(UploadRow.reserved_bytes))) == 700
    assert stored(core) == {blob_key(alive)}


class SlowBody(BytesBody):
    """Lets something happen in the middle."""

    def __init__(self, core: Core, helpers: Helpers, data: bytes, seconds: float) -> None:
        super().__init__(data, len(data))
        self.core, self.helpers, self.seconds = core, helpers, seconds

    def read(self, size: int) -> bytes:
        piece = super().read(min(size, 2000))
        self.core.clock.advance(self.seconds)
        self.helpers.recur()
        return piece


def test_an_upload_that_takes_days_is_not_taken_for_dead_while_it_lives(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    data = LARGE * 4
    core.content.put(alice, path("/slow"), SlowBody(core, helpers, data, 6 * 3600), PutDetails())
    assert core.get(alice, "/slow") == data


def test_an_upload_that_was_taken_for_dead_cannot_end_well_and_leaves_nothing(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/slow", b"old")
    with pytest.raises(Unavailable):
        core.content.put(alice, path("/slow"), SlowBody(core, helpers, LARGE * 4, 25 * 3600), PutDetails())
    assert core.get(alice, "/slow") == b"old"
    assert stored(core) == set()
    helpers.work()
    assert core.scalar(select(func.count()).select_from(UploadRow)) == 0


def test_what_nothing_refers_to_is_swept_when_it_is_a_day_old(core: Core, alice: Principal, helpers: Helpers) -> None:
    core.put(alice, "/keep", LARGE)
    known = stored(core)
    stray, upload = leave(core, 1), leave(core, 2)
    add_upload(core, alice, upload, 1 << 60)
    core.clock.now = time.time_ns() // 1000 + 23 * HOUR
    helpers.recur()
    assert stored(core) == known | {blob_key(stray), blob_key(upload)}, "the files were made just now"
    core.clock.now = time.time_ns() // 1000 + 25 * HOUR
    helpers.recur()
    assert stored(core) == known | {blob_key(upload)}
    assert core.get(alice, "/keep") == LARGE


def test_the_sweep_keeps_its_hands_off_a_store_that_is_not_its_own(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    for number in range(101):
        leave(core, number)
    core.clock.now = time.time_ns() // 1000 + 25 * HOUR
    with pytest.raises(WrongDatabase, match="101 of the 101"):
        helpers.do("sweep_blobs")
    assert len(stored(core)) == 101
    for number in range(150):
        core.put(alice, f"/f{number}", LARGE)
    core.clock.now = time.time_ns() // 1000 + 25 * HOUR
    helpers.do("sweep_blobs")
    helpers.work()
    assert len(stored(core)) == 150


def test_a_blob_that_a_row_speaks_for_is_never_removed(
    core: Core, alice: Principal, helpers: Helpers, caplog: pytest.LogCaptureFixture
) -> None:
    core.put(alice, "/f", LARGE)
    blob_id = core.scalar(select(BlobRow.id))
    helpers.do("remove_blobs", blob_ids=[blob_id])
    assert core.get(alice, "/f") == LARGE
    assert "is in use" in caplog.text
    with core.database.write() as unit:
        unit.connection.execute(delete(JobRow))


def test_removing_blobs_twice_is_as_good_as_once(core: Core, helpers: Helpers) -> None:
    blob_id = leave(core, 7)
    for _ in range(2):
        helpers.do("remove_blobs", blob_ids=[blob_id])
        assert stored(core) == set()


def test_bytes_that_cannot_be_removed_now_are_removed_when_the_store_is_back(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    core.put(alice, "/f", LARGE)
    core.tree.discard(alice, path("/f"))
    core.tree.discard(alice, path("/.trash"))

    class Away:
        """A store that does not answer."""

        def __getattr__(self, name: str) -> object:
            raise StoreUnavailable

    store, helpers.upkeep._store = helpers.upkeep._store, Away()  # type: ignore[assignment]
    assert helpers.look() == 1, "the rows"
    assert [(job.kind, job.state) for job in helpers.queue.shown()] == [("remove_blobs", "waiting")]
    assert len(stored(core)) == 1
    helpers.upkeep._store = store
    core.clock.advance(60)
    helpers.work()
    assert stored(core) == set()


def test_locks_that_have_ended_are_removed_and_others_are_not(core: Core, alice: Principal, helpers: Helpers) -> None:
    for name, seconds in (("short", 300), ("long", 3000)):
        core.locks.acquire(
            alice,
            path(f"/{name}"),
            LockRequest(LockScope.EXCLUSIVE, is_deep=False, owner_xml="", seconds=seconds),
            NO_CONDITIONS,
        )
    core.clock.advance(301)
    helpers.recur()
    with core.database.read() as connection:
        assert connection.execute(select(LockRow.path)).scalars().all() == ["/long"]


def test_unfinished_writes_of_the_dead_are_removed_and_of_the_living_are_not(
    core: Core, alice: Principal, helpers: Helpers
) -> None:
    seen: list[int] = []

    def interrupted() -> Iterator[BytesLike]:
        yield b"some"
        core.clock.now = time.time_ns() // 1000 + 48 * HOUR
        add_upload(core, alice, "a" * 32, core.clock.now + HOUR)
        for started_at in (core.clock.now - 49 * HOUR, core.clock.now):
            with core.database.write() as unit:
                unit.connection.execute(update(UploadRow).values(started_at=started_at))
            helpers.do("abandon_uploads")
            seen.append(len(list(core.store.incomplete())))
        yield b"more"

    with pytest.raises(Unavailable):
        core.store.put(blob_key("a" * 32), interrupted(), None)
    assert seen == [1, 0]
