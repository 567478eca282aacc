"""The interface of all stores, and what they have in common.

A store keeps byte strings under keys. It is dumb on purpose: it does not seal, retry whole operations, count quota or know
who owns what. Every store passes tests/contract/stores.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from davserver.domain.errors import IncompleteBody

BytesLike = bytes | memoryview

READ_SIZE = 1024 * 1024
"""Bytes that a store reads at a time: whole segments for every segment size up to 1 MiB that is a power of two."""

_BLOB_ID = re.compile(r"[0-9a-f]{32,64}")
_KEY = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{30,62}")
_PREFIX = re.compile(r"|[0-9a-f]{1,2}|([0-9a-f]{2})/(?:\1[0-9a-f]{0,62}|[0-9a-f]?)")


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One whole object of a store."""

    key: str
    size: int
    """Sealed bytes."""
    modified: datetime
    """When it became visible, by the store's clock; aware."""


@dataclass(frozen=True, slots=True)
class IncompleteBlob:
    """What a put has written so far, or had written when it was killed. A running put looks the same."""

    key: str
    handle: str
    """The temporary file's name, or the id of the multipart upload."""
    begun: datetime
    """Last write (folder) or start (S3) of the upload, by the store's clock; aware."""


class Store(Protocol):
    """Keeps sealed bytes under keys such as "ab/abcdef...", see `blob_key`. Each key is written once.

    All methods may be called from several threads. Besides what they name they raise ValueError for a key that is none,
    StoreUnavailable when the store cannot be reached or misbehaves, within a bounded time.
    """

    def put(self, key: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """Store what `chunks` yields and return its length in bytes. The bytes are durable when this returns.

        `size` is the length if it is known. When `chunks` raises, that exception passes through; when its length is not
        `size`, IncompleteBody is raised. In either case, and on any other error, nothing becomes visible under `key`.
        `chunks` runs in the caller's thread. Raises StoreFull when there is no room.
        """

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes [start, stop) in chunks of up to READ_SIZE. Nothing is opened before the first one is asked
        for; closing the iterator early frees what it holds. Raises BlobMissing, or ContentDamaged when the object ends
        before `stop`.
        """

    def size(self, key: str) -> int:
        """Length in bytes. Raises BlobMissing."""

    def remove(self, key: str) -> None:
        """Remove the object if it is there; its absence is no error."""

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        """All whole objects whose key begins with `prefix`, in no particular order. Objects that come or go meanwhile may
        be there or not. Things in the store that no `blob_key` names are passed over.
        """

    def incomplete(self) -> Iterator[IncompleteBlob]:
        """Unfinished puts: those that run, and what is left of those that were killed."""

    def remove_incomplete(self, older_than: datetime) -> int:
        """Remove the unfinished puts begun before `older_than` (aware) and return how many. Leave running ones enough
        time: a day is a good choice.
        """

    def check(self) -> None:
        """Make the folder or bucket if it is missing, and see that it can be written. Raises StoreUnavailable, StoreFull."""

    def free_bytes(self) -> int | None:
        """Bytes that can still be stored, or None where the store cannot tell."""

    def close(self) -> None:
        """Free connections and threads. The store is not used afterwards."""


def blob_key(blob_id: str) -> str:
    """The key of a blob: two characters of its id, a slash, the id. Raises ValueError for an id that is none."""
    if not _BLOB_ID.fullmatch(blob_id):
        raise ValueError(f"a blob id has 32 to 64 lower-case hexadecimal digits: {blob_id!r}")
    return f"{blob_id[:2]}/{blob_id}"


def is_key(key: str) -> bool:
    """Whether `blob_key` could have made it."""
    return _KEY.fullmatch(key) is not None


def check_key(key: str) -> str:
    """Return the key. Raises ValueError for one that `blob_key` cannot have made."""
    if not is_key(key):
        raise ValueError(f"not the key of a blob: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix. Raises ValueError for one that no key begins with."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"no key begins with {prefix!r}")
    return prefix


def check_range(start: int, stop: int) -> None:
    """Raises ValueError for what is no range."""
    if not 0 <= start <= stop:
        raise ValueError(f"not a range: {start} to {stop}")


def counted(chunks: Iterator[BytesLike], size: int | None) -> Iterator[BytesLike]:
    """The same chunks; raises IncompleteBody as soon as they are more than `size` bytes, or at their end if fewer."""
    seen = 0
    for chunk in chunks:
        seen += len(chunk)
        if size is not None and seen > size:
            raise IncompleteBody
        yield chunk
    if size is not None and seen != size:
        raise IncompleteBody
