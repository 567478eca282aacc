"""Times on the wire: HTTP dates, and the Unix seconds that clients of ownCloud's kind send."""

import re
import time
from functools import lru_cache
from typing import Final

from davserver.domain.clock import SECOND, Micros

FIRST: Final[Micros] = -11_644_473_600 * SECOND
"""1601-01-01, where Windows begins to count."""
LAST: Final[Micros] = 253_402_300_799 * SECOND
"""The last second of the year 9999: what follows has no HTTP date."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTES: Final = tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60))
_SECONDS: Final = tuple(f":{second:02}" for second in range(60))
_DAY: Final = 86_400
_UNIX_SECONDS: Final = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,6})[0-9]{0,12})?")


def http_date(seconds: int) -> str:
    """An IMF-fixdate (RFC 9110 section 5.6.7) of Unix seconds; five times as quick as the standard library's."""
    day, second = divmod(seconds, _DAY)
    return f"{_http_day(day)}{_MINUTES[second // 60]}{_SECONDS[second % 60]} GMT"


def iso_date(seconds: int) -> str:
    """ISO 8601 in UTC without a fraction (rule R20): ``2024-05-01T10:20:30Z``."""
    day, second = divmod(seconds, _DAY)
    return f"{_iso_day(day)}{_MINUTES[second // 60]}{_SECONDS[second % 60]}Z"


@lru_cache(maxsize=4096)
def _http_day(day: int) -> str:
    year, month, day_of_month, _, _, _, weekday, _, _ = time.gmtime(day * _DAY)
    return f"{_DAYS[weekday]}, {day_of_month:02} {_MONTHS[month - 1]} {year:04} "


@lru_cache(maxsize=4096)
def _iso_day(day: int) -> str:
    year, month, day_of_month, *_ = time.gmtime(day * _DAY)
    return f"{year:04}-{month:02}-{day_of_month:02}T"


def parse_unix_seconds(text: str | None) -> Micros | None:
    """Read Unix seconds, perhaps with a fraction (clients rule R33). None when absent, malformed or beyond what has a date."""
    match = _UNIX_SECONDS.fullmatch((text or "").strip())
    if match is None:
        return None
    fraction = int((match[2] or "").ljust(6, "0"))
    at = int(match[1]) * SECOND + (-fraction if match[1].startswith("-") else fraction)
    return at if FIRST <= at <= LAST else None
