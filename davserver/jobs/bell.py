"""The bell: it says "look", and carries nothing, so that nothing is lost with it. What there is to do stands in the database.

Whoever rings does not wait: a thread looks, when the bell rang and every few seconds besides.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0
"""After a look that failed."""
_STOP_SECONDS: Final = 10.0


class Bell:
    """Calls `look` in a thread of its own, from `start` to `close`. `stop` makes a `look` under way return soon.

    Start it in the process that is to have the thread: threads do not survive a fork.
    """

    def __init__(
        self, look: Callable[[], object], *, stop: Callable[[], None] | None = None, every: float = EVERY_SECONDS
    ) -> None:
        self._look = look
        self._stop = stop
        self._every = every
        self._rung = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = -1

    def start(self) -> None:
        """Begin to listen. Once is enough."""
        if self._thread is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._listen, name="davserver-bell", daemon=True)
            self._thread.start()

    def ring(self) -> None:
        """Say that there is something to do. Never waits, never raises; without a `start` nobody hears."""
        self._rung.set()

    def close(self) -> None:
        """End the thread. What it was doing is given back, or, should it hang, taken over by another worker later."""
        self._closing.set()
        self._rung.set()
        if self._stop is not None:
            self._stop()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                log.warning("background work did not stop within %.0f s; another worker will take it up", _STOP_SECONDS)

    def _listen(self) -> None:
        is_failing = False
        while not self._closing.is_set():
            self._rung.clear()
            try:
                self._look()
                is_failing = False
            except Exception as error:  # noqa: BLE001 - whatever it was, the next look may do better
                if not is_failing and not self._closing.is_set():
                    log.warning("background work has to wait: %s: %s", type(error).__name__, error)
                is_failing = True
                self._closing.wait(_PAUSE_SECONDS)
            self._rung.wait(self._every)
