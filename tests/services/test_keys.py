"""Keys: a new current key at once, blobs re-wrapped by their rows alone, and no key that somebody does not know."""

from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from davserver.crypto.keyfile import load_or_create, save
from davserver.crypto.keyring import KeyRing
from davserver.db.rows import BlobRow, KeyHolderRow, MasterKeyRow
from davserver.domain.errors import KeyRingError, KeyUnknown
from davserver.domain.principal import Principal
from davserver.jobs.queue import Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner, Stopped
from davserver.services import keys as service
from davserver.services.content import PutDetails
from davserver.services.keys import GONE, GRACE, Keys
from tests.support.core import BytesBody, Core, make_core, path

LARGE = b"x" * 5000


def keys_of(core: Core, ring: KeyRing | None = None, source: str = "here") -> Keys:
    return Keys(core.database, ring or core.keyring, core.clock, source=source)


def with_ring(core: Core, ring: KeyRing) -> Core:
    return make_core(core.database, core.store, clock=core.clock, keyring=ring)


def under(core: Core, key_id: str) -> int:
    return int(core.scalar(select(func.count()).select_from(BlobRow).where(BlobRow.key_id == key_id)))


def work(core: Core, keys: Keys) -> None:
    runner = Runner(
        Queue(core.database, core.clock, core.random), Recurring(core.database, core.clock, {}), keys.handlers
    )
    while runner.look():
        core.clock.advance(2)


def test_all_blobs_come_under_the_current_key_and_not_a_byte_is_read(core: Core, alice: Principal) -> None:
    for number in range(7):
        core.put(alice, f"/{number}", b"small" if number % 2 else LARGE + bytes([number]))
    old = core.keyring
    new = with_ring(core, old.with_new_key())
    keys = keys_of(new)
    keys.check()
    before = {blob.key: (blob.size, blob.modified) for blob in core.store.list()}
    assert keys.begin_rewrap() == 7
    work(new, keys)
    assert under(core, new.keyring.current) == 7
    assert {blob.key: (blob.size, blob.modified) for blob in core.store.list()} == before
    alone = with_ring(core, new.keyring.without(old.current))
    assert [alone.get(alice, f"/{n}") for n in range(7)] == [
        b"small" if n % 2 else LARGE + bytes([n]) for n in range(7)
    ]
    assert alone.verify(deep=True).is_clean


def test_a_rewrap_that_is_stopped_goes_on_where_it_was(
    core: Core, alice: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_BATCH", 2)
    for number in range(9):
        core.put(alice, f"/{number}", b"small")
    new = with_ring(core, core.keyring.with_new_key())
    keys = keys_of(new)
    keys.check()
    keys.begin_rewrap()
    wrap, left = KeyRing.wrap, [3]

    def dying(self: KeyRing, *args: bytes, **more: str) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return wrap(self, *args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "wrap", dying)
        runner = Runner(
            Queue(core.database, core.clock, core.random), Recurring(core.database, core.clock, {}), keys.handlers
        )
        patch.setattr(runner._queue, "release", lambda job: runner.stop())  # as after kill -9: the claim stays
        runner.look()
    assert under(core, new.keyring.current) == 2  # one whole step
    core.clock.advance(300)
    work(new, keys)
    assert under(core, new.keyring.current) == 9
    assert new.verify(deep=True).is_clean


def test_a_worker_without_the_new_key_leaves_the_work_to_others(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"small")
    new = with_ring(core, core.keyring.with_new_key())
    keys_of(new).check()
    keys_of(new).begin_rewrap()
    work(core, keys_of(core))
    assert under(core, core.keyring.current) == 1
    core.clock.advance(1000)
    work(new, keys_of(new))
    assert under(core, new.keyring.current) == 1


def test_a_key_may_go_only_when_nothing_is_or_can_come_under_it(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"small")
    old = core.keyring.current
    new = with_ring(core, core.keyring.with_new_key())
    keys = keys_of(new)
    keys.check()
    assert "seals what is new" in keys.why_not_retire(new.keyring.current)
    assert "1 contents are still sealed" in keys.why_not_retire(old)
    keys.begin_rewrap()
    work(new, keys)
    elsewhere = keys_of(core, source="elsewhere")
    elsewhere.beat()
    assert "still seal with" in keys.why_not_retire(old)
    elsewhere.leave()
    assert "try again in" in keys.why_not_retire(old)
    core.clock.advance(GRACE / 1_000_000)
    assert keys.why_not_retire(old) == ""


def test_a_key_that_a_running_process_lacks_must_not_become_current(core: Core) -> None:
    spare = core.keyring.with_spare_key()
    keys_of(core, source="elsewhere").beat()
    keys_of(core, spare).check()  # it only opens
    with pytest.raises(KeyRingError, match="must not seal anything yet"):
        keys_of(core, spare.with_current(spare.key_ids[-1])).check()
    core.clock.advance(GONE / 1_000_000 + 1)
    keys_of(core, spare.with_current(spare.key_ids[-1])).check()


def test_another_key_under_the_same_id_is_found_before_it_seals_anything(core: Core) -> None:
    keys_of(core, KeyRing({"k1": b"1" * 32}, "k1")).check()
    with pytest.raises(KeyRingError, match="it is another key"):
        keys_of(core, KeyRing({"k1": b"2" * 32}, "k1")).check()


def test_a_process_that_ends_is_no_holder_any_more(core: Core) -> None:
    keys = keys_of(core)
    keys.beat()
    assert core.scalar(select(func.count()).select_from(KeyHolderRow)) == 1
    keys.leave()
    assert core.scalar(select(func.count()).select_from(KeyHolderRow)) == 0


def test_content_whose_key_is_not_here_is_unavailable_and_comes_back_with_the_key(core: Core, alice: Principal) -> None:
    core.put(alice, "/a", b"small")
    lacking = with_ring(core, KeyRing.generate())
    with pytest.raises(KeyUnknown):
        lacking.get(alice, "/a")
    assert core.get(alice, "/a") == b"small"


def test_a_running_process_follows_its_key_file(core: Core, alice: Principal, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    running, other = with_ring(core, load_or_create(file)), with_ring(core, load_or_create(file))
    first = running.keyring.current
    running.put(alice, "/a", b"one")
    save(file, running.keyring.with_new_key())
    running.put(alice, "/b", b"two")
    assert running.keyring.current != first
    assert under(core, running.keyring.current) == 1
    assert other.get(alice, "/b") == b"two"
    save(file, running.keyring.without(first))
    assert running.get(alice, "/a") == b"one"  # what it once knew it goes on to open
    file.write_text("spoilt")
    assert running.get(alice, "/b") == b"two"
    running.put(alice, "/c", b"three")


def test_an_upload_that_began_under_an_older_key_ends_under_the_current_one(
    core: Core, alice: Principal, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    running = with_ring(core, load_or_create(file))

    class Rotating(BytesBody):
        def read(self, size: int) -> bytes:
            if self._at and len(running.keyring.key_ids) == 1:
                save(file, running.keyring.with_new_key())
            return super().read(size)

    running.content.put(alice, path("/a"), Rotating(LARGE, len(LARGE)), PutDetails())
    assert len(running.keyring.key_ids) == 2
    assert under(core, running.keyring.current) == 1
    assert running.get(alice, "/a") == LARGE


def test_what_is_superseded_and_comes_back_is_current_again(core: Core) -> None:
    first = core.keyring
    both = first.with_new_key()
    keys_of(core, both).check()
    keys_of(core, both).begin_rewrap()
    again = keys_of(core, both.with_current(first.current))
    again.begin_rewrap()
    superseded = select(MasterKeyRow.key_id).where(MasterKeyRow.superseded_at.is_not(None))
    assert core.scalar(superseded) == both.current
    with core.database.write() as unit:
        unit.connection.execute(update(MasterKeyRow).values(superseded_at=None))
