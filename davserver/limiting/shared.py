"""A storage of the `limits` library for one machine: counters in a file that all server processes map into their memory.

The library's own memory storage counts in each process by itself: with four processes a guesser would have four times the tries.
What is counted may be lost with the machine; it matters for minutes.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from limits.storage import Storage

SLOTS: Final = 8192
_SLOT: Final = struct.Struct("<16sQd")
"""Digest of the key, count, when it is void (Unix seconds)."""
_PROBES: Final = 16
"""Slots that a key may lie in; when all are taken, the one that is void soonest gives way."""


class SharedStorage(Storage):
    """Fixed windows in `SLOTS` counters: its size is the same however many addresses try."""

    STORAGE_SCHEME = None

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises `OSError`."""
        super().__init__()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, SLOTS * _SLOT.size)
        self._map = mmap.mmap(self._file, SLOTS * _SLOT.size)
        self._mutex = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        """What may be raised."""
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` more in the window of the key; a new window lasts `expiry` seconds. The count."""
        digest, now = _digest(key), time.time()
        with self._locked():
            found, spare = self._find(digest, now)
            count, until = amount, now + expiry
            if found is not None:
                _, before, until = self._read(found)
                count += before
            _SLOT.pack_into(self._map, (spare if found is None else found) * _SLOT.size, digest, count, until)
        return count

    def get(self, key: str) -> int:
        """The count in the window of the key; 0 when there is none."""
        with self._locked():
            found = self._find(_digest(key), time.time())[0]
            return 0 if found is None else self._read(found)[1]

    def get_expiry(self, key: str) -> float:
        """When the window of the key ends, in Unix seconds; now when there is none."""
        now = time.time()
        with self._locked():
            found = self._find(_digest(key), now)[0]
            return now if found is None else self._read(found)[2]

    def check(self) -> bool:
        """Whether it can count."""
        return not self._map.closed

    def reset(self) -> int | None:
        """Forget all."""
        with self._locked():
            self._map[:] = bytes(len(self._map))
        return None

    def clear(self, key: str) -> None:
        """Forget a key."""
        with self._locked():
            found = self._find(_digest(key), time.time())[0]
            if found is not None:
                _SLOT.pack_into(self._map, found * _SLOT.size, b"", 0, 0.0)

    def close(self) -> None:
        """Give the file back."""
        self._map.close()
        os.close(self._file)

    def _read(self, slot: int) -> tuple[bytes, int, float]:
        digest, count, until = _SLOT.unpack_from(self._map, slot * _SLOT.size)
        return digest, count, until

    def _find(self, digest: bytes, now: float) -> tuple[int | None, int]:
        """The slot of a key whose window is open, if there is one; and the slot to take when there is none."""
        first = int.from_bytes(digest[:8], "little")
        slots = [(first + step) % SLOTS for step in range(_PROBES)]
        for slot in slots:
            held, _, until = self._read(slot)
            if held == digest and until > now:
                return slot, slot
        return None, min(slots, key=lambda slot: self._read(slot)[2])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._mutex:  # threads share the file's lock
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
