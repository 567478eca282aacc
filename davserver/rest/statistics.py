"""Statistics of your drive."""

from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from davserver.rest.context import principal, services
from davserver.rest.models import Answer, moment
from davserver.rest.noun import Noun
from davserver.services.statistics import Amount

noun = Noun("statistics", "How much of what is in your drive.")


class AmountShown(Answer):
    """So many files."""

    files: int
    size: Annotated[int, Field(description="Bytes, together.")]


class TypeShown(AmountShown):
    """Files of one media type."""

    content_type: str


class DayShown(AmountShown):
    """Files that were written on one day, UTC, and are still there."""

    day: date
    total_size: Annotated[int, Field(description="Bytes of all that was written until the end of that day.")]


class QuotaShown(Answer):
    """What counts against the quota: the drive and its trash."""

    used: int
    available: Annotated[int | None, Field(description="Null when there is no limit.")]


class StatisticsShown(AmountShown):
    """A drive in figures. What is in the trash is counted there only."""

    as_of: Annotated[datetime, Field(description="A large drive that keeps changing is counted once a minute.")]
    folders: int
    by_type: Annotated[list[TypeShown], Field(description="The largest first.")]
    growth: Annotated[list[DayShown], Field(description="The earliest day first; days without anything are left out.")]
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

    as_of: datetime
    items: list[LargeFileShown]


@noun.on("GET", "/statistics", gives=StatisticsShown)
def show_statistics() -> StatisticsShown:
    """See your drive in figures."""
    figures = services().statistics.of(principal())
    usage = services().tree.usage(principal())
    types = sorted(figures.by_type.items(), key=lambda item: (-item[1].size, item[0]))
    return StatisticsShown(
        as_of=moment(figures.as_of),
        files=figures.total.files,
        size=figures.total.size,
        folders=figures.folders,
        by_type=[TypeShown(content_type=name, files=one.files, size=one.size) for name, one in types],
        growth=_growth(figures.by_day),
        trash=AmountShown(files=figures.trash.files, size=figures.trash.size),
        quota=QuotaShown(used=usage.used, available=usage.available),
    )


@noun.on("GET", "/statistics/top", gives=TopShown)
def show_largest() -> TopShown:
    """See your ten largest files."""
    figures = services().statistics.of(principal())
    items = [
        LargeFileShown(
            path=one.path.encoded, size=one.size, content_type=one.content_type, modified_at=moment(one.modified_at)
        )
        for one in figures.largest
    ]
    return TopShown(as_of=moment(figures.as_of), items=items)


def _growth(by_day: dict[int, Amount]) -> list[DayShown]:
    shown, total = [], 0
    for day, amount in sorted(by_day.items()):
        total += amount.size
        when = date(1970, 1, 1) + timedelta(days=day)
        shown.append(DayShown(day=when, files=amount.files, size=amount.size, total_size=total))
    return shown
