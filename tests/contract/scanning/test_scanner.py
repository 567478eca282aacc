"""What holds for every scanner."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from davserver.domain.verdict import Verdict
from davserver.scanning.base import Scanner
from davserver.scanning.none import NoScanner
from tests.support.clamd import EICAR


def may_answer(scanner: Scanner) -> set[Verdict]:
    """What a scanner may say of harmless bytes: only one that looked at them may call them clean."""
    return {Verdict.NO_SCANNER} if isinstance(scanner, NoScanner) else {Verdict.CLEAN}


@pytest.mark.parametrize("chunks", [[], [b""], [b"harmless"], [b"a" * 300_000, b"", b"b" * 10]], ids=len)
def test_only_who_has_looked_calls_harmless_bytes_clean(scanner: Scanner, chunks: list[bytes]) -> None:
    finding = scanner.scan(chunks)
    assert finding.verdict in may_answer(scanner)
    assert finding.signature == ""


def test_a_virus_is_never_clean(scanner: Scanner) -> None:
    finding = scanner.scan([EICAR])
    assert finding.verdict in {Verdict.INFECTED, Verdict.NO_SCANNER}
    assert bool(finding.signature) is (finding.verdict is Verdict.INFECTED)


def test_a_version_is_told_by_those_who_scan(scanner: Scanner) -> None:
    assert bool(scanner.version()) is not isinstance(scanner, NoScanner)
    assert scanner.version() == scanner.version()


def test_a_scanner_that_is_there_passes_its_check(scanner: Scanner) -> None:
    scanner.check()


def test_no_chunk_is_taken_before_the_last_is_gone(scanner: Scanner) -> None:
    given: list[bytearray] = []

    def chunks() -> Iterator[bytes]:
        for number in range(1, 4):
            # The same memory again and again: a scanner that kept it would see other bytes.
            given.append(bytearray([number]) * 100_000)
            yield bytes(given[-1])

    assert scanner.scan(chunks()).verdict in may_answer(scanner)
    assert len(given) in {0, 3}


def test_threads_may_share_a_scanner(scanner: Scanner) -> None:
    streams = [[EICAR], [b"harmless" * 1000]] * 8
    with ThreadPoolExecutor(8) as pool:
        verdicts = [finding.verdict for finding in pool.map(scanner.scan, streams)]
    assert verdicts[1::2] == [may_answer(scanner).pop()] * 8
    assert Verdict.CLEAN not in verdicts[::2]
