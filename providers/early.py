"""What our HTTP server answers in its selecting thread: requests whose answer is remembered, after one question for many."""

from collections.abc import Callable, Sequence
from typing import Final

from davserver.db.quick import QuickReadFailed
from davserver.services.glances import Glances, Wanted
from providers.hot import Guess, Hot
from providers.request import Environ, raw_path

_GUESS: Final = "davserver.guess"


class EarlyAnswers:
    """See `davserver.http.early.Early`. `base_of` gives the share that a path is in, None for none."""

    methods: Final = frozenset({b"GET", b"HEAD", b"PROPFIND"})

    def __init__(self, hot: Hot, glances: Sequence[Glances], base_of: Callable[[str], str | None]) -> None:
        self._hot = hot
        self._glances = tuple(glances)
        self._base_of = base_of
        self._asked: dict[int, tuple[Glances, Sequence[Environ]]] = {}
        """By descriptor."""
        self._busy: set[Glances] = set()

    def note(self, environ: Environ) -> bool:
        """Whether an answer to this request may be remembered."""
        base = self._base_of(raw_path(environ))
        guess = None if base is None else self._hot.guess(environ, base)
        if guess is None:
            return False
        environ[_GUESS] = guess
        return True

    def can_ask(self) -> bool:
        """Whether there is a connection on which no answer is awaited."""
        return any(one.descriptor >= 0 and one not in self._busy for one in self._glances)

    def ask(self, environs: Sequence[Environ]) -> tuple[int, bool]:
        """Ask whether it is true. Raises OSError."""
        free = next((one for one in self._glances if one.descriptor >= 0 and one not in self._busy), None)
        if free is None:
            raise ConnectionError
        guesses: list[Guess] = [environ[_GUESS] for environ in environs]
        wanted: list[Wanted] = [(guess.expected, guess.revision_id) for guess in guesses]
        descriptor = free.descriptor
        self._asked[descriptor] = free, environs
        self._busy.add(free)
        try:
            free.ask(wanted)
        except QuickReadFailed:
            return descriptor, False
        return descriptor, True

    def hear(self, descriptor: int) -> list[bool] | None:
        """Of which it is true. Raises OSError."""
        glances, asked = self._asked[descriptor]
        try:
            found = glances.hear()
        except QuickReadFailed as error:
            raise ConnectionError from error
        if found is None:
            return None
        del self._asked[descriptor]
        self._busy.discard(glances)
        return [
            what is not None and self._hot.confirm(environ, environ.pop(_GUESS), *what)
            for environ, what in zip(asked, found, strict=True)
        ]

    def forget(self, descriptor: int) -> None:
        """Ask no more on this connection."""
        glances, _ = self._asked.pop(descriptor)
        self._busy.discard(glances)
        glances.forget()
