"""Requests that the selector thread answers by itself, from what the application remembers, after one question for many of them.

The application says what it would have to ask a database about a request. Requests that arrive while an answer is awaited
wait for the next question, which is one for all of them: never for one that was sent before they had come. No thread is woken
and none waits. Whatever cannot be answered so goes to the workers, who ask anew.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from davserver.http.exchange import Environ, Exchange
from davserver.http.poller import Poller

if TYPE_CHECKING:
    from davserver.http.connection import HttpConnection

MAX_TOGETHER: Final = 64
"""Requests of one question."""
_PATIENCE: Final = 1.0
"""Seconds that the selector waits for an answer; then the workers ask, who know what to tell a client."""
_LONGEST_METHOD: Final = 16


class Early(Protocol):
    """What an application may offer as its attribute `early`. Called by the selector thread alone; nothing here may wait."""

    methods: frozenset[bytes]
    """Requests of other methods are not shown."""

    def note(self, environ: Environ) -> bool:
        """Whether a request could be answered from memory, after a question. Its body has arrived. Raises nothing."""

    def can_ask(self) -> bool:
        """Whether another question can be asked, beside those whose answers are awaited."""

    def ask(self, environs: Sequence[Environ]) -> tuple[int, bool]:
        """Ask about all of these; the descriptor that becomes readable when an answer comes, and whether one can come.

        Either way `forget` is due when nobody waits for it. Raises OSError when there is nothing to ask on.
        """

    def hear(self, descriptor: int) -> list[bool] | None:
        """Whether each of them can be answered now, by a call of the application; None when the answer is not all there.

        Raises OSError.
        """

    def forget(self, descriptor: int) -> None:
        """Nobody waits for this answer any more. The descriptor, which is watched no more, may be closed."""


class Lane:
    """The requests that wait for a question or for its answer. Owned by the selector thread, and so are they."""

    def __init__(
        self,
        early: Early,
        poller: Poller,
        *,
        answer: Callable[["HttpConnection"], None],
        pass_on: Callable[["HttpConnection"], None],
    ) -> None:
        """`answer` answers a request at once; `pass_on` gives it to the workers."""
        self._early = early
        self._poller = poller
        self._answer = answer
        self._pass_on = pass_on
        self._waiting: list[Exchange] = []
        self._asked: dict[int, tuple[list[Exchange], float]] = {}
        """By the descriptor on which the answer will come; with when to give it up."""

    def take(self, connection: "HttpConnection") -> bool:
        """Whether a connection with a request is left to us."""
        if connection.channel.first_word(_LONGEST_METHOD) not in self._early.methods:
            return False
        exchange = connection.prepare()
        if exchange is None or not self._early.note(exchange.environ):
            return False
        exchange.environ["davserver.began"] = time.perf_counter()
        self._waiting.append(exchange)
        return True

    def turn(self) -> None:
        """Ask for those who wait, as far as that can be done; give up what takes too long."""
        if self._asked:
            now = time.monotonic()
            for late in [descriptor for descriptor, (_, until) in self._asked.items() if until < now]:
                self._failed(late)
        while self._waiting and (not self._asked or self._early.can_ask()):
            asked, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
            try:
                descriptor, is_asked = self._early.ask([exchange.environ for exchange in asked])
            except OSError:
                self._pass_all_on(asked)
                continue
            self._asked[descriptor] = asked, time.monotonic() + _PATIENCE
            try:
                if is_asked:
                    self._poller.arm(descriptor)
            except OSError:
                is_asked = False
            if not is_asked:
                self._failed(descriptor)

    def hears(self, descriptor: int) -> bool:
        """Whether what became readable is an answer; then it is seen to."""
        if descriptor not in self._asked:
            return False
        try:
            found = self._early.hear(descriptor)
            if found is None:
                self._poller.arm(descriptor)
                return True
        except OSError:
            self._failed(descriptor)
            return True
        asked, _ = self._asked.pop(descriptor)
        for exchange, is_known in zip(asked, found, strict=True):
            (self._answer if is_known else self._pass_on)(exchange.connection)
        return True

    def _failed(self, descriptor: int) -> None:
        self._poller.forget(descriptor)
        self._early.forget(descriptor)
        self._pass_all_on(self._asked.pop(descriptor)[0])

    def _pass_all_on(self, exchanges: list[Exchange]) -> None:
        for exchange in exchanges:
            self._pass_on(exchange.connection)
