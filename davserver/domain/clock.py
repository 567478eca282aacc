"""Time as an argument: whole microseconds since the epoch, UTC, everywhere inside."""

import time
from collections.abc import Callable

Micros = int
"""Microseconds since 1970-01-01T00:00:00Z."""
Clock = Callable[[], Micros]

SECOND: Micros = 1_000_000
HOUR: Micros = 3_600 * SECOND


def system_clock() -> Micros:
    """The machine's clock."""
    return time.time_ns() // 1_000
