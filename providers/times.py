"""Times on the wire: HTTP dates, and the Unix seconds that clients of ownCloud's kind send."""

import re
from email.utils import formatdate
from typing import Final

from davserver.domain.clock import SECOND, Micros

FIRST: Final[Micros] = -11_644_473_600 * SECOND
"""1601-01-01, where Windows begins to count."""
LAST: Final[Micros] = 253_402_300_799 * SECOND
"""The last second of the year 9999: what follows has no HTTP date."""

_UNIX_SECONDS: Final = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,6})[0-9]{0,12})?")


def http_date(at: Micros) -> str:
    """An IMF-fixdate (RFC 9110 section 5.6.7): ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    return formatdate(at // SECOND, usegmt=True)


def parse_unix_seconds(text: str | None) -> Micros | None:
    """Read Unix seconds, perhaps with a fraction (clients rule R33). None when absent, malformed or beyond what has a date."""
    match = _UNIX_SECONDS.fullmatch((text or "").strip())
    if match is None:
        return None
    fraction = int((match[2] or "").ljust(6, "0"))
    at = int(match[1]) * SECOND + (-fraction if match[1].startswith("-") else fraction)
    return at if FIRST <= at <= LAST else None
