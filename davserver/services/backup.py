"""Backup: one moment of the database, and the blobs that it refers to, sealed as they are. Runs while the drive is in use.

The blobs of all sets lie together: each is copied once, as it never changes, so a later set costs what is new. A run that
was killed leaves the blobs it has copied, and the next goes on from there. The keys are in no set.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select

from davserver.db.migrate import current_revision
from davserver.db.rows import Base, BlobRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import BlobMissing, ConfigError, ContentDamaged
from davserver.services.backup_format import (
    BLOBS,
    DRAFT,
    FORMAT,
    LEFT_OUT,
    MANIFEST,
    SETS,
    digest_of,
    lines,
    locked,
    name_of,
    read_manifest,
    sets_of,
    writing,
)
from davserver.services.holds import Hold
from davserver.stores.base import Store, blob_key

Random = Callable[[int], bytes]
OpenFolder = Callable[[Path], Store]
"""Opens a store in a folder."""
_PAGE: Final = 500


class Step(StrEnum):
    """What a run is at, and in what it counts."""

    ROWS = "rows"
    BLOBS = "blobs"


Progress = Callable[[StrEnum, int, int], None]


class Backup:
    """The use case. `open_folder` opens the store that the copies of the blobs go to."""

    def __init__(self, database: Database, store: Store, clock: Clock, random: Random, open_folder: OpenFolder) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._random = random
        self._open_folder = open_folder

    def run(self, target: Path, progress: Progress = lambda *_: None) -> tuple[Path, dict[str, Any]]:
        """Make a set in the folder `target`. Returns its folder and its manifest, which names the blobs that are missing.

        Raises `ConfigError`, `DatabaseUnavailable`, `StoreUnavailable`, `StoreFull`.
        """
        try:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(target):
                return self._run(target, progress)
        except OSError as error:
            raise ConfigError(f"The backup folder {target} cannot be written: {error.strerror}.") from None

    def _run(self, target: Path, progress: Progress) -> tuple[Path, dict[str, Any]]:
        moment = datetime.fromtimestamp(self._clock() / SECOND, UTC)
        draft = target / SETS / (name_of(moment) + DRAFT)
        before = sets_of(target)
        hold = Hold(self._database, self._clock, self._random(16).hex(), f"backup to {target}")
        for old in (target / SETS).glob(f"*{DRAFT}"):
            shutil.rmtree(old)
        (draft / "tables").mkdir(mode=0o700, parents=True)
        hold.begin()
        try:
            manifest = {"format": FORMAT, "created_at": moment.isoformat(), **self._tables(draft, hold, progress)}
            manifest["blobs"] = self._blobs(target, draft, before[-1] if before else None, hold, progress)
        finally:
            hold.end()
        write_durably(draft / MANIFEST, json.dumps(manifest, indent=2).encode())
        done = draft.with_name(name_of(moment))
        for folder in (draft / "tables", draft):
            sync(folder)
        draft.rename(done)
        sync(done.parent)
        return done, manifest

    def _tables(self, draft: Path, hold: Hold, progress: Progress) -> dict[str, Any]:
        tables = [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
        said: dict[str, Any] = {}
        revision = current_revision(self._database)
        with self._database.snapshot() as connection:
            counted = (connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
            total, done = sum(counted), 0
            wanted = draft / "wanted.gz"
            with writing(wanted) as blobs:
                for table in tables:
                    path = draft / "tables" / f"{table.name}.jsonl.gz"
                    with writing(path) as out:
                        count = 0
                        for row in _rows(connection, table):
                            hold.renew()
                            out.add(list(row))
                            count += 1
                            if table.name == BlobRow.__tablename__ and row.sealed is None:
                                blobs.add([row.id, row.sealed_size])
                        done += count
                        progress(Step.ROWS, done, total)
                    sync(path)
                    said[table.name] = {"rows": count, "columns": table.columns.keys(), "sha256": digest_of(path)}
            keys = connection.execute(select(BlobRow.key_id).distinct()).scalars()
            return {"revision": revision, "tables": said, "keys": sorted(keys)}

    def _blobs(self, target: Path, draft: Path, before: Path | None, hold: Hold, progress: Progress) -> dict[str, Any]:
        copies = self._open_folder(target / BLOBS)
        copies.check()
        known = _Known(before)
        wanted, path = draft / "wanted.gz", draft / "blobs.jsonl.gz"
        total = sum(1 for _ in lines(wanted))
        missing, size, copied = [], 0, 0
        with writing(path) as out:
            for done, (blob_id, sealed_size) in enumerate(lines(wanted), 1):
                hold.renew()
                digest = known.digest(blob_id)
                if not _has(copies, blob_id, sealed_size):
                    try:
                        digest = self._copy(copies, blob_id, sealed_size, hold)
                    except (BlobMissing, ContentDamaged):
                        missing.append(blob_id)
                        continue
                    copied += 1
                elif digest is None:  # a run that was killed has left it
                    digest = hash_blob(copies, blob_id, sealed_size)
                out.add([blob_id, sealed_size, digest])
                size += sealed_size
                progress(Step.BLOBS, done, total)
        copies.close()
        sync(path)
        wanted.unlink()
        return {
            "count": total - len(missing), "bytes": size, "copied": copied, "missing": missing,
            "sha256": digest_of(path),
        }  # fmt: skip

    def _copy(self, copies: Store, blob_id: str, size: int, hold: Hold) -> str:
        digest = hashlib.sha256()

        def chunks() -> Iterator[bytes]:
            for block in self._store.read(blob_key(blob_id), 0, size):
                digest.update(block)
                hold.renew()
                yield block

        copies.put(blob_key(blob_id), chunks(), size)
        return digest.hexdigest()

    def check(self, target: Path, progress: Progress = lambda *_: None) -> list[str]:
        """Read the latest set and all its blobs, and say what is wrong. Raises `ConfigError` when there is none."""
        folder = latest(target)
        manifest = read_manifest(folder)
        found = [f"table {name}: its file was altered or is missing" for name in damaged_tables(folder, manifest)]
        path = folder / "blobs.jsonl.gz"
        if not path.exists() or digest_of(path) != manifest["blobs"]["sha256"]:
            return [*found, "the list of blobs was altered or is missing"]
        copies = self._open_folder(target / BLOBS)
        for done, (blob_id, size, digest) in enumerate(lines(path), 1):
            try:
                if hash_blob(copies, blob_id, size) != digest or copies.size(blob_key(blob_id)) != size:
                    found.append(f"blob {blob_id}: it was altered")
            except BlobMissing:
                found.append(f"blob {blob_id}: it is missing")
            except ContentDamaged:
                found.append(f"blob {blob_id}: it was cut")
            progress(Step.BLOBS, done, manifest["blobs"]["count"])
        return found + [f"blob {blob_id}: it was missing in the store" for blob_id in manifest["blobs"]["missing"]]


class _Known:
    """The checksums of an earlier set's blobs, asked for in the order of their ids."""

    def __init__(self, before: Path | None) -> None:
        self._rest: Iterator[Any] = lines(before / "blobs.jsonl.gz") if before is not None else iter(())
        self._at: Any = next(self._rest, None)

    def digest(self, blob_id: str) -> str | None:
        while self._at is not None and self._at[0] < blob_id:
            self._at = next(self._rest, None)
        return str(self._at[2]) if self._at is not None and self._at[0] == blob_id else None


def _rows(connection: Connection, table: Table) -> Iterator[Any]:
    query = select(table).order_by(*table.primary_key.columns)
    yield from connection.execution_options(stream_results=True, yield_per=_PAGE).execute(query)


def _has(store: Store, blob_id: str, size: int) -> bool:
    try:
        return store.size(blob_key(blob_id)) == size
    except BlobMissing:
        return False


def hash_blob(store: Store, blob_id: str, size: int) -> str:
    """The SHA-256 of a blob's sealed bytes. Raises `BlobMissing`, `ContentDamaged`."""
    digest = hashlib.sha256()
    for block in store.read(blob_key(blob_id), 0, size):
        digest.update(block)
    return digest.hexdigest()


def damaged_tables(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """The names of the tables whose file is not the one that was written."""
    paths = {name: folder / "tables" / f"{name}.jsonl.gz" for name in manifest["tables"]}
    expected = {name: said["sha256"] for name, said in manifest["tables"].items()}
    return [name for name, path in paths.items() if not path.exists() or digest_of(path) != expected[name]]


def latest(target: Path) -> Path:
    """The folder of the latest whole set. Raises `ConfigError`."""
    found = sets_of(target)
    if not found:
        raise ConfigError(f"{target} holds no backup that was finished.")
    return found[-1]


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    path.write_bytes(content)
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
