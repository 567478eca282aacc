"""A store in memory: for tests and demonstrations. What it holds ends with the process."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from davserver.domain.errors import BlobMissing, ContentDamaged, StoreFull
from davserver.stores.base import (
    READ_SIZE,
    BytesLike,
    IncompleteBlob,
    StoredBlob,
    check_key,
    check_prefix,
    check_range,
    counted,
)


class MemoryStore:
    """`capacity`: bytes of all objects together, None for no limit. `clock` gives seconds since the epoch."""

    def __init__(self, capacity: int | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._capacity = capacity
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._running: dict[str, IncompleteBlob] = {}
        self._used = 0
        self._serial = 0

    def put(self, key: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """See `Store.put`."""
        check_key(key)
        content = bytearray()
        handle = self._begin(key)
        try:
            for chunk in counted(chunks, size):
                self._reserve(len(chunk))
                content += chunk
            with self._lock:
                self._used -= len(self._objects.pop(key, (b"",))[0])
                self._objects[key] = (bytes(content), self._now())
        except BaseException:
            self._reserve(-len(content))
            raise
        finally:
            with self._lock:
                self._running.pop(handle, None)
        return len(content)

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `Store.read`."""
        check_key(key)
        check_range(start, stop)
        return self._read(key, start, stop)

    def _read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        content = self._get(key)[0]
        if stop > len(content):
            raise ContentDamaged
        for position in range(start, stop, READ_SIZE):
            yield content[position : min(stop, position + READ_SIZE)]

    def size(self, key: str) -> int:
        """See `Store.size`."""
        return len(self._get(check_key(key))[0])

    def remove(self, key: str) -> None:
        """See `Store.remove`."""
        check_key(key)
        with self._lock:
            self._used -= len(self._objects.pop(key, (b"",))[0])

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        """See `Store.list`."""
        check_prefix(prefix)
        with self._lock:
            found = [
                StoredBlob(key, len(content), modified)
                for key, (content, modified) in self._objects.items()
                if key.startswith(prefix)
            ]
        yield from found

    def incomplete(self) -> Iterator[IncompleteBlob]:
        """See `Store.incomplete`."""
        with self._lock:
            running = list(self._running.values())
        yield from running

    def remove_incomplete(self, older_than: datetime) -> int:
        """Always 0: a put in memory that is not finished is running."""
        del older_than
        return 0

    def check(self) -> None:
        """Memory is always there. Raises StoreFull when the capacity is used up."""
        if self.free_bytes() == 0:
            raise StoreFull

    def free_bytes(self) -> int | None:
        """See `Store.free_bytes`."""
        with self._lock:
            return None if self._capacity is None else self._capacity - self._used

    def close(self) -> None:
        """Nothing to free."""

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _begin(self, key: str) -> str:
        with self._lock:
            self._serial += 1
            handle = str(self._serial)
            self._running[handle] = IncompleteBlob(key, handle, self._now())
        return handle

    def _reserve(self, size: int) -> None:
        with self._lock:
            if self._capacity is not None and size > self._capacity - self._used:
                raise StoreFull
            self._used += size

    def _get(self, key: str) -> tuple[bytes, datetime]:
        with self._lock:
            try:
                return self._objects[key]
            except KeyError:
                raise BlobMissing from None
