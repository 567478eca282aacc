"""Figures about a drive: right after every kind of change, and cheap to ask for again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.db.units import Database
from davserver.services import statistics as module
from davserver.services.attaching import PutDetails
from davserver.services.statistics import Amount, Figures, Statistics
from davserver.stores.folder import FolderStore
from tests.support.core import BytesBody, Core, make_core, path, statements

DAY = 86_400


@pytest.fixture
def core(database_url: str, tmp_path: Path) -> Iterator[Core]:
    made = make_core(Database(database_url), FolderStore(tmp_path / "blobs"))
    yield made
    made.close()


def summary(figures: Figures) -> tuple[int, int, int, int, int]:
    return (
        figures.total.files, figures.total.size, figures.folders, figures.trash.files, figures.trash.size,
    )  # fmt: skip


def test_files_folders_bytes_and_the_trash_are_counted_once_each(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    assert summary(statistics.of(who)) == (0, 0, 0, 0, 0)
    core.mkcol(who, "/a", "/a/b")
    for n in range(3):
        core.put(who, f"/a/b/{n}", b"x" * 100)
    assert summary(statistics.of(who)) == (3, 300, 2, 0, 0)
    core.tree.copy(who, path("/a"), path("/c"), overwrite=False, deep=True)
    core.put(who, "/c/b/0", b"y" * 10)
    assert summary(statistics.of(who)) == (6, 510, 4, 1, 100)
    core.tree.discard(who, path("/a"))
    figures = statistics.of(who)
    assert summary(figures) == (3, 210, 2, 4, 400)
    assert figures.total.size + figures.trash.size == core.used(who)
    core.tree.move(who, path("/.trash/a"), path("/d"), overwrite=False)
    assert summary(statistics.of(who)) == (6, 510, 4, 1, 100)
    core.tree.discard(who, path("/d"))
    core.tree.discard(who, path("/.trash"))
    assert summary(statistics.of(who)) == (3, 210, 2, 0, 0)
    assert summary(statistics.of(core.add_user("bob"))) == (0, 0, 0, 0, 0)


def test_the_largest_files_are_those_outside_of_the_trash(core: Core) -> None:
    who = core.add_user("ada")
    core.mkcol(who, "/a")
    for n in range(14):
        core.put(who, f"/a/{n}", b"x" * (n + 1))
    core.tree.discard(who, path("/a/13"))
    found = Statistics(core.database, core.clock).of(who).largest
    assert [("/" + "/".join(one.path.names), one.size) for one in found] == [
        (f"/a/{n}", n + 1) for n in range(12, 2, -1)
    ]


def test_files_are_counted_by_type_and_by_the_day_they_were_written(core: Core) -> None:
    who = core.add_user("ada")
    for name, kind in (("a.png", "image/png"), ("b.png", "image/png"), ("c.txt", "text/plain")):
        core.content.put(who, path(f"/{name}"), BytesBody(b"12345", 5), PutDetails(content_type=kind))
        core.clock.advance(DAY)
    figures = Statistics(core.database, core.clock).of(who)
    assert figures.by_type == {"image/png": Amount(2, 10), "text/plain": Amount(1, 5)}
    first = min(figures.by_day)
    assert figures.by_day == {first + n: Amount(1, 5) for n in range(3)}


def test_asking_again_costs_one_query_until_something_changes(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.put(who, "/a", b"1")
    before = statistics.of(who)
    with statements(core.database) as run:
        assert statistics.of(who) is before
    assert len([statement for statement in run if "SELECT" in statement]) == 1


def test_a_large_drive_that_keeps_changing_is_counted_once_a_minute(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 1)
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.put(who, "/a", b"1")
    core.put(who, "/b", b"1")
    assert statistics.of(who).total.files == 2
    core.put(who, "/c", b"1")
    assert statistics.of(who).total.files == 2
    core.clock.advance(61)
    assert statistics.of(who).total.files == 3
