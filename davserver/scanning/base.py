"""The interface of scanners. They know nothing of files, users and stores: bytes come in, a finding goes out."""

from collections.abc import Callable, Iterable
from typing import Protocol

from davserver.domain.verdict import Finding


class ScanFailed(Exception):
    """The scanner was there, and gave no verdict about these bytes: it refused, hung up, or took too long."""


def no_sign() -> None:
    """Nobody wants a sign of life."""


class Scanner(Protocol):
    """Says whether bytes are harmful. Threads may share one."""

    def scan(self, chunks: Iterable[bytes], alive: Callable[[], None] = no_sign) -> Finding:
        """Scan the bytes that `chunks` yield, taking each only when the last is gone, and no more than needed.

        `alive` is called every few seconds while the scanner makes up its mind; what it raises ends the scan. Raises
        `ScannerUnavailable` when the scanner is away, `ScanFailed` when it is not, and what `chunks` raise.
        """

    def version(self) -> str:
        """What scans: program and signatures; a scan by another version may find more. Raises `ScannerUnavailable`.

        Empty when nothing scans.
        """

    def check(self) -> None:
        """See that a scanner answers. Raises `ScannerUnavailable`."""
