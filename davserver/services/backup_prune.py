"""Removing old sets of a backup, and the content that only they refer to.

Nothing goes that a set which stays refers to: all lists of those are read, and compared with their checksums, before anything is
removed. A set goes before its content does, and by one rename; so whenever a run is killed, every set that is there is whole,
and the next run removes what is left.
"""

import heapq
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import ConfigError
from davserver.services.backup import OpenFolder, Progress, Step, latest, sync
from davserver.services.backup_format import (
    BLOBS,
    DRAFT,
    SETS,
    digest_of,
    lines,
    locked,
    moment_of,
    read_manifest,
    sets_of,
)
from davserver.stores.base import Store, blob_key

_PREFIXES: Final = tuple(f"{number:02x}" for number in range(256))
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays: the last sets, and the last set of each of the last days, weeks (ISO 8601) and months that have one; in UTC.

    The latest set always stays.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def of(self, sets: Sequence[Path]) -> list[Path]:
        """Those of the sets that stay, the oldest first."""
        newest_first = sorted(sets, key=lambda folder: folder.name, reverse=True)
        kept = set(newest_first[: max(1, self.last)])
        for count, period in ((self.daily, "%Y-%m-%d"), (self.weekly, "%G-%V"), (self.monthly, "%Y-%m")):
            seen: dict[str, Path] = {}
            for folder in newest_first:
                seen.setdefault(f"{moment_of(folder):{period}}", folder)
            kept |= set(list(seen.values())[:count])
        return sorted(kept)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was done, or would be."""

    kept: tuple[str, ...]
    removed: tuple[str, ...]
    blobs: int
    bytes: int
    """Of the blobs that went."""


class Prune:
    """The use case. `open_folder` opens the store that holds the blobs of the sets."""

    def __init__(self, clock: Clock, open_folder: OpenFolder) -> None:
        self._clock = clock
        self._open_folder = open_folder

    def run(self, target: Path, keep: Keep, *, only_tell: bool = False, progress: Progress = lambda *_: None) -> Pruned:
        """Remove what need not stay. `only_tell`: change nothing.

        Raises `ConfigError` when there is no set, another run is under way, or a set that stays is damaged; then nothing is
        removed.
        """
        latest(target)
        with locked(target):
            sets = sets_of(target)
            kept = keep.of(sets)
            for folder in kept:
                _check(folder)
            removed = [folder for folder in sets if folder not in kept]
            if not only_tell:
                _remove_sets(target, removed)
            copies = self._open_folder(target / BLOBS)
            try:
                count, size = self._sweep(copies, kept, progress, only_tell=only_tell)
                if not only_tell:
                    copies.remove_incomplete(datetime.fromtimestamp(self._clock() / SECOND, UTC) - _DAY)
            finally:
                copies.close()
        return Pruned(_names(kept), _names(removed), count, size)

    def _sweep(self, copies: Store, kept: list[Path], progress: Progress, *, only_tell: bool) -> tuple[int, int]:
        """Remove the blobs that no set refers to; returns how many, and their bytes."""
        wanted = _Ids(kept)
        count = size = 0
        for done, prefix in enumerate(_PREFIXES, 1):
            referred = wanted.below(prefix)
            for blob in list(copies.list(prefix)):
                if blob.key.rpartition("/")[2] in referred:
                    continue
                if not only_tell:
                    copies.remove(blob.key)
                count, size = count + 1, size + blob.size
            progress(Step.BLOBS, done, len(_PREFIXES))
        return count, size


class _Ids:
    """The ids that the sets refer to, a prefix at a time: this is all that is held in memory of them."""

    def __init__(self, kept: list[Path]) -> None:
        self._rest: Iterator[str] = heapq.merge(*map(_ids, kept))
        self._at = next(self._rest, None)

    def below(self, prefix: str) -> set[str]:
        found = set()
        while self._at is not None and self._at.startswith(prefix):
            found.add(self._at)
            self._at = next(self._rest, None)
        return found


def _ids(folder: Path) -> Iterator[str]:
    return (str(line[0]) for line in lines(folder / "blobs.jsonl.gz"))


def _check(folder: Path) -> None:
    """Raises `ConfigError` unless the list of blobs is the one that was written, with its ids in order."""
    manifest = read_manifest(folder)
    path = folder / "blobs.jsonl.gz"
    if not path.exists() or digest_of(path) != manifest["blobs"]["sha256"]:
        raise ConfigError(
            f"The list of blobs of {folder} was altered or is missing: nothing was removed. davserver backup --check says more."
        )
    before = ""
    for blob_id in _ids(folder):
        blob_key(blob_id)
        if blob_id <= before:
            raise ConfigError(f"The list of blobs of {folder} is not in order: nothing was removed.")
        before = blob_id


def _remove_sets(target: Path, removed: list[Path]) -> None:
    for folder in removed:
        # From here on it is no set any more; a draft that is left over goes with the next run.
        folder.rename(folder.with_name(folder.name + DRAFT))
    if removed:
        sync(target / SETS)
    for draft in (target / SETS).glob(f"*{DRAFT}"):
        shutil.rmtree(draft)


def _names(folders: list[Path]) -> tuple[str, ...]:
    return tuple(folder.name for folder in folders)
