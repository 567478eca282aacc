"""Statistics of a user's drive: how much of what, the largest files, and how it grew.

A job counts every tree that has changed and keeps the figures in rows, so that asking costs two queries however large the drive
is. While a tree's version is the one that was counted, they are exact; a small drive that has changed since is counted when
somebody asks, of a large one they are as of the last roll-up. The largest files are always those of now: an index finds them.
"""

# ruff: noqa: S608 - constants only; values are bound

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, text

from davserver.db.rows import ROOT_ID, DayStatisticsRow, StatisticsRow, TreeRow, TypeStatisticsRow, UserRow
from davserver.db.statements import Statement
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.paths import ResourcePath
from davserver.domain.preferences import local_day
from davserver.domain.principal import Principal
from davserver.jobs.runner import Handler
from davserver.services.counting import Amount, Figures, count
from davserver.services.lookup import FOLDERS, places_of
from davserver.services.rollup import FIRST_DAY, ROLL_UP, RollUp
from davserver.services.settings import time_zone_of

TOP: Final = 10
SMALL: Final = 10_000
"""A drive of so many resources is counted whenever it has changed."""
MAX_AGE: Final = 60 * SECOND
"""A larger one that no job has counted yet is counted again after so long."""
MOST_DAYS: Final = 3_660
_REMEMBERED: Final = 1_000

_S: Final = StatisticsRow.__table__.c
_KEPT_COLUMNS: Final = (
    _S.version, _S.as_of, _S.files, _S.size, _S.folders, _S.trash_files, _S.trash_size, _S.trash_folders,
)  # fmt: skip
_STATE: Final = Statement(
    select(TreeRow.version.label("now"), UserRow.created_at, *_KEPT_COLUMNS)
    .join(UserRow, UserRow.id == TreeRow.owner_id)
    .outerjoin(StatisticsRow, _S.owner_id == TreeRow.owner_id)
    .where(TreeRow.owner_id == bindparam("owner"))
)
# CROSS JOIN has SQLite go through the revisions by their size, and look at their files, not the other way round. No other order:
# of many copies of one size all would have to be looked at.
_LARGEST: Final = text(
    f"{FOLDERS} SELECT r.id, v.size, v.content_type, r.modified_at FROM revision v"
    " CROSS JOIN resource r"
    " WHERE v.owner_id = :owner AND v.size > 0 AND r.owner_id = v.owner_id AND r.revision_id = v.id"
    " AND +r.parent_id IN (SELECT id FROM folders)"
    f" ORDER BY v.size DESC LIMIT {TOP}"
)


@dataclass(frozen=True, slots=True)
class LargeFile:
    """One of the largest files."""

    path: ResourcePath
    size: int
    content_type: str
    modified_at: Micros


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What there was at the end of one day, or at the last count of it."""

    day: date
    total: Amount
    trash_size: int


@dataclass(frozen=True, slots=True)
class DriveFigures:
    """A user's drive in a line, for who looks after all of them."""

    name: str
    name_key: str
    """What the next page begins behind."""
    used: int
    """Bytes that the quota counts now."""
    quota: int | None
    figures: Figures | None
    """As of the last roll-up, without its types; None when there was none yet."""


class Statistics:
    """Use cases on figures about a user's drive."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._roll_up = RollUp(database, clock)
        self._mutex = threading.Lock()
        self._known: OrderedDict[int, tuple[tuple[int, int], Figures]] = OrderedDict()
        """Of whom, when their account was made (ids of removed ones come again), and of which version."""

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does which kind of job."""
        return {ROLL_UP: self._roll_up.run}

    def of(self, principal: Principal) -> Figures:
        """The figures of the principal's drive: of now, or, of one with more than `SMALL` resources, of the last roll-up."""
        owner_id = principal.owner_id
        known = self._known.get(owner_id)
        with self._database.read() as connection:
            # Before the count: what changes meanwhile is counted with the next version.
            state = _STATE.one(connection, {"owner": owner_id})
            stamp = (state.created_at, state.now)
            if known is not None and known[0] == stamp:
                return known[1]
            kept = None if state.as_of is None else _figures(state)
            if kept is not None and (state.version == state.now or kept.resources > SMALL):
                return _figures(state, _types(connection, owner_id))
            is_same = known is not None and known[0][0] == state.created_at
            if (
                known is not None
                and is_same
                and known[1].resources > SMALL
                and self._clock() < known[1].as_of + MAX_AGE
            ):
                return known[1]
            figures = count(connection, owner_id, self._clock())
        with self._mutex:
            self._known[owner_id] = (stamp, figures)
            self._known.move_to_end(owner_id)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return figures

    def growth(self, principal: Principal, figures: Figures, *, days: int = 366) -> tuple[DayFigures, ...]:
        """How the drive grew: the last `days` days on which it changed, the earliest first; the day of `figures` comes last."""
        owner_id, row = principal.owner_id, DayStatisticsRow.__table__.c
        with self._database.read() as connection:
            today = local_day(figures.as_of, time_zone_of(connection, owner_id))
            before = (row.owner_id == owner_id) & (row.day < (today - FIRST_DAY).days)
            rows = connection.execute(select(*row).where(before).order_by(row.day.desc()).limit(days - 1)).all()
        found = [
            DayFigures(date.fromordinal(FIRST_DAY.toordinal() + one.day), Amount(one.files, one.size), one.trash_size)
            for one in reversed(rows)
        ]
        return (*found, DayFigures(today, figures.total, figures.trash.size))

    def largest(self, principal: Principal) -> tuple[LargeFile, ...]:
        """The `TOP` largest files outside of the trash, now. Two queries, from the largest down."""
        owner_id = principal.owner_id
        with self._database.read() as connection:
            found = connection.execute(_LARGEST, {"owner": owner_id, "root": ROOT_ID})
            rows = sorted(found, key=lambda row: (-row.size, row.id))
            places = places_of(connection, owner_id, [row.id for row in rows]) if rows else {}
        return tuple(
            LargeFile(places[row.id], row.size, row.content_type, row.modified_at) for row in rows if row.id in places
        )

    def everybody(self, *, after: str = "", limit: int = 1_000) -> tuple[DriveFigures, ...]:
        """A line for each user behind a name key, by name, as of the last roll-up. One query; for administrators only."""
        columns: tuple[Any, ...] = (
            UserRow.name,
            UserRow.name_key,
            UserRow.quota_bytes,
            TreeRow.used_bytes,
            *_KEPT_COLUMNS,
        )
        query = (
            select(*columns)
            .join(TreeRow, TreeRow.owner_id == UserRow.id)
            .outerjoin(StatisticsRow, _S.owner_id == UserRow.id)
            .where(UserRow.name_key > after, UserRow.removed_at.is_(None))
            .order_by(UserRow.name_key)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            DriveFigures(
                row.name, row.name_key, row.used_bytes, row.quota_bytes, None if row.as_of is None else _figures(row)
            )
            for row in rows
        )


def _figures(row: Any, by_type: dict[str, Amount] | None = None) -> Figures:
    total, trash = Amount(row.files, row.size), Amount(row.trash_files, row.trash_size)
    return Figures(row.as_of, total, row.folders, by_type or {}, trash, row.trash_folders)


def _types(connection: Connection, owner_id: int) -> dict[str, Amount]:
    row = TypeStatisticsRow.__table__.c
    rows = connection.execute(select(row.content_type, row.files, row.size).where(row.owner_id == owner_id))
    return {content_type: Amount(files, size) for content_type, files, size in rows}
