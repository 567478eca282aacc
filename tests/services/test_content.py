"""The content of files: whole or not at all, checked again at the commit, counted exactly, in constant memory."""

import gc
import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from davserver.db.rows import BlobRow, JobRow, RevisionRow, UploadRow
from davserver.db.units import Database, Unit
from davserver.domain.clock import HOUR, SECOND
from davserver.domain.conditions import NO_CONDITIONS, EntityTag, Preconditions, TagSet
from davserver.domain.errors import (
    BlobMissing,
    ChecksumMismatch,
    ContentDamaged,
    DatabaseUnavailable,
    DavserverError,
    IncompleteBody,
    IsCollection,
    Locked,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
    Unavailable,
)
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.services.attaching import KeepReplaced, PutDetails
from davserver.services.locks import LockRequest
from davserver.stores.base import READ_SIZE
from davserver.stores.folder import FolderStore
from tests.support.core import INLINE_LIMIT, SEGMENT_SIZE, BytesBody, Core, GeneratedBody, make_core, path

SMALL, LARGE = b"s" * 100, b"L" * 20_000
"""Content that is kept in its row, and content that goes into the store."""
FIRST = SEGMENT_SIZE - 16 - 40
WHOLE = SEGMENT_SIZE - 16
"""Plaintext bytes that fit into the first and into every other segment."""
both = pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])


class HookedBody(BytesBody):
    """A body in the middle of which something happens."""

    def __init__(self, data: bytes, hook: Callable[[], object]) -> None:
        super().__init__(data, len(data))
        self.hook: Callable[[], object] | None = hook

    def read(self, size: int) -> bytes:
        if self._at and self.hook is not None:
            hook, self.hook = self.hook, None
            hook()
        return super().read(min(size, max(1, len(self.data) // 3)))


def count(core: Core, table: type) -> int:
    return int(core.scalar(select(func.count()).select_from(table)))


def objects(core: Core) -> set[str]:
    return {blob.key for blob in core.store.list()} | {blob.key for blob in core.store.incomplete()}


@contextmanager
def nothing_changes(core: Core, who: Principal, where: str | None = None) -> Iterator[None]:
    """What is seen, what is stored and what is counted is afterwards what it was before."""

    def state() -> tuple[object, ...]:
        seen = [(e.names, e.resource) for e in core.listing(who)]
        content = None if where is None else core.get(who, where)
        return seen, content, objects(core), core.used(who), count(core, UploadRow), count(core, BlobRow)

    before = state()
    yield
    assert state() == before


def put_body(
    core: Core,
    who: Principal,
    where: str,
    body: BytesBody | GeneratedBody,
    details: PutDetails | None = None,
    preconditions: Preconditions = NO_CONDITIONS,
) -> None:
    core.content.put(who, path(where), body, details or PutDetails(), preconditions)


SIZES = sorted(
    {0, 1, INLINE_LIMIT, INLINE_LIMIT + 1}
    | {n + d for n in (FIRST, FIRST + WHOLE, FIRST + 2 * WHOLE) for d in (-1, 0, 1)}
)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_what_was_put_is_what_is_read_whatever_its_size(core: Core, alice: Principal, declared: bool) -> None:
    for size in SIZES:
        data = hashlib.shake_128(str(size).encode()).digest(size)
        put_body(core, alice, f"/{size}", BytesBody(data, size if declared else None))
        assert core.get(alice, f"/{size}") == data
    assert core.used(alice) == sum(SIZES)


def test_a_range_is_exactly_its_bytes(core: Core, alice: Principal) -> None:
    data = hashlib.shake_128(b"range").digest(3 * SEGMENT_SIZE)
    core.put(alice, "/f", data)
    resource = core.tree.find(alice, path("/f"))
    edges = [0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + WHOLE, len(data) - 1, len(data)]
    for start in edges:
        for stop in (s for s in edges if s >= start):
            assert b"".join(core.content.read(alice, resource, start, stop)) == data[start:stop]


@both
def test_a_put_of_the_same_bytes_at_the_same_moment_has_another_etag(core: Core, alice: Principal, data: bytes) -> None:
    core.put(alice, "/f", data)
    first = core.etag(alice, "/f")
    core.clock.now -= 1000
    core.put(alice, "/f", data)
    assert core.etag(alice, "/f") != first


def test_moving_a_file_keeps_its_etag(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", SMALL)
    etag = core.etag(alice, "/f")
    core.tree.move(alice, path("/f"), path("/g"), overwrite=False)
    assert core.etag(alice, "/g") == etag


@both
@pytest.mark.parametrize("off", [1, -1], ids=["short", "long"])
@pytest.mark.parametrize("exists", [True, False], ids=["replacing", "creating"])
def test_a_body_of_another_length_than_announced_changes_nothing(
    core: Core, alice: Principal, data: bytes, off: int, exists: bool
) -> None:
    if exists:
        core.put(alice, "/f", b"good")
    with nothing_changes(core, alice, "/f" if exists else None), pytest.raises(IncompleteBody):
        put_body(core, alice, "/f", BytesBody(data, len(data) + off))


@both
@pytest.mark.parametrize("error", [IncompleteBody, ConnectionResetError, KeyboardInterrupt])
def test_a_body_that_breaks_off_changes_nothing(
    core: Core, alice: Principal, data: bytes, error: type[BaseException]
) -> None:
    core.put(alice, "/f", b"good")

    def broken() -> None:
        raise error

    with nothing_changes(core, alice, "/f"), pytest.raises(error):
        put_body(core, alice, "/f", HookedBody(data, broken))


@both
def test_a_wrong_checksum_changes_nothing_and_a_right_one_is_remembered(
    core: Core, alice: Principal, data: bytes
) -> None:
    core.put(alice, "/f", b"good")
    body = BytesBody(data, len(data))
    with nothing_changes(core, alice, "/f"), pytest.raises(ChecksumMismatch):
        put_body(core, alice, "/f", body, PutDetails(checksum="SHA1:" + "0" * 40))
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    put_body(core, alice, "/f", BytesBody(data, len(data)), PutDetails(checksum=f"SHA1:{digest.upper()}"))
    revision = core.tree.find(alice, path("/f")).revision
    assert revision is not None
    assert revision.checksums == f"SHA1:{digest}"


@both
def test_if_match_is_checked_again_when_the_put_commits(core: Core, alice: Principal, data: bytes) -> None:
    core.put(alice, "/f", b"old")
    condition = Preconditions(if_match=TagSet((EntityTag(core.etag(alice, "/f")),)))
    body = HookedBody(data, lambda: core.put(alice, "/f", b"somebody was faster"))
    with pytest.raises(PreconditionFailed):
        put_body(core, alice, "/f", body, preconditions=condition)
    assert core.get(alice, "/f") == b"somebody was faster"
    assert objects(core) == set()
    assert count(core, UploadRow) == 0


@both
def test_if_none_match_is_checked_again_when_the_put_commits(core: Core, alice: Principal, data: bytes) -> None:
    body = HookedBody(data, lambda: core.put(alice, "/f", b"somebody was faster"))
    with pytest.raises(PreconditionFailed):
        put_body(core, alice, "/f", body, preconditions=Preconditions(if_none_match=TagSet(any=True)))
    assert core.get(alice, "/f") == b"somebody was faster"


@both
def test_a_lock_taken_while_the_body_arrives_is_honoured(core: Core, alice: Principal, data: bytes) -> None:
    request = LockRequest(LockScope.EXCLUSIVE, is_deep=False, owner_xml="", seconds=60)
    core.put(alice, "/f", b"old")
    body = HookedBody(data, lambda: core.locks.acquire(alice, path("/f"), request, NO_CONDITIONS))
    with pytest.raises(Locked):
        put_body(core, alice, "/f", body)
    assert core.get(alice, "/f") == b"old"


@both
def test_a_parent_that_goes_while_the_body_arrives_is_noticed(core: Core, alice: Principal, data: bytes) -> None:
    core.mkcol(alice, "/d")
    with pytest.raises(ParentMissing):
        put_body(core, alice, "/d/f", HookedBody(data, lambda: core.tree.discard(alice, path("/d"))))
    with pytest.raises(IsCollection):
        put_body(core, alice, "/d", HookedBody(data, lambda: core.mkcol(alice, "/d")))
    assert objects(core) == set()


@both
def test_over_the_quota_nothing_is_stored_and_nothing_of_a_large_body_is_read(core: Core, data: bytes) -> None:
    carol = core.add_user("carol", quota=len(data) - 1)
    body = BytesBody(data, len(data))
    with pytest.raises(QuotaExceeded):
        put_body(core, carol, "/f", body)
    assert body._at == (len(data) if len(data) <= INLINE_LIMIT else 0)
    assert core.scalar(select(func.count()).select_from(BlobRow)) == 0


def test_an_upload_reserves_what_it_announces_until_it_ends(core: Core) -> None:
    carol = core.add_user("carol", quota=30_000)
    seen: list[object] = []

    def meanwhile() -> None:
        seen.append(core.tree.usage(carol).available)
        with pytest.raises(QuotaExceeded):
            core.put(carol, "/other", b"x" * 10_001)
        core.put(carol, "/small", b"x" * 500)
        for number in range(18):
            core.tree.copy(carol, path("/small"), path(f"/small{number}"), overwrite=False, deep=True)
        core.put(carol, "/rest", b"x" * 500)
        with pytest.raises(QuotaExceeded):
            core.tree.copy(carol, path("/small"), path("/small18"), overwrite=False, deep=True)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        put_body(core, carol, "/f", HookedBody(LARGE, meanwhile))
    assert seen == [10_000]
    assert core.used(carol) == 10_000
    core.put(carol, "/f", LARGE)
    assert core.tree.usage(carol).available == 0
    assert core.used(carol) == 30_000


def test_a_body_of_unknown_length_stops_where_the_quota_ends(core: Core) -> None:
    carol = core.add_user("carol", quota=100_000)
    body = GeneratedBody(None, 500 << 20)
    with nothing_changes(core, carol), pytest.raises(QuotaExceeded):
        put_body(core, carol, "/f", body)
    assert body.left > (490 << 20)


def test_the_quota_counts_what_each_file_holds_whoever_shares_it(database_url: str, tmp_path: Path) -> None:
    core = make_core(Database(database_url), FolderStore(tmp_path / "blobs"), keep=KeepReplaced(retention=0))
    dora = core.add_user("dora")
    core.put(dora, "/a", LARGE)
    core.tree.copy(dora, path("/a"), path("/b"), overwrite=False, deep=True)
    assert core.used(dora) == 2 * len(LARGE)
    core.put(dora, "/b", b"1")
    assert core.used(dora) == len(LARGE) + 1
    core.put(dora, "/a", b"12")
    assert core.used(dora) == 3
    core.close()


def test_without_a_retention_replaced_content_goes_when_nobody_else_refers_to_it(
    database_url: str, tmp_path: Path
) -> None:
    core = make_core(Database(database_url), FolderStore(tmp_path / "blobs"), keep=KeepReplaced(retention=0))
    dora = core.add_user("dora")
    core.put(dora, "/a", LARGE)
    core.tree.copy(dora, path("/a"), path("/b"), overwrite=False, deep=True)
    core.put(dora, "/a", b"1")
    assert count(core, JobRow) == 0
    assert core.get(dora, "/b") == LARGE
    core.put(dora, "/b", b"2")
    assert core.scalar(select(JobRow.kind)).startswith("remove_blob")
    assert count(core, BlobRow) == count(core, RevisionRow) == 2
    core.close()


def test_replaced_content_is_kept_so_many_times(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"")  # what is empty is not worth keeping
    for number in range(14):
        core.put(alice, "/f", f"{number:02}".encode())
    kept = [core.get(alice, f"/.trash/{name}") for name in core.names(alice, "/.trash")]
    assert sorted(kept) == [f"{n:02}".encode() for n in range(3, 13)]
    assert core.used(alice) == 22
    assert count(core, BlobRow) == 11


class AnswerLost(Database):
    """A database whose answer to a commit gets lost on the way when asked to."""

    lose = False

    @contextmanager
    def write(self) -> Iterator[Unit]:
        with self._losing(super().write()) as unit:
            yield unit

    @contextmanager
    def write_in_packets(self) -> Iterator[Unit]:
        with self._losing(super().write_in_packets()) as unit:
            yield unit

    @contextmanager
    def _losing(self, write: AbstractContextManager[Unit]) -> Iterator[Unit]:
        with write as unit:
            yield unit
        with self.read() as connection:
            inserts_blob = connection.execute(select(func.count()).select_from(BlobRow)).scalar()
        if self.lose and inserts_blob:
            self.lose = False
            raise DatabaseUnavailable


@both
def test_a_commit_whose_answer_got_lost_keeps_its_bytes(database_url: str, tmp_path: Path, data: bytes) -> None:
    database = AnswerLost(database_url)
    core = make_core(database, FolderStore(tmp_path / "blobs"))
    dora = core.add_user("dora")
    database.lose = True
    with pytest.raises(DatabaseUnavailable):
        core.put(dora, "/f", data)
    assert core.get(dora, "/f") == data
    assert core.used(dora) == len(data)
    assert count(core, UploadRow) == 0
    core.close()


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "replacing"])
def test_an_upload_that_was_given_up_meanwhile_is_not_attached(core: Core, alice: Principal, is_new: bool) -> None:
    if not is_new:
        core.put(alice, "/f", b"old")

    def sweep() -> None:
        with core.database.write() as unit:
            unit.connection.execute(delete(UploadRow))

    body = HookedBody(LARGE, sweep)
    with nothing_changes(core, alice), pytest.raises(Unavailable):
        put_body(core, alice, "/f", body)


def test_an_upload_pushes_on_the_time_of_its_end_while_bytes_arrive(core: Core, alice: Principal) -> None:
    seen: list[int] = []

    class Slow(BytesBody):
        def read(self, size: int) -> bytes:
            core.clock.advance(12 * 3600)
            if self._at > INLINE_LIMIT:
                seen.append(core.scalar(select(UploadRow.expires_at)) - core.clock.now)
            return super().read(min(size, 5000))

    put_body(core, alice, "/f", Slow(LARGE, len(LARGE)))
    assert core.get(alice, "/f") == LARGE
    assert len(seen) >= 3
    assert min(seen) >= 12 * HOUR - SECOND


def test_what_a_dead_process_reserved_counts_until_its_upload_expires(core: Core) -> None:
    carol = core.add_user("carol", quota=30_000)
    core.content._uploads.begin(carol.owner_id, "ab" * 16, 20_000)
    with pytest.raises(QuotaExceeded):
        core.put(carol, "/f", LARGE)
    with core.database.write() as unit:
        unit.connection.execute(update(UploadRow).values(reserved_bytes=0))
    core.put(carol, "/f", LARGE)


def stored_file(core: Core) -> Path:
    assert isinstance(core.store, FolderStore)
    (key,) = objects(core)
    return core.store._root / key


def read_until_error(core: Core, who: Principal, where: str) -> tuple[bytes, DavserverError | None]:
    resource = core.tree.find(who, path(where))
    assert resource.revision is not None
    got = b""
    try:
        for block in core.content.read(who, resource, 0, resource.revision.size):
            got += block
    except DavserverError as error:
        return got, error
    return got, None


@pytest.mark.parametrize("harm", ["altered", "cut", "removed", "swapped"])
def test_damaged_content_is_an_error_and_never_wrong_bytes(core: Core, alice: Principal, harm: str) -> None:
    core.put(alice, "/f", LARGE)
    file = stored_file(core)
    sealed = bytearray(file.read_bytes())
    if harm == "altered":
        sealed[-20] ^= 1
    elif harm == "cut":
        del sealed[-10:]
    elif harm == "swapped":
        first, second = slice(SEGMENT_SIZE, 2 * SEGMENT_SIZE), slice(2 * SEGMENT_SIZE, 3 * SEGMENT_SIZE)
        sealed[first], sealed[second] = sealed[second], sealed[first]
    file.write_bytes(sealed)
    if harm == "removed":
        file.unlink()
    got, error = read_until_error(core, alice, "/f")
    assert isinstance(error, BlobMissing if harm == "removed" else ContentDamaged)
    assert LARGE.startswith(got)
    assert len(got) < len(LARGE)


def test_what_is_missing_or_damaged_at_its_start_is_known_before_the_answer_begins(
    core: Core, alice: Principal
) -> None:
    core.put(alice, "/f", LARGE)
    stored_file(core).unlink()
    resource = core.tree.find(alice, path("/f"))
    with pytest.raises(BlobMissing):
        core.content.read(alice, resource, 0, 10)


def test_a_reader_who_has_begun_gets_the_old_content_to_its_end(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", LARGE)
    resource = core.tree.find(alice, path("/f"))
    blocks = core.content.read(alice, resource, 0, len(LARGE))
    got = next(blocks)
    core.put(alice, "/f", b"new")
    core.tree.discard(alice, path("/f"))
    assert got + b"".join(blocks) == LARGE


def test_memory_stays_flat_in_both_directions(core: Core, alice: Principal) -> None:
    size = 96 << 20
    core.put(alice, "/warm-up", LARGE)
    gc.collect()
    tracemalloc.start()
    try:
        put_body(core, alice, "/f", GeneratedBody(size, size))
        resource = core.tree.find(alice, path("/f"))
        assert sum(map(len, core.content.read(alice, resource, 0, size))) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * READ_SIZE
