"""Statistics of your drive."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Given, moment
from davserver.rest.noun import Noun
from davserver.services.statistics import MOST_DAYS, DayFigures

noun = Noun("statistics", "How much of what is in your drive.")


class AmountShown(Answer):
    """So many files."""

    files: int
    size: Annotated[int, Field(description="Bytes, together.")]


class TypeShown(AmountShown):
    """Files of one media type."""

    content_type: str


class DayShown(AmountShown):
    """The drive at the end of a day of your time zone; on the last one, at `as_of`."""

    day: date
    trash_size: Annotated[int, Field(description="Bytes in the trash.")]


class StatisticsQuery(Given):
    """How far to look back."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS, description="Days of `growth`, at most.")] = 366


class QuotaShown(Answer):
    """What counts against the quota: the drive and its trash."""

    used: int
    available: Annotated[int | None, Field(description="Null when there is no limit.")]


class StatisticsShown(AmountShown):
    """A drive in figures. What is in the trash is counted there only."""

    as_of: Annotated[
        datetime, Field(description="A drive of more than 10,000 files and folders is counted every few minutes.")
    ]
    folders: int
    by_type: Annotated[list[TypeShown], Field(description="The largest first.")]
    growth: Annotated[list[DayShown], Field(description="The earliest day first; days without a change are left out.")]
    trash: AmountShown
    quota: Annotated[QuotaShown, Field(description="Always of now.")]


class LargeFileShown(Answer):
    """A file."""

    path: Annotated[str, Field(description="Percent-encoded, as in its URL below the drive.")]
    size: int
    content_type: str
    modified_at: datetime


class TopShown(Answer):
    """The ten largest files, the largest first."""

    items: list[LargeFileShown]


@noun.on("GET", "/statistics", gives=StatisticsShown)
def show_statistics(query: StatisticsQuery) -> StatisticsShown:
    """See your drive in figures."""
    who, statistics = principal(), services().statistics
    figures = statistics.of(who)
    usage = services().tree.usage(who)
    types = sorted(figures.by_type.items(), key=lambda item: (-item[1].size, item[0]))
    return StatisticsShown(
        as_of=moment(figures.as_of),
        files=figures.total.files,
        size=figures.total.size,
        folders=figures.folders,
        by_type=[TypeShown(content_type=name, files=one.files, size=one.size) for name, one in types],
        growth=[_day(one) for one in statistics.growth(who, figures, days=query.days)],
        trash=AmountShown(files=figures.trash.files, size=figures.trash.size),
        quota=QuotaShown(used=usage.used, available=usage.available),
    )


@noun.on("GET", "/statistics/top", gives=TopShown)
def show_largest() -> TopShown:
    """See your ten largest files, as they are now."""
    items = [
        LargeFileShown(
            path=one.path.encoded, size=one.size, content_type=one.content_type, modified_at=moment(one.modified_at)
        )
        for one in services().statistics.largest(principal())
    ]
    return TopShown(items=items)


def _day(one: DayFigures) -> DayShown:
    return DayShown(day=one.day, files=one.total.files, size=one.total.size, trash_size=one.trash_size)
