"""The roll-up: a job that counts every tree that has changed since it was counted last, and keeps the figures in rows."""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, or_, select, update

from davserver.db.rows import DayStatisticsRow, StatisticsRow, TreeRow, TypeStatisticsRow
from davserver.db.units import Database, Unit
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.preferences import local_day
from davserver.jobs.runner import Work
from davserver.services.counting import Amount, Figures, count, written_by_day
from davserver.services.settings import time_zone_of

ROLL_UP: Final = "roll_up_statistics"
PERIODS: Final[Mapping[str, Micros]] = {ROLL_UP: 300 * SECOND}
"""How often that is done."""
FIRST_DAY: Final = date(1970, 1, 1)
_OWNERS: Final = 500


class RollUp:
    """The handler over one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def run(self, work: Work) -> None:
        """Count every tree of which the version is not the one that was counted. Each has a unit of its own."""
        for owner_id in self._changed():
            work.keep()
            self.count(owner_id)

    def _changed(self) -> Iterator[int]:
        last = 0
        query = (
            select(TreeRow.owner_id)
            .outerjoin(StatisticsRow, StatisticsRow.owner_id == TreeRow.owner_id)
            .where(or_(StatisticsRow.version.is_(None), StatisticsRow.version != TreeRow.version))
            .order_by(TreeRow.owner_id)
            .limit(_OWNERS)
        )
        while True:
            with self._database.read() as connection:
                owners = connection.execute(query.where(TreeRow.owner_id > last)).scalars().all()
            yield from owners
            if len(owners) < _OWNERS:
                return
            last = owners[-1]

    def count(self, owner_id: int) -> None:
        """Count one tree and keep the figures, unless those of its version are kept."""
        with self._database.snapshot() as connection:
            version = _version(connection, owner_id)
            if version is None:  # the account was removed meanwhile
                return
            figures = count(connection, owner_id, self._clock())
            is_first = connection.execute(_kept_version(owner_id)).first() is None
            written = list(written_by_day(connection, owner_id)) if is_first else []
        with self._database.write() as unit:
            self._keep(unit, owner_id, version, figures, written)

    def _keep(
        self, unit: Unit, owner_id: int, version: int, figures: Figures, written: list[tuple[int, Amount]]
    ) -> None:
        connection = unit.connection
        if _version(connection, owner_id, lock=True) is None:
            return
        kept = connection.execute(_kept_version(owner_id)).scalar()
        if kept is not None and kept >= version:
            return  # another worker was faster
        today = (local_day(figures.as_of, time_zone_of(connection, owner_id)) - FIRST_DAY).days
        total, trash = figures.total, figures.trash
        values = {
            "version": version, "as_of": figures.as_of, "files": total.files, "folders": figures.folders,
            "size": total.size, "trash_files": trash.files, "trash_folders": figures.trash_folders,
            "trash_size": trash.size,
        }  # fmt: skip
        if kept is None:
            connection.execute(insert(StatisticsRow), {"owner_id": owner_id, **values})
        else:
            connection.execute(update(StatisticsRow).where(StatisticsRow.owner_id == owner_id).values(values))
        connection.execute(delete(TypeStatisticsRow).where(TypeStatisticsRow.owner_id == owner_id))
        _insert(connection, TypeStatisticsRow, owner_id, _types(figures))
        # Later than today is where somebody was who has moved to a time zone further west.
        replaced = (DayStatisticsRow.owner_id == owner_id) & (DayStatisticsRow.day >= today)
        connection.execute(delete(DayStatisticsRow).where(replaced))
        days = [*_days_before(written, today), _day(today, total, trash.size)]
        _insert(connection, DayStatisticsRow, owner_id, days)


def _types(figures: Figures) -> list[dict[str, Any]]:
    return [
        {"content_type": content_type, "files": amount.files, "size": amount.size}
        for content_type, amount in figures.by_type.items()
    ]


def _days_before(written: list[tuple[int, Amount]], today: int) -> Iterator[dict[str, Any]]:
    """The days before anybody counted: what there would have been on them of what there still is."""
    for (day, _), amount in zip(written, accumulate(one for _, one in written), strict=True):
        if day < today:
            yield _day(day, amount, 0)


def _day(day: int, total: Amount, trash_size: int) -> dict[str, Any]:
    return {"day": day, "files": total.files, "size": total.size, "trash_size": trash_size}


def _insert(connection: Connection, table: Any, owner_id: int, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), [{"owner_id": owner_id, **row} for row in rows])


def _version(connection: Connection, owner_id: int, *, lock: bool = False) -> int | None:
    query = select(TreeRow.version).where(TreeRow.owner_id == owner_id)
    found: int | None = connection.execute(query.with_for_update() if lock else query).scalar()
    return found


def _kept_version(owner_id: int) -> Any:
    return select(StatisticsRow.version).where(StatisticsRow.owner_id == owner_id)
