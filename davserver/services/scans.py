"""Scanning for viruses: the handlers of the jobs that do it. What is found is what `Content` and `Tree` go by.

Bytes go from the store through our hands to the scanner, in pieces, with no transaction open. What was found is then written
in one short unit. A job may be done twice: the second time finds what the first wrote.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from davserver.crypto.keyring import KeyRing
from davserver.db.rows import BlobRow, JobRow, RevisionRow
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, SECOND, Clock, Micros
from davserver.domain.errors import ContentDamaged
from davserver.domain.preferences import Notice
from davserver.domain.verdict import Finding, Verdict
from davserver.jobs.outbox import enqueue
from davserver.jobs.runner import Handler, Work
from davserver.scanning.base import ScanFailed, Scanner
from davserver.services.activity import nobody, record
from davserver.services.attaching import SCAN
from davserver.services.blobs import open_blob, sealed_blob
from davserver.services.lookup import path_of_revision
from davserver.services.post import SILENT, Post
from davserver.stores.base import Store

log = logging.getLogger(__name__)

SCAN_AGAIN: Final = "scan_again"
"""The job that finds what was scanned by other signatures than there are now."""
PERIODS: Final[Mapping[str, Micros]] = {SCAN_AGAIN: 60 * SECOND}
"""How often it is looked."""
TRIES: Final = 5
"""So often a scanner that is there may fail on a file; after that the file counts as one that it cannot scan."""
_OVERDUE: Final = HOUR
"""What still waits after so long has perhaps lost its job."""
_VERDICTS_THAT_STAY: Final = frozenset({Verdict.INFECTED, Verdict.RELEASED})


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """What an operator may set about scans."""

    max_size: int = 100 * 1024 * 1024
    """Larger files, in bytes, are not scanned; the scanner would stop there, and call the rest clean."""
    again_per_hour: int = 3600
    """So many files are scanned again in an hour when there are new signatures."""


class Scans:
    """The handlers over one database, one store and one scanner."""

    def __init__(
        self,
        database: Database,
        store: Store,
        keyring: KeyRing,
        clock: Clock,
        scanner: Scanner,
        settings: ScanSettings,
        *,
        post: Post = SILENT,
    ) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._scanner = scanner
        self._settings = settings
        self._post = post

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does which kind of job."""
        return {SCAN: self.scan, SCAN_AGAIN: self.scan_again}

    def scan(self, work: Work) -> None:
        """Scan one revision and write down what was found, unless it is gone or was scanned by these signatures already.

        Raises `ScannerUnavailable`, `StoreUnavailable`, and `ScanFailed` but for the last try.
        """
        owner_id, revision_id = int(work.payload["owner_id"]), int(work.payload["revision_id"])
        with self._database.read() as connection:
            found = _find(connection, owner_id, revision_id)
        if found is None or found.verdict == Verdict.EMPTY:
            return
        version = self._scanner.version()
        if version and version == found.signature_version:
            return
        finding = self._finding(work, found)
        with self._database.write() as unit:
            self._record(unit, owner_id, revision_id, finding, version)

    def _finding(self, work: Work, found: Row[tuple[Any, ...]]) -> Finding:
        if found.size > self._settings.max_size:
            return Finding(Verdict.TOO_LARGE)
        try:
            return self._scanner.scan(self._content(work, found), work.keep)
        except ScanFailed as error:
            if work.attempts < TRIES:
                raise
            log.warning("blob %s could not be scanned: %s", found.id, error)
        except ContentDamaged as error:
            log.exception("blob %s could not be scanned: it is damaged or missing (%s)", found.id, error.code)
        return Finding(Verdict.FAILED)

    def _content(self, work: Work, found: Row[tuple[Any, ...]]) -> Iterator[bytes]:
        for block in open_blob(sealed_blob(found), self._store, self._keyring, 0, found.size):
            work.keep()
            yield block

    def _record(self, unit: Unit, owner_id: int, revision_id: int, finding: Finding, version: str) -> None:
        """Write down a finding. A virus that was found stays found until a scan says that there is none."""
        here = (RevisionRow.owner_id == owner_id) & (RevisionRow.id == revision_id)
        columns = select(RevisionRow.verdict, RevisionRow.signature).where(here).with_for_update()
        before = unit.connection.execute(columns).one_or_none()
        if before is None:
            return
        values: dict[str, Any] = {"signature_version": version}
        known = Verdict(before.verdict)
        if finding.verdict.word != "unscanned" or known not in _VERDICTS_THAT_STAY:
            verdict = finding.verdict
            if verdict is Verdict.INFECTED and known is Verdict.RELEASED and before.signature == finding.signature:
                verdict = Verdict.RELEASED  # what an administrator has judged is not asked again
            values |= {"verdict": verdict.value, "signature": finding.signature or None, "scanned_at": self._clock()}
            if verdict is Verdict.INFECTED and known is not Verdict.INFECTED:
                log.warning("revision %d of user %d is infected: %s", revision_id, owner_id, finding.signature)
                path = path_of_revision(unit.connection, owner_id, revision_id)
                record(unit, nobody(owner_id), Action.INFECTED, self._clock(), path, detail=finding.signature)
                about = {"path": "/" if path is None else "/" + "/".join(path.names), "signature": finding.signature}
                self._post.notify(unit, owner_id, Notice.INFECTED_UPLOAD, self._clock(), **about)
        unit.connection.execute(update(RevisionRow).where(here).values(values))

    def scan_again(self, work: Work) -> None:
        """Cause scans, spread over the time until the next look, of what other signatures than today's have scanned last.

        That is also what was stored when there was no scanner. Raises `ScannerUnavailable`.
        """
        period = PERIODS[SCAN_AGAIN]
        version = self._scanner.version()
        count = -(-self._settings.again_per_hour * period // HOUR)
        if not version or not count:
            return
        with self._database.read() as connection:
            waiting = (JobRow.kind == SCAN) & (JobRow.state != "failed")
            count -= connection.execute(select(func.count()).select_from(JobRow).where(waiting)).scalar_one()
            found = _scanned_otherwise(connection, version, self._clock() - _OVERDUE, count) if count > 0 else []
        work.keep()
        if not found:
            return
        with self._database.write() as unit:
            now = self._clock()
            for number, row in enumerate(found):
                payload = {"owner_id": row.owner_id, "revision_id": row.id}
                enqueue(unit, SCAN, payload, now, run_at=now + period * number // len(found))


def _find(connection: Connection, owner_id: int, revision_id: int) -> Row[tuple[Any, ...]] | None:
    """What is known of a revision and its blob."""
    which = (RevisionRow.owner_id == owner_id) & (RevisionRow.id == revision_id)
    return connection.execute(
        select(BlobRow.__table__, RevisionRow.verdict, RevisionRow.signature_version)
        .join(BlobRow, BlobRow.id == RevisionRow.blob_id)
        .select_from(RevisionRow)
        .where(which)
    ).one_or_none()


def _scanned_otherwise(connection: Connection, version: str, before: Micros, count: int) -> list[Row[tuple[Any, ...]]]:
    """Up to `count` revisions of other versions, the oldest first; not those that wait, unless since `before`."""
    found: list[Row[tuple[Any, ...]]] = []
    is_ready = (RevisionRow.verdict != Verdict.WAITING.value) | (RevisionRow.created_at < before)
    # Two ranges of the index rather than one `<>`, which would look at every revision there is.
    ranges: tuple[ColumnElement[bool], ...] = (
        RevisionRow.signature_version < version,
        RevisionRow.signature_version > version,
    )
    for other in ranges:
        oldest = (
            select(RevisionRow.owner_id, RevisionRow.id)
            .where(other, is_ready)
            .order_by(RevisionRow.signature_version, RevisionRow.scanned_at)
            .limit(count - len(found))
        )
        found += connection.execute(oldest) if len(found) < count else []
    return found
