"""The limiter: so many of something in a minute, for each address, account or whatever keys there are."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter

log = logging.getLogger(__name__)

_COMPLAIN_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`amount` in `seconds`, counted from the first one on."""

    name: str
    amount: int
    seconds: int

    @property
    def item(self) -> RateLimitItemPerSecond:
        """As the library has it."""
        return RateLimitItemPerSecond(self.amount, self.seconds, namespace=f"davserver/{self.name}")


class Limiter:
    """Counts by rules. Where the storage is away (Redis), this process counts alone, and the log says so."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = storage
        self._alone = FixedWindowRateLimiter(MemoryStorage())
        self._together = self._alone if storage is None else FixedWindowRateLimiter(storage)
        self._complained = -math.inf

    @classmethod
    def over_redis(cls, url: str) -> "Limiter":
        """Counts in Redis, for all machines."""
        return cls(RedisStorage(url, wrap_exceptions=True, socket_connect_timeout=1, socket_timeout=1))

    def hit(self, rule: Rule, *keys: str) -> int:
        """Count one. 0 when the rule allows it, else the seconds (at least 1) until it does again."""
        for limiter in self._limiters():
            try:
                return 0 if limiter.hit(rule.item, *keys) else _seconds(limiter, rule, keys)
            except (StorageError, OSError) as error:
                self._complain(error)
        return 0

    def wait(self, rule: Rule, *keys: str) -> int:
        """Whether the rule would allow one more, without counting it: 0, or the seconds (at least 1) until it does."""
        for limiter in self._limiters():
            try:
                return 0 if limiter.test(rule.item, *keys) else _seconds(limiter, rule, keys)
            except (StorageError, OSError) as error:
                self._complain(error)
        return 0

    def close(self) -> None:
        """Give back what the storage holds."""
        close = getattr(self._storage, "close", None)
        if close is not None:
            close()

    def _limiters(self) -> tuple[FixedWindowRateLimiter, ...]:
        return (self._together, self._alone)

    def _complain(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            log.warning("limits are counted by this process alone, for their storage is away: %s", error)


def _seconds(limiter: FixedWindowRateLimiter, rule: Rule, keys: tuple[str, ...]) -> int:
    return max(1, math.ceil(limiter.get_window_stats(rule.item, *keys).reset_time - time.time()))
