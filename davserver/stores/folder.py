"""A store in a local folder: ROOT/ab/abcdef..., one file per object.

A put writes a temporary file beside its target, syncs it, renames it and syncs the folder: what is visible is whole and
durable. The 256 shard folders are made and synced once, so that no put pays for them.
"""

import contextlib
import errno
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from davserver.domain.errors import BlobMissing, ContentDamaged, DavserverError, StoreFull, StoreUnavailable
from davserver.stores.base import (
    READ_SIZE,
    BytesLike,
    IncompleteBlob,
    StoredBlob,
    check_key,
    check_prefix,
    check_range,
    counted,
    is_key,
)

_DRAFT = re.compile(r"\.([0-9a-f]{32,64})\.[0-9a-f]{16}\.part")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHARDS = tuple(f"{number:02x}" for number in range(256))


class FolderStore:
    """Objects as files (mode 0600) in shard folders (0700) under `root`, which is made when missing.

    `random` names the temporary files. Needs a file system with atomic rename; ext4, XFS, Btrfs, ZFS and APFS have it.
    """

    def __init__(self, root: Path, random: Callable[[int], bytes] = os.urandom) -> None:
        self._root = root.absolute()
        self._random = random
        self._prepare_lock = threading.Lock()
        self._prepared = False

    def put(self, key: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """See `Store.put`."""
        target = self._root / check_key(key)
        draft = target.with_name(f".{target.name}.{self._random(8).hex()}.part")
        with _translated():
            descriptor = self._create(draft)
        try:
            try:
                written = _write_all(descriptor, counted(chunks, size))
                with _translated():
                    os.fsync(descriptor)
            finally:
                with _translated():  # some file systems tell only here that a write failed
                    os.close(descriptor)
            with _translated():
                draft.rename(target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        with _translated():
            self._sync_or_withdraw(target)
        return written

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `Store.read`."""
        path = self._root / check_key(key)
        check_range(start, stop)
        return _read(path, start, stop)

    def size(self, key: str) -> int:
        """See `Store.size`."""
        path = self._root / check_key(key)
        with _translated(), _missing_as(BlobMissing):
            return path.stat().st_size

    def remove(self, key: str) -> None:
        """See `Store.remove`. Not synced: an object that comes back after a power failure is unreferenced, no more."""
        path = self._root / check_key(key)
        with _translated():
            path.unlink(missing_ok=True)

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        """See `Store.list`."""
        check_prefix(prefix)
        for key, entry in self._entries(prefix):
            wanted = key.startswith(prefix) and is_key(key)
            if wanted and (status := _status(entry)) is not None:
                yield StoredBlob(key, status.st_size, _time(status))

    def incomplete(self) -> Iterator[IncompleteBlob]:
        """See `Store.incomplete`. `begun` is the time of the last write."""
        for key, entry in self._entries(""):
            shard, _, name = key.partition("/")
            draft = _DRAFT.fullmatch(name)
            if draft is not None and (status := _status(entry)) is not None:
                yield IncompleteBlob(f"{shard}/{draft[1]}", name, _time(status))

    def remove_incomplete(self, older_than: datetime) -> int:
        """See `Store.remove_incomplete`."""
        removed = 0
        for blob in self.incomplete():
            if blob.begun < older_than:
                with _translated():
                    (self._root / blob.key).with_name(blob.handle).unlink(missing_ok=True)
                removed += 1
        return removed

    def check(self) -> None:
        """See `Store.check`. Writes, syncs and removes a small file."""
        probe = self._root / f".check.{self._random(8).hex()}"
        with _translated():
            self._prepare()
            descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                _write(descriptor, memoryview(b"davserver was here\n"))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
                probe.unlink()

    def free_bytes(self) -> int | None:
        """Bytes that an unprivileged user may still write to the file system."""
        with _translated():
            self._prepare()
            status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def close(self) -> None:
        """Nothing is kept open."""

    def _create(self, draft: Path) -> int:
        """Open a new file; once more if somebody removed the shard folders since they were made."""
        self._prepare()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return os.open(draft, flags, 0o600)
        except FileNotFoundError:
            self._prepared = False
            self._prepare()
            return os.open(draft, flags, 0o600)

    def _prepare(self) -> None:
        """Make the folders that are missing, and make them durable."""
        if self._prepared:
            return
        with self._prepare_lock:
            missing = [path for path in (self._root, *self._root.parents) if not path.exists()]
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for shard in _SHARDS:
                (self._root / shard).mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._root)
            for path in missing:
                _sync_folder(path.parent)
            self._prepared = True

    def _sync_or_withdraw(self, target: Path) -> None:
        """Make the new name durable; if that fails, take the object back, because the caller is told that it failed."""
        try:
            _sync_folder(target.parent)
        except OSError:
            with contextlib.suppress(OSError):
                target.unlink()
            raise

    def _entries(self, prefix: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
        """(shard/name, entry) of all that lies in the shard folders that `prefix` allows."""
        for shard in _SHARDS:
            if not shard.startswith(prefix[:2]):
                continue
            for entry in _scan(self._root / shard):
                yield f"{shard}/{entry.name}", entry


def _scan(folder: Path) -> "list[os.DirEntry[str]]":
    with _translated(), contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _status(entry: "os.DirEntry[str]") -> os.stat_result | None:
    """None for an entry that is gone meanwhile."""
    with _translated(), contextlib.suppress(FileNotFoundError):
        return entry.stat(follow_symlinks=False)
    return None


def _read(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with _translated(), _missing_as(BlobMissing):
        descriptor = os.open(path, os.O_RDONLY)
    try:
        with _translated():
            if os.fstat(descriptor).st_size < stop:
                raise ContentDamaged
        position = start
        while position < stop:
            with _translated():
                block = os.pread(descriptor, min(READ_SIZE, stop - position), position)
            if not block:
                raise ContentDamaged
            position += len(block)
            yield block
    finally:
        with contextlib.suppress(OSError):  # all that was wanted has been read
            os.close(descriptor)


def _write_all(descriptor: int, chunks: Iterator[BytesLike]) -> int:
    written = 0
    for chunk in chunks:
        with _translated():
            _write(descriptor, memoryview(chunk))
        written += len(chunk)
    return written


def _write(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _time(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the operating system, in the words of the domain. Never put around code that is not ours."""
    try:
        yield
    except OSError as error:
        raise (StoreFull if error.errno in _FULL else StoreUnavailable) from error


@contextmanager
def _missing_as(error_class: type[DavserverError]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise error_class from error
