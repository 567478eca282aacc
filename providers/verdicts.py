"""What was found by a scan for viruses, as live properties of a file; docs/scanning.md."""

from collections.abc import Callable
from xml.sax.saxutils import escape

from davserver.domain.clock import SECOND
from davserver.domain.property import PropertyName
from davserver.domain.times import iso_date
from davserver.domain.verdict import ScanReport
from davserver.services.listing import Entry


def verdict_properties(namespace: str) -> dict[PropertyName, Callable[[Entry, object], str]]:
    """The properties in a namespace, each with what shows it. They need `Wanted.scans`."""
    told: dict[str, Callable[[ScanReport], str]] = {
        "verdict": lambda scan: scan.verdict.word,
        "verdict-reason": lambda scan: scan.verdict.reason,
        "signature": lambda scan: scan.signature,
        "signature-version": lambda scan: scan.signature_version,
        "scanned-at": lambda scan: "" if scan.scanned_at is None else iso_date(scan.scanned_at // SECOND),
    }
    return {PropertyName(namespace, name): _shown(namespace, name, text) for name, text in told.items()}


def _shown(namespace: str, name: str, text: Callable[[ScanReport], str]) -> Callable[[Entry, object], str]:
    def show(entry: Entry, _: object) -> str:
        said = "" if entry.scan is None else text(entry.scan)
        return f'<V:{name} xmlns:V="{namespace}">{escape(said)}</V:{name}>' if said else ""

    return show
