"""``davserver doctor``: what is wrong with a set-up, and what to do about each finding.

It changes nothing but for a probe in the store, which it removes, and makes neither keys nor tables.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from davserver.domain.errors import DavserverError


class Verdict(StrEnum):
    """How something was found to be."""

    OK = "ok"
    OFF = "off"
    """Not configured, or not there yet."""
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    part: str
    verdict: Verdict
    said: str
    todo: str = ""
    """What to do, when it is wrong."""


Look = Callable[[], Iterable[Finding]]
"""Looks at one part. What it raises is a finding too."""
_GENERAL: Final = "See that it runs and that the settings name it rightly: davserver config show."


def ok(part: str, said: str) -> Finding:
    """It is as it should be."""
    return Finding(part, Verdict.OK, said)


def off(part: str, said: str) -> Finding:
    """It is not there, and need not be."""
    return Finding(part, Verdict.OFF, said)


def wrong(part: str, said: str, todo: str) -> Finding:
    """Something is to be done."""
    return Finding(part, Verdict.WRONG, said, todo)


def examine(looks: Iterable[tuple[str, Look]]) -> Iterator[Finding]:
    """What each finds, by the name of its part. Never raises."""
    for part, look in looks:
        try:
            yield from look()
        except DavserverError as error:
            yield wrong(part, f"{error.detail}{_cause(error)}", _GENERAL)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the person wants to know
            yield wrong(part, f"It cannot be looked at: {type(error).__name__}: {error}", _GENERAL)


def _cause(error: BaseException) -> str:
    cause = error.__cause__
    if cause is None:
        return ""
    said = str(getattr(cause, "orig", cause)).strip().splitlines()
    return f" ({said[0]})" if said else ""
