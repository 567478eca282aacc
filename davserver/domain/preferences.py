"""What users say about their own drive."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from davserver.domain.clock import Micros
from davserver.domain.errors import BadRequest

UTC_NAME: Final = "UTC"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Notice(StrEnum):
    """What a user can be told of by mail. The values are what is stored; they never change their meaning."""

    QUOTA_NEARLY_FULL = "quota_nearly_full"
    INFECTED_UPLOAD = "infected_upload"
    NEW_SIGN_IN = "new_sign_in"
    NEW_DEVICE_TOKEN = "new_device_token"  # noqa: S105 - the name of what happened
    TRASH_PURGED = "trash_purged"


USUAL_NOTICES: Final = frozenset(Notice) - {Notice.TRASH_PURGED}
"""What a user is told of who has said nothing about it."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """All that a user can say."""

    trash_retention: Micros | None = None
    """How long what they delete is kept, at most as long as the server keeps it; None: as long as that."""
    hides_trash: bool = False
    """Whether listings of the root leave the trash out. Its URL works all the same."""
    hides_quota: bool = False
    """Whether WebDAV leaves the properties of RFC 4331 out."""
    time_zone: str = UTC_NAME
    """A name of the IANA database, such as ``Europe/Zurich``."""
    notices: frozenset[Notice] = USUAL_NOTICES


def check_time_zone(name: str) -> str:
    """Return a name that there is. Raises `BadRequest`."""
    if name not in available_timezones():
        raise BadRequest(f"There is no time zone {name!r}. One is named like Europe/Zurich or UTC.")
    return name


def local_time(at: Micros, time_zone: str) -> datetime:
    """A moment as the clocks of a zone show it. A zone that this machine does not know (any more) counts as UTC."""
    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):  # not found; no name; what is no file
        zone = ZoneInfo(UTC_NAME)
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def local_day(at: Micros, time_zone: str) -> date:
    """The date there."""
    return local_time(at, time_zone).date()
