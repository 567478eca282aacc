"""What a virus scanner said about a state of a file's bytes."""

from dataclasses import dataclass
from enum import StrEnum

from davserver.domain.clock import Micros


class Verdict(StrEnum):
    """A revision has one from its first moment on. What nobody has scanned is never `CLEAN`."""

    CLEAN = "clean"
    INFECTED = "infected"
    RELEASED = "released"
    """Infected, and an administrator lets it be read all the same."""
    WAITING = "waiting"
    """Unscanned: its turn has not come yet."""
    TOO_LARGE = "too_large"
    """Unscanned: over a limit of the scanner."""
    FAILED = "failed"
    """Unscanned: the scanner was tried several times and gave no answer about it, or its bytes are damaged."""
    NO_SCANNER = "no_scanner"
    """Unscanned: there was no scanner when it came."""
    EMPTY = "empty"
    """Unscanned: there is nothing in it."""

    @property
    def word(self) -> str:
        """``clean``, ``infected``, ``released`` or ``unscanned``."""
        return "unscanned" if self in _REASONS else self.value

    @property
    def reason(self) -> str:
        """Why it is unscanned; empty when it is not."""
        return self.value if self in _REASONS else ""


_REASONS = frozenset(
    {Verdict.WAITING, Verdict.TOO_LARGE, Verdict.FAILED, Verdict.NO_SCANNER, Verdict.EMPTY}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """What one scan found: `CLEAN`, `INFECTED`, or why nothing can be said (`TOO_LARGE`, `NO_SCANNER`, `FAILED`)."""

    verdict: Verdict
    signature: str = ""
    """The name of what was found."""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """All that is known about the scan of a revision."""

    verdict: Verdict
    signature: str
    """The name of what was found; empty unless infected or released."""
    signature_version: str
    """Program and signatures, as the scanner names them, such as ``ClamAV 1.4.6/27800/...``; empty before the first scan."""
    scanned_at: Micros | None
