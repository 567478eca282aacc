"""Password hashing: argon2id through the API of passlib (kept alive as libpass), within bounds of memory and time."""

import os
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from passlib.hash import argon2  # type: ignore[import-untyped]

from davserver.domain.errors import BadRequest, Unavailable

MEMORY_KIB: Final = 19 * 1024
ROUNDS: Final = 2
PARALLELISM: Final = 1
"""What OWASP's Password Storage Cheat Sheet asks of argon2id at least; about 20 to 40 ms."""
MIN_CHARS: Final = 8
MAX_CHARS: Final = 1024


class PasswordHasher:
    """Hashes and verifies. At most `at_once` hashes run at the same time, each of which takes `memory_kib` KiB.

    Whoever has waited `patience` seconds for a turn gets `Unavailable`: a flood of wrong passwords costs a bounded
    share of the machine, and those whose password is remembered do not wait here at all.
    """

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        rounds: int = ROUNDS,
        parallelism: int = PARALLELISM,
        at_once: int | None = None,
        patience: float = 5.0,
    ) -> None:
        self._scheme = argon2.using(type="ID", memory_cost=memory_kib, rounds=rounds, parallelism=parallelism)
        # Well-formed, of the same cost, and the hash of nothing that anybody can find.
        self._decoy = f"$argon2id$v=19$m={memory_kib},t={rounds},p={parallelism}${'A' * 22}${'A' * 43}"
        self._turns = threading.BoundedSemaphore(at_once or os.cpu_count() or 1)
        self._patience = patience

    def hash(self, password: str) -> str:
        """A new hash, salt and parameters included. Raises `BadRequest` for a password that cannot be used."""
        check_password(password)
        with self._turn():
            return str(self._scheme.hash(_canonical(password)))

    def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password is the hashed one. Without a hash it takes as long, and is False."""
        fits = len(password) <= MAX_CHARS
        with self._turn():
            right = bool(self._scheme.verify(_canonical(password if fits else ""), hashed or self._decoy))
        return right and fits and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than these."""
        return bool(self._scheme.needs_update(hashed))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._patience):
            raise Unavailable("Too many sign-ins at the moment; try again.")
        try:
            yield
        finally:
            self._turns.release()


def check_password(password: str) -> str:
    """Return a password that may be set. Raises `BadRequest`."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise BadRequest(f"A password has {MIN_CHARS} to {MAX_CHARS} characters.")
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in password):
        raise BadRequest("A password must not hold control characters.")  # RFC 7617 section 2: Basic cannot carry them
    return password


def _canonical(password: str) -> bytes:
    """The same bytes however a client composes its letters (RFC 8265 section 4.2: NFC)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
