"""Quota: exact to the byte, never negative, and checked before bytes are taken."""

import io
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select, text, update

from davserver.db.rows import TreeRow, UploadRow, UserRow
from davserver.db.units import Database
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import IncompleteBody, QuotaExceeded, StoreFull
from davserver.domain.principal import Principal
from davserver.services.content import PutDetails
from davserver.stores.memory import MemoryStore
from tests.support.core import INLINE_LIMIT, BytesBody, Core, make_core, path
from tests.support.upkeep import helpers_of

QUOTA = 10_000
COUNTED = text(
    "SELECT coalesce(sum(v.size), 0) FROM resource r"
    " JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id WHERE r.owner_id = :owner"
)


@pytest.fixture
def carol(core: Core) -> Principal:
    """A user with a quota of 10,000 bytes."""
    return core.add_user("carol", quota=QUOTA)


def left(core: Core, who: Principal) -> int:
    available = core.tree.usage(who).available
    assert available is not None
    return available


def check_books(core: Core, who: Principal) -> None:
    """What is counted is what is there."""
    with core.database.read() as connection:
        assert connection.execute(COUNTED, {"owner": who.owner_id}).scalar_one() == core.used(who)


class Body(BytesBody):
    """Comes in small pieces, and calls something once so many bytes are taken."""

    def __init__(self, data: bytes, *, length: int | None, when: dict[int, Callable[[], None]]) -> None:
        super().__init__(data, length)
        self._stream = io.BytesIO(data)
        self._when = when
        self.taken = 0

    def read(self, size: int) -> bytes:
        for point in [point for point in self._when if point <= self.taken]:
            self._when.pop(point)()
        piece = self._stream.read(min(size, 500))
        self.taken += len(piece)
        return piece


def test_what_fits_to_the_byte_is_taken_and_one_more_is_not(core: Core, carol: Principal) -> None:
    core.put(carol, "/a", b"x" * 4000)
    with pytest.raises(QuotaExceeded):
        core.put(carol, "/b", b"x" * 6001)
    core.put(carol, "/b", b"x" * 6000)
    assert (core.used(carol), left(core, carol)) == (QUOTA, 0)
    with pytest.raises(QuotaExceeded):
        core.put(carol, "/c", b"x")
    core.put(carol, "/empty", b"")
    core.mkcol(carol, "/d")
    check_books(core, carol)


@pytest.mark.parametrize("size", [900, 6001], ids=["inline", "in the store"])
def test_what_cannot_fit_is_refused_before_a_byte_is_read_that_is_not_at_hand(
    core: Core, carol: Principal, size: int
) -> None:
    core.put(carol, "/a", b"x" * (QUOTA - size + 1))
    body = Body(b"x" * size, length=size, when={})
    with pytest.raises(QuotaExceeded):
        core.content.put(carol, path("/b"), body, PutDetails())
    assert body.taken == (size if size <= INLINE_LIMIT else 0)
    assert core.used(carol) == QUOTA - size + 1
    assert core.scalar(select(UploadRow.blob_id)) is None


def test_an_upload_without_a_length_stops_where_the_room_ends(core: Core, carol: Principal) -> None:
    body = Body(b"x" * 1_000_000, length=None, when={})
    with pytest.raises(QuotaExceeded):
        core.content.put(carol, path("/endless"), body, PutDetails())
    assert body.taken <= QUOTA + 500
    assert core.used(carol) == 0
    assert list(core.store.list()) == []
    core.content.put(carol, path("/fits"), Body(b"x" * QUOTA, length=None, when={}), PutDetails())
    assert core.used(carol) == QUOTA


def test_an_upload_reserves_its_length_from_its_start_to_its_end(core: Core, carol: Principal) -> None:
    seen: list[int] = []

    def meanwhile() -> None:
        seen.append(left(core, carol))
        assert core.used(carol) == 100
        for size in (901, 5000):
            with pytest.raises(QuotaExceeded):
                core.put(carol, "/other", b"x" * size)
        core.put(carol, "/filler", b"x" * 850)
        with pytest.raises(QuotaExceeded):
            core.tree.copy(carol, path("/a"), path("/b"), overwrite=False, deep=True)

    core.put(carol, "/a", b"x" * 100)
    core.content.put(carol, path("/up"), Body(b"x" * 9000, length=9000, when={3000: meanwhile}), PutDetails())
    assert seen == [900]
    assert core.used(carol) == 100 + 850 + 9000
    check_books(core, carol)


def test_an_upload_that_fails_gives_back_what_it_reserved(core: Core, carol: Principal) -> None:
    with pytest.raises(IncompleteBody):
        core.content.put(carol, path("/cut"), Body(b"x" * 4000, length=9000, when={}), PutDetails())
    assert (core.used(carol), left(core, carol)) == (0, QUOTA)
    core.put(carol, "/whole", b"x" * QUOTA)


def test_of_uploads_at_once_only_those_that_fit_are_let_in(database_url: str, core: Core, carol: Principal) -> None:
    databases = [Database(database_url) for _ in range(2)]
    cores = [make_core(each, core.store, keyring=core.keyring) for each in databases]
    all_in = threading.Barrier(6)
    results: list[str] = []

    def upload(number: int) -> None:
        body = Body(b"x" * 3000, length=3000, when={1500: lambda: None})
        all_in.wait()
        try:
            cores[number % 2].content.put(carol, path(f"/f{number}"), body, PutDetails())
            results.append("stored")
        except QuotaExceeded:
            results.append("refused")

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in databases:
        each.close()
    assert sorted(results) == ["refused"] * 3 + ["stored"] * 3
    assert core.used(carol) == 9000
    check_books(core, carol)
    assert len(list(core.store.list())) == 3


def test_trash_and_kept_content_count_until_they_are_purged(core: Core, carol: Principal) -> None:
    helpers = helpers_of(core)
    core.put(carol, "/a", b"x" * 3000)
    core.put(carol, "/a", b"y" * 3000)
    assert core.used(carol) == 6000
    core.tree.discard(carol, path("/a"))
    assert (core.used(carol), left(core, carol)) == (6000, 4000)
    with pytest.raises(QuotaExceeded):
        core.put(carol, "/b", b"x" * 4001)
    helpers.trash.empty(carol)
    helpers.work()
    assert (core.used(carol), left(core, carol)) == (0, QUOTA)


def test_a_quota_that_is_lowered_below_what_is_used_leaves_nothing_and_not_less(core: Core, carol: Principal) -> None:
    core.put(carol, "/a", b"x" * 5000)
    with core.database.write() as unit:
        unit.connection.execute(update(UserRow).where(UserRow.id == carol.user_id).values(quota_bytes=1000))
    assert (core.used(carol), left(core, carol)) == (5000, 0)
    with pytest.raises(QuotaExceeded):
        core.put(carol, "/b", b"x")
    core.tree.move(carol, path("/a"), path("/c"), overwrite=False)
    core.tree.discard(carol, path("/c"))
    core.tree.move(carol, path("/.trash/c"), path("/a"), overwrite=False)
    core.put(carol, "/empty", b"")
    check_books(core, carol)


def test_the_database_itself_refuses_a_negative_use(core: Core, carol: Principal) -> None:
    def take_too_much() -> None:
        with core.database.write() as unit:
            unit.connection.execute(update(TreeRow).where(TreeRow.owner_id == carol.owner_id).values(used_bytes=-1))

    with pytest.raises(Exception, match="used_bytes"):
        take_too_much()


def test_available_is_never_more_than_the_store_has_room_for(database_url: str) -> None:
    core = make_core(Database(database_url), MemoryStore(capacity=7000))
    carol = core.add_user("carol", quota=QUOTA)
    assert left(core, carol) == 7000

    def fail() -> None:
        raise AssertionError("the body was read")

    with pytest.raises(StoreFull):
        core.content.put(carol, path("/f"), Body(b"x" * 8000, length=8000, when={0: fail}), PutDetails())
    core.close()


def test_the_books_stay_right_through_everything(core: Core, carol: Principal) -> None:
    helpers = helpers_of(core)
    core.mkcol(carol, "/d")
    core.put(carol, "/d/a", b"x" * 1200)
    core.put(carol, "/d/b", b"x" * 10)
    steps: list[Callable[[], object]] = [
        lambda: core.tree.copy(carol, path("/d"), path("/e"), overwrite=False, deep=True),
        lambda: core.put(carol, "/e/a", b"y" * 1300),
        lambda: core.tree.copy(carol, path("/d/b"), path("/e/a"), overwrite=True, deep=True),
        lambda: core.tree.move(carol, path("/e"), path("/d"), overwrite=True),
        lambda: core.tree.discard(carol, path("/d/a")),
        lambda: helpers.trash.restore(carol, "d", to=path("/back")),
        lambda: core.tree.discard(carol, path("/.trash/a (2)")),
        lambda: core.put(carol, "/d/b", b""),
        lambda: helpers.trash.empty(carol),
        lambda: core.content.check_put(carol, path("/n"), 10, NO_CONDITIONS),
    ]
    for step in steps:
        step()
        check_books(core, carol)
        helpers.work()
        check_books(core, carol)
    assert core.names(carol, "/.trash") == []
