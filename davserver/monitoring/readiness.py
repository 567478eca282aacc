"""Whether this server can work: what it needs, each with its state."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import inspect, text

from davserver.bootstrap import Services, known_revisions, open_scanner
from davserver.domain.errors import DavserverError, Unavailable

_CHEAP_SECONDS: Final = 1.0
_DEAR_SECONDS: Final = 5.0
"""How long a finding counts that took a write to the store, or another service."""
_BROKER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class State:
    """How one part is."""

    state: str
    """``ok``, ``off`` (not configured) or ``failed``."""
    reason: str = ""
    is_needed: bool = True
    """Whether the server cannot work without it. Without broker and scanner it can: their work waits in the database."""


class Check:
    """Looks at one part, at most every few seconds, one thread at a time; others are told what was found last."""

    def __init__(
        self, look: Callable[[], None], seconds: float, *, is_needed: bool, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._seconds = seconds
        self._is_needed = is_needed
        self._timer = timer
        self._lock = threading.Lock()
        self._found = State("failed", "Nobody has looked yet.", is_needed)
        self._until = float("-inf")

    def state(self) -> State:
        """How it is now, or was a moment ago. Never raises."""
        if self._timer() >= self._until and self._lock.acquire(blocking=self._until == float("-inf")):
            try:
                if self._timer() >= self._until:
                    self._found = self._find()
                    self._until = self._timer() + self._seconds
            finally:
                self._lock.release()
        return self._found

    def _find(self) -> State:
        try:
            self._look()
        except DavserverError as error:
            return State("failed", error.detail, self._is_needed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the part does not work
            return State("failed", type(error).__name__, self._is_needed)
        return State("ok", "", self._is_needed)


class Readiness:
    """The checks of one process."""

    def __init__(self, services: Services) -> None:
        config = services.config
        self._checks = {
            "database": Check(lambda: _ask(services), _CHEAP_SECONDS, is_needed=True),
            "migrations": Check(lambda: _compare(services), _CHEAP_SECONDS, is_needed=True),
            "store": Check(services.store.check, _DEAR_SECONDS, is_needed=True),
        }
        self._off: dict[str, State] = {}
        if config.redis_url is None:
            self._off["broker"] = State("off", is_needed=False)
        else:
            url = config.redis_url.reveal()
            self._checks["broker"] = Check(lambda: ping(url), _DEAR_SECONDS, is_needed=False)
        if config.clamav_host is None:
            self._off["scanner"] = State("off", is_needed=False)
        else:
            self._checks["scanner"] = Check(open_scanner(config).check, _DEAR_SECONDS, is_needed=False)

    def states(self) -> Mapping[str, State]:
        """Each part by its name."""
        return {name: check.state() for name, check in self._checks.items()} | self._off


def is_ready(states: Mapping[str, State]) -> bool:
    """Whether all that is needed works."""
    return not any(state.is_needed and state.state == "failed" for state in states.values())


def _ask(services: Services) -> None:
    with services.database.read() as connection:
        inspect(connection).has_table("alembic_version")  # reads the file, where SELECT 1 would not open it


def _compare(services: Services) -> None:
    with services.database.read() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    # A newer release may have migrated already: its tables serve this one too.
    if str(found or "") < known_revisions()[-1]:
        raise Unavailable("The database is not migrated to this release: davserver migrate.")


def ping(url: str) -> None:
    """See that a Redis answers. Raises what its client does."""
    import redis  # noqa: PLC0415 - it loads OpenTelemetry's metrics, half a second of them

    client = redis.Redis.from_url(url, socket_timeout=_BROKER_SECONDS, socket_connect_timeout=_BROKER_SECONDS)
    try:
        client.ping()
    finally:
        client.close()
