"""The part of verify that looks at kept figures. For `davserver.services.verify_trees`."""

from sqlalchemy import Connection, func, select, update

from davserver.db.rows import DayStatisticsRow, StatisticsRow, TreeRow, TypeStatisticsRow
from davserver.db.units import Database
from davserver.domain.clock import Clock
from davserver.services.counting import Amount, Figures, count
from davserver.services.rollup import RollUp


def wrong_statistics(connection: Connection, owner_id: int) -> str:
    """What is wrong with the figures that are kept of a tree; empty when nothing is, or nothing is kept.

    Figures that add up are counted again only when nothing has changed since: else nobody can know what there was.
    """
    kept = connection.execute(select(StatisticsRow.__table__).where(StatisticsRow.owner_id == owner_id)).first()
    if kept is None:
        return ""
    row = TypeStatisticsRow.__table__.c
    types = {
        content_type: Amount(files, size)
        for content_type, files, size in connection.execute(
            select(row.content_type, row.files, row.size).where(row.owner_id == owner_id)
        )
    }
    total = Amount(kept.files, kept.size)
    together = sum(types.values(), Amount())
    if together != total:
        return (
            f"the types have {together.files} files of {together.size} bytes, the drive {total.files} of {total.size}"
        )
    day = DayStatisticsRow.__table__.c
    newest = select(func.max(day.day)).where(day.owner_id == owner_id).scalar_subquery()
    last = connection.execute(select(day.files, day.size).where(day.owner_id == owner_id, day.day == newest)).first()
    if last is None or Amount(last.files, last.size) != total:
        return "the last day is not what was counted last"
    version = connection.execute(select(TreeRow.version).where(TreeRow.owner_id == owner_id)).scalar()
    if version == kept.version:
        trash = Amount(kept.trash_files, kept.trash_size)
        figures = Figures(kept.as_of, total, kept.folders, types, trash, kept.trash_folders)
        found = count(connection, owner_id, kept.as_of)
        if found != figures:
            return f"kept are {_shown(figures)}, there are {_shown(found)}"
    return ""


def count_again(database: Database, clock: Clock, owner_id: int) -> bool:
    """Replace the figures that are kept; what is known of the days before stays."""
    mine = update(StatisticsRow).where(StatisticsRow.owner_id == owner_id)
    with database.write() as unit:
        unit.connection.execute(mine.values(version=0))
    RollUp(database, clock).count(owner_id)
    return True


def _shown(figures: Figures) -> str:
    total, trash = figures.total, figures.trash
    return (
        f"{total.files} files of {total.size} bytes in {figures.folders} folders,"
        f" and {trash.files} of {trash.size} in {figures.trash_folders} in the trash"
    )
