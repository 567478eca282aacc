"""Old sets go and nothing that a set which stays refers to, whenever it is interrupted."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from davserver.db.units import Database
from davserver.domain.clock import SECOND
from davserver.domain.errors import ConfigError
from davserver.domain.principal import Principal
from davserver.services.backup import hash_blob
from davserver.services.backup_format import BLOBS, SETS, lines, locked, name_of, sets_of
from davserver.services.backup_prune import Keep, Prune, Pruned
from davserver.stores.folder import FolderStore
from tests.services.test_backup import backup_of, restored
from tests.support.core import Core, make_core, path
from tests.support.databases import SqliteDatabases
from tests.support.upkeep import helpers_of

DAY = 86_400


@pytest.fixture
def core(sqlite_databases: SqliteDatabases, tmp_path: Path) -> Iterator[Core]:
    """The services on SQLite alone: nothing here depends on the database."""
    made = make_core(Database(sqlite_databases.migrated()), FolderStore(tmp_path / "blobs"))
    yield made
    made.close()


def prune(core: Core, target: Path, keep: Keep, *, only_tell: bool = False) -> Pruned:
    return Prune(core.clock, FolderStore).run(target, keep, only_tell=only_tell)


def content(number: int) -> bytes:
    return bytes([number]) * 5000


def make_sets(core: Core, who: Principal, target: Path, count: int) -> None:
    """A set a day: /same is in all, /changing differs in each, so that every set has content of its own."""
    core.put(who, "/same", b"s" * 5000)
    helpers = helpers_of(core)
    for number in range(count):
        core.put(who, "/changing", content(number))
        helpers.trash.empty(who)
        helpers.look()
        backup_of(core).run(target)
        core.clock.advance(DAY)


def blobs_in(target: Path) -> set[str]:
    return {blob.key.rpartition("/")[2] for blob in FolderStore(target / BLOBS).list()}


def assert_whole(target: Path) -> None:
    """Every set that is there has all its content."""
    copies = FolderStore(target / BLOBS)
    for folder in sets_of(target):
        for blob_id, size, digest in lines(folder / "blobs.jsonl.gz"):
            assert hash_blob(copies, blob_id, size) == digest


def referred(target: Path) -> set[str]:
    return {line[0] for folder in sets_of(target) for line in lines(folder / "blobs.jsonl.gz")}


def days(*numbers: int) -> Sequence[Path]:
    """Sets of noon, so many days ago."""
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    return [Path(SETS) / name_of(noon - timedelta(days=number)) for number in sorted(numbers, reverse=True)]


def ago(kept: Sequence[Path]) -> list[int]:
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    return [(noon - datetime.strptime(folder.name, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)).days for folder in kept]


def test_what_stays_is_the_last_of_each_day_week_and_month() -> None:
    all_days = days(*range(100))  # 2026-11-25 was a Wednesday
    assert ago(Keep(last=3).of(all_days)) == [2, 1, 0]
    assert ago(Keep(daily=2).of(all_days)) == [1, 0]
    assert ago(Keep(weekly=3).of(all_days)) == [10, 3, 0]
    assert ago(Keep(monthly=3).of(all_days)) == [56, 25, 0]
    assert ago(Keep(daily=2, weekly=2, monthly=2).of(all_days)) == [25, 3, 1, 0]
    assert ago(Keep().of(all_days)) == [0]
    gaps = days(0, 40, 41, 300)
    assert ago(Keep(daily=3).of(gaps)) == [41, 40, 0]


def test_old_sets_go_with_what_only_they_have_and_the_rest_can_be_restored(
    core: Core, alice: Principal, tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    make_sets(core, alice, target, 5)
    before = blobs_in(target)
    assert len(before) == 6
    told = prune(core, target, Keep(last=2), only_tell=True)
    assert (len(told.removed), told.blobs) == (3, 3)
    assert (blobs_in(target), len(sets_of(target))) == (before, 5)
    done = prune(core, target, Keep(last=2))
    assert done == told
    assert done.bytes > 3 * 5000
    assert [folder.name for folder in sets_of(target)] == list(done.kept)
    assert blobs_in(target) == referred(target)
    assert_whole(target)
    assert backup_of(core).check(target) == []
    oldest = sets_of(target)[0]
    there = restored(core, oldest, f"sqlite:///{tmp_path}/other.sqlite3", tmp_path / "elsewhere")
    try:
        assert there.get(alice, "/changing") == content(3)
        assert there.get(alice, "/same") == b"s" * 5000
        assert there.verify(deep=True).is_clean
    finally:
        there.close()
    assert prune(core, target, Keep(last=2)).blobs == 0


class Interrupted(Exception):
    pass


class Failing(FolderStore):
    """Removes so many, and then somebody pulls the plug."""

    left = 0

    def remove(self, key: str) -> None:
        if Failing.left == 0:
            raise Interrupted
        Failing.left -= 1
        super().remove(key)


@pytest.mark.parametrize("after", range(3))
def test_a_prune_that_is_interrupted_harms_nothing_and_the_next_goes_on(
    core: Core, alice: Principal, tmp_path: Path, after: int
) -> None:
    target = tmp_path / "backup"
    make_sets(core, alice, target, 4)
    Failing.left = after
    with pytest.raises(Interrupted):
        Prune(core.clock, Failing).run(target, Keep(last=1))
    assert_whole(target)
    assert backup_of(core).check(target) == []
    assert prune(core, target, Keep(last=1)).blobs == 3 - after
    assert blobs_in(target) == referred(target)


def test_a_set_that_was_only_half_removed_is_none_and_goes_with_the_next_run(
    core: Core, alice: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup"
    make_sets(core, alice, target, 3)

    def interrupted(folder: Path) -> None:
        (folder / "manifest.json").unlink()
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", interrupted)
        with pytest.raises(Interrupted):
            prune(core, target, Keep(last=1))
    assert len(sets_of(target)) == 1
    assert_whole(target)
    prune(core, target, Keep(last=1))
    assert len(list((target / SETS).iterdir())) == 1
    assert blobs_in(target) == referred(target)
    core.put(alice, "/changing", content(9))
    _, manifest = backup_of(core).run(target)
    assert manifest["blobs"]["copied"] == 1


def test_nothing_goes_when_a_set_that_stays_is_damaged_or_anything_is_odd(
    core: Core, alice: Principal, tmp_path: Path
) -> None:
    target = tmp_path / "backup"
    with pytest.raises(ConfigError, match="no backup"):
        prune(core, target, Keep(last=1))
    make_sets(core, alice, target, 3)
    before = blobs_in(target)
    kept = sets_of(target)[-1] / "blobs.jsonl.gz"
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    with pytest.raises(ConfigError, match="altered"):
        prune(core, target, Keep(last=1))
    kept.write_bytes(whole)
    (sets_of(target)[0]).rename(target / SETS / "my own name")
    with pytest.raises(ConfigError, match="move it elsewhere"):
        prune(core, target, Keep(daily=1))
    assert (blobs_in(target), len(sets_of(target))) == (before, 3)


def test_no_two_work_in_one_folder_at_the_same_time(core: Core, alice: Principal, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    make_sets(core, alice, target, 2)
    with locked(target):
        with pytest.raises(ConfigError, match="at work"):
            prune(core, target, Keep(last=1))
        with pytest.raises(ConfigError, match="at work"):
            backup_of(core).run(target)
    assert len(sets_of(target)) == 2
    core.tree.discard(alice, path("/same"))
    assert backup_of(core).run(target)[1]["blobs"]["copied"] == 0


def test_moments_and_names_of_sets_are_each_other_s_inverse() -> None:
    moment = datetime.fromtimestamp(1_700_000_000_123_456 / SECOND, UTC)
    assert name_of(moment) == "20231114T221320.123456Z"
