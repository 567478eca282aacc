"""Figures about trees, counted by a job and kept: what is in a drive can be told without a look at all of it."""

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from davserver.db.rows.base import Base, BigInt


class StatisticsRow(Base):
    """What there was in a tree when it was counted last. What is in the trash is counted there only."""

    __tablename__ = "statistics"

    owner_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    version: Mapped[int] = mapped_column(BigInt)
    """`TreeRow.version` when it was counted: while that is the same, so is what is in the tree."""
    as_of: Mapped[int] = mapped_column(BigInt)
    files: Mapped[int] = mapped_column(BigInt)
    folders: Mapped[int] = mapped_column(BigInt)
    size: Mapped[int] = mapped_column(BigInt)
    trash_files: Mapped[int] = mapped_column(BigInt)
    trash_folders: Mapped[int] = mapped_column(BigInt)
    trash_size: Mapped[int] = mapped_column(BigInt)


class TypeStatisticsRow(Base):
    """The files of one media type in a tree, without its trash, at the same moment."""

    __tablename__ = "statistics_type"

    owner_id: Mapped[int] = mapped_column(
        ForeignKey("statistics.owner_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    content_type: Mapped[str] = mapped_column(Text, primary_key=True)
    files: Mapped[int] = mapped_column(BigInt)
    size: Mapped[int] = mapped_column(BigInt)


class DayStatisticsRow(Base):
    """What there was in a tree when it was counted last on one day. Days on which nothing changed have no row."""

    __tablename__ = "statistics_day"

    owner_id: Mapped[int] = mapped_column(
        ForeignKey("statistics.owner_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    day: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    """Days since 1970-01-01, by the calendar of the owner's time zone."""
    files: Mapped[int] = mapped_column(BigInt)
    size: Mapped[int] = mapped_column(BigInt)
    trash_size: Mapped[int] = mapped_column(BigInt)
