"""Passwords that were right a moment ago, so that a request costs a query instead of an argon2 hash. For services only."""

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from davserver.domain.clock import SECOND, Micros
from davserver.domain.tally import Tally

CACHE_SECONDS: Final = 300
CACHE_ENTRIES: Final = 10_000
_ENTRY_BYTES: Final = 400


@dataclass(frozen=True, slots=True)
class RightPassword:
    """A password that was right a moment ago."""

    user_id: int
    credential_version: int
    expires_at: Micros


class RightPasswords:
    """Right passwords by a keyed hash of name and password: bounded, and nothing in it leads back to a password."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._mutex = threading.Lock()
        self._entries: OrderedDict[bytes, RightPassword] = OrderedDict()
        self.tally = Tally()

    def key(self, name: str, password: str) -> bytes:
        """By what it is remembered."""
        sent = f"{name}\0{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, sent, hashlib.sha256)

    def get(self, key: bytes, now: Micros) -> RightPassword | None:
        """What is remembered, None when that is nothing."""
        found = self._entries.get(key)
        if found is not None and found.expires_at <= now:
            self.forget(key)
            found = None
        if found is None:
            self.tally.misses += 1
        else:
            self.tally.hits += 1
        return found

    def put(self, key: bytes, user_id: int, credential_version: int, now: Micros) -> None:
        """Remember it for a while."""
        value = RightPassword(user_id, credential_version, now + CACHE_SECONDS * SECOND)
        with self._mutex:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > CACHE_ENTRIES:
                self._entries.popitem(last=False)
            self.tally.size = len(self._entries) * _ENTRY_BYTES

    def forget(self, key: bytes) -> None:
        """Remember it no more."""
        with self._mutex:
            self._entries.pop(key, None)
            self.tally.size = len(self._entries) * _ENTRY_BYTES


class Turns:
    """Those who come with the same at the same time, one after the other."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: dict[bytes, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, key: bytes) -> Iterator[None]:
        """Alone among all with this key."""
        with self._mutex:
            turn, count = self._waiting.get(key, (threading.Lock(), 0))
            self._waiting[key] = turn, count + 1
        try:
            with turn:
                yield
        finally:
            with self._mutex:
                turn, count = self._waiting[key]
                if count > 1:
                    self._waiting[key] = turn, count - 1
                else:
                    del self._waiting[key]
