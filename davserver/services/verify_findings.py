"""What verify finds, as values."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_SHOWN: Final = 200
"""Findings of one kind that are kept one by one; more are only counted."""


class Kind(StrEnum):
    """What can be found. The text is how it is shown."""

    BYTES_MISSING = "bytes missing"
    """A blob's bytes are not in the store: content is lost."""
    BYTES_CUT = "bytes of the wrong size"
    """A blob's bytes in the store are more or fewer than its row says: content is lost."""
    BYTES_DAMAGED = "bytes damaged"
    """A segment does not open: content is lost. Only seen by a deep run."""
    BYTES_UNKNOWN = "bytes without a row"
    """The store holds bytes that no blob, no upload and no waiting job speaks for. Nothing is lost but room."""
    BLOB_IMPOSSIBLE = "blob row impossible"
    """Sizes or header contradict each other, or the blob's owner is not its revision's."""
    KEY_MISSING = "key missing"
    """The key ring cannot unwrap a blob's key: its content cannot be opened."""
    BLOB_UNUSED = "blob unused"
    REVISION_UNUSED = "revision unused"
    """No resource refers to it. Nothing is lost but room."""
    REVISION_IMPOSSIBLE = "revision impossible"
    """It has no blob, or another size than its blob."""
    PREVIEW_LOST = "preview of nothing"
    """Its revision is gone. Nothing is lost but room, and upkeep removes it."""
    TREE_BROKEN = "tree broken"
    """The tree's row, its root or its trash are missing or out of place."""
    UNREACHABLE = "resource unreachable"
    """No way leads from a root to it: it lies in a cycle, or its parent is gone."""
    RESOURCE_IMPOSSIBLE = "resource impossible"
    """Its revision is gone, or it has members and content."""
    NAME_WRONG = "name wrong"
    """A name that no request could have given, or that is not found by its own spelling, or twice in a collection."""
    USAGE_WRONG = "usage wrong"
    """The quota counts other than what is there."""
    STATISTICS_WRONG = "statistics wrong"
    """The figures that are kept are not what there was to count. A repair removes them, and a job counts anew."""
    PROPERTY_LOST = "property of nothing"
    LOCK_WRONG = "lock wrong"
    """It locks nothing, another resource than its path says, or conflicts with another lock."""
    TRASH_UNKNOWN = "trash without entry"
    """A member of the trash of which nothing is known: it would never be purged."""
    TRASH_MISCOUNTED = "trash counted wrong"
    """What was written down of the files in a discarded collection is not what lies there."""
    ENTRY_LOST = "trash entry of nothing"
    """An entry whose resource is not in the trash: it could be purged by mistake."""
    UPLOAD_IMPOSSIBLE = "upload impossible"
    """It reserves less than nothing, or its bytes are a file's already."""
    LOCK_ENDED = "lock ended"
    UPLOAD_DEAD = "upload dead"
    """Nobody sends any more. Its bytes and the room that it reserved are freed by the next upkeep."""
    BYTES_UNFINISHED = "bytes unfinished"
    """A put into the store that never ended, and that nobody goes on with."""
    PURGE_WAITING = "purge waiting"
    """Out of sight for good, and removed by a job."""


NOTES: Final = frozenset({Kind.LOCK_ENDED, Kind.UPLOAD_DEAD, Kind.BYTES_UNFINISHED, Kind.PURGE_WAITING})
"""What is in order: it is told, and is no finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: Kind
    what: str
    """The resource, blob or lock, by its ids; never content or a key."""
    detail: str = ""
    repaired: bool = False

    @property
    def is_note(self) -> bool:
        """Whether it is in order, and only told."""
        return self.kind in NOTES


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has seen."""

    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    counts: Mapping[Kind, int]
    """How many of each kind, those left out of `findings` and `notes` included."""
    checked: Mapping[str, int]
    """How many users, resources, blobs, objects and bytes were looked at."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found, not even what was then repaired."""
        return not self.findings


class Notebook:
    """Collects findings while a run goes on, and counts."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: Counter[Kind] = Counter()
        self.checked: Counter[str] = Counter()

    def add(self, kind: Kind, what: str, detail: str = "", *, repaired: bool = False) -> None:
        """Write a finding down."""
        self._counts[kind] += 1
        if self._counts[kind] <= MOST_SHOWN:
            self._kept.append(Finding(kind, what, detail, repaired))

    def report(self) -> Report:
        """What was written down."""
        notes = tuple(found for found in self._kept if found.is_note)
        findings = tuple(found for found in self._kept if not found.is_note)
        return Report(findings, notes, dict(self._counts), dict(self.checked))
