"""The twin that scans nothing, and says so."""

from collections.abc import Callable, Iterable

from davserver.domain.verdict import Finding, Verdict
from davserver.scanning.base import no_sign


class NoScanner:
    """Takes no byte and has no opinion."""

    def scan(self, _chunks: Iterable[bytes], _alive: Callable[[], None] = no_sign) -> Finding:
        """Unscanned."""
        return Finding(Verdict.NO_SCANNER)

    def version(self) -> str:
        """Empty: nothing scans."""
        return ""

    def check(self) -> None:
        """There is nothing that could be away."""
