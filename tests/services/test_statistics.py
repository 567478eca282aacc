"""Figures about a drive: right after every kind of change, and cheap to ask for again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from davserver.db.rows import DayStatisticsRow, StatisticsRow, TypeStatisticsRow
from davserver.db.units import Database
from davserver.domain.principal import Principal
from davserver.jobs.queue import Job
from davserver.jobs.runner import Work
from davserver.services import rollup
from davserver.services import statistics as module
from davserver.services.attaching import PutDetails
from davserver.services.counting import Amount, Figures, count
from davserver.services.rollup import RollUp
from davserver.services.settings import UserSettings
from davserver.services.statistics import Statistics
from davserver.services.verify import Kind
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


def roll_up(core: Core) -> None:
    """Do the job that recurs."""
    handlers = Statistics(core.database, core.clock).handlers
    handlers[rollup.ROLL_UP](Work(Job(0, rollup.ROLL_UP, {}, 1, core.clock(), "claim"), lambda: None))


def put_kinds(core: Core, who: Principal) -> None:
    """A file on each of three days, of two types."""
    for name, kind in (("a.png", "image/png"), ("b.png", "image/png"), ("c.txt", "text/plain")):
        core.content.put(who, path(f"/{name}"), BytesBody(b"12345", 5), PutDetails(content_type=kind))
        core.clock.advance(DAY)


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


def test_the_largest_files_are_those_of_now_outside_of_the_trash(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.mkcol(who, "/a")
    for n in range(14):
        core.put(who, f"/a/{n}", b"x" * (n + 1))
    core.tree.discard(who, path("/a/13"))
    roll_up(core)
    core.tree.copy(who, path("/a/12"), path("/b"), overwrite=False, deep=True)
    with statements(core.database) as run:
        found = statistics.largest(who)
    assert len([one for one in run if "SELECT" in one]) == 2
    assert [("/" + "/".join(one.path.names), one.size) for one in found] == [
        ("/a/12", 13), ("/b", 13), *((f"/a/{n}", n + 1) for n in range(11, 3, -1)),
    ]  # fmt: skip


def test_files_are_counted_by_type(core: Core) -> None:
    who = core.add_user("ada")
    put_kinds(core, who)
    for _ in range(2):
        figures = Statistics(core.database, core.clock).of(who)
        assert figures.by_type == {"image/png": Amount(2, 10), "text/plain": Amount(1, 5)}
        roll_up(core)


def test_growth_has_the_end_of_each_day_and_ends_now(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.put(who, "/a", b"12345")
    roll_up(core)
    core.put(who, "/b", b"12345")
    roll_up(core)
    core.clock.advance(2 * DAY)
    core.tree.discard(who, path("/a"))
    roll_up(core)
    core.clock.advance(DAY)
    core.put(who, "/c", b"1")
    grown = statistics.growth(who, statistics.of(who))
    first = grown[0].day
    assert [((one.day - first).days, one.total, one.trash_size) for one in grown] == [
        (0, Amount(2, 10), 0),
        (2, Amount(1, 5), 5),
        (3, Amount(2, 6), 5),
    ]
    assert statistics.growth(who, statistics.of(who), days=2) == grown[1:]


def test_a_drive_that_nobody_has_counted_yet_begins_with_the_days_its_files_were_written_on(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    put_kinds(core, who)
    roll_up(core)
    assert [one.total for one in statistics.growth(who, statistics.of(who))] == [
        Amount(1, 5), Amount(2, 10), Amount(3, 15), Amount(3, 15),
    ]  # fmt: skip


def test_a_day_begins_where_its_owner_is(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    settings = UserSettings(core.database, core.clock, 0)

    def today(zone: str) -> date:
        settings.change(who, lambda found: replace(found, time_zone=zone))
        core.put(who, "/a", zone.encode())
        roll_up(core)
        days = [one.day for one in statistics.growth(who, statistics.of(who))]
        assert days == sorted(set(days))
        return days[-1]

    assert (today("Pacific/Kiritimati") - today("Pacific/Pago_Pago")).days in {1, 2}
    core.clock.advance(DAY)
    assert core.verify().is_clean


def test_the_job_counts_what_has_changed_and_nothing_else(core: Core) -> None:
    who, other = core.add_user("ada"), core.add_user("bob")
    statistics = Statistics(core.database, core.clock)
    roll_up(core)
    core.put(who, "/a", b"1")
    with statements(core.database) as run:
        roll_up(core)
    assert len([one for one in run if "UPDATE statistics" in one]) == 1
    with statements(core.database) as run:
        roll_up(core)
    assert not [one for one in run if "UPDATE" in one or "RECURSIVE" in one]
    with statements(core.database) as run:
        assert summary(statistics.of(who)) == (1, 1, 0, 0, 0)
        assert summary(statistics.of(other)) == (0, 0, 0, 0, 0)
    assert not [one for one in run if "RECURSIVE" in one]


def test_everybody_is_shown_in_a_line(core: Core) -> None:
    ada, statistics = core.add_user("ada", quota=100), Statistics(core.database, core.clock)
    core.put(ada, "/a", b"12345")
    roll_up(core)
    core.add_user("bob")
    first, second = statistics.everybody()
    assert (first.name, first.used, first.quota, first.figures and summary(first.figures)) == (
        "ada", 5, 100, (1, 5, 0, 0, 0),
    )  # fmt: skip
    assert (second.name, second.used, second.quota, second.figures) == ("bob", 0, None, None)
    assert statistics.everybody(after=first.name_key, limit=1) == (second,)


def test_figures_that_are_kept_and_wrong_are_found_and_counted_again(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.mkcol(who, "/d")
    put_kinds(core, who)
    roll_up(core)
    right = statistics.of(who)
    assert core.verify().is_clean
    for table, wrong in (
        (StatisticsRow, {"size": 16}), (StatisticsRow, {"folders": 7}), (StatisticsRow, {"trash_files": 1}),
        (TypeStatisticsRow, {"files": 9}), (DayStatisticsRow, {"size": 1}),
    ):  # fmt: skip
        with core.database.write() as unit:
            unit.connection.execute(update(table).values(wrong))
        for repair in (False, True):
            assert list(core.verify(repair=repair).counts) == [Kind.STATISTICS_WRONG], wrong
        assert core.verify().is_clean
        assert Statistics(core.database, core.clock).of(who) == replace(right, as_of=statistics.of(who).as_of)


def test_asking_again_costs_one_query_until_something_changes(core: Core) -> None:
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.put(who, "/a", b"1")
    before = statistics.of(who)
    with statements(core.database) as run:
        assert statistics.of(who) is before
    assert len([statement for statement in run if "SELECT" in statement]) == 1


def test_a_large_drive_is_told_as_of_the_last_roll_up_without_being_counted(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 1)
    who, statistics = core.add_user("ada"), Statistics(core.database, core.clock)
    core.put(who, "/a", b"1")
    core.put(who, "/b", b"1")
    assert statistics.of(who).total.files == 2
    core.put(who, "/c", b"1")
    assert statistics.of(who).total.files == 2, "no job has counted it yet: once a minute"
    core.clock.advance(61)
    assert statistics.of(who).total.files == 3
    roll_up(core)
    core.put(who, "/d", b"1")
    core.clock.advance(61)
    with statements(core.database) as run:
        assert summary(statistics.of(who)) == (3, 3, 0, 0, 0)
    assert len([one for one in run if "SELECT" in one]) == 2
    roll_up(core)
    assert summary(statistics.of(who)) == (4, 4, 0, 0, 0)


def test_an_older_count_does_not_replace_a_newer_one(core: Core) -> None:
    who = core.add_user("ada")
    core.put(who, "/a", b"1")
    slow = RollUp(core.database, core.clock)

    def overtaken(*given: Any) -> Figures:
        figures = count(*given)
        monkey.undo()
        core.put(who, "/b", b"1")
        roll_up(core)
        return figures

    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(rollup, "count", overtaken)
        slow.count(who.owner_id)
    assert summary(Statistics(core.database, core.clock).of(who)) == (2, 2, 0, 0, 0)
    assert core.verify().is_clean
