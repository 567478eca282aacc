"""A span for each request, around the whole application."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

from davserver.tracing import RequestSpan, Tracing

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Callable[[bytes], object]]

TRACEPARENT: Final = "davserver.traceparent"
"""In the WSGI environment: what a trusted proxy said of the trace that the request is part of."""
_REST: Final = "/api/"
_PAGES: Final = frozenset({"/", "/healthz", "/readyz", "/metrics"})
_METHODS: Final = frozenset({
    "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "POST",
    "PATCH", "REPORT",
})  # fmt: skip


class Application(Protocol):
    """A WSGI application that holds something."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""

    def close(self) -> None:
        """Give back what it holds."""


class TracedApp:
    """Answers as `app` does. `path_of` gives a request's path; `shown` the path as a span may hold it, None for not at all."""

    def __init__(
        self,
        app: Application,
        tracing: Tracing,
        shares: Sequence[str],
        *,
        path_of: Callable[[Environ], str],
        shown: Callable[[str], str] | None = None,
    ) -> None:
        self._app = app
        self._tracing = tracing
        self._shares = tuple(shares)
        self._path_of = path_of
        self._shown = shown

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path, method = self._path_of(environ), environ["REQUEST_METHOD"]
        names = {} if self._shown is None else {"url__path": self._shown(path)}
        method = method if method in _METHODS else "_OTHER"
        span = self._tracing.request(method, self.route(path), environ.get(TRACEPARENT), **names)
        answer = _Answer(span, environ, start_response)
        try:
            with span.active():
                answer.parts = self._app(environ, answer.start_response)
        except BaseException:
            answer.end(is_broken=True)
            raise
        if isinstance(answer.parts, list):
            answer.end(sum(map(len, answer.parts)))
            return answer.parts
        return answer

    def close(self) -> None:
        """Give back what the application holds."""
        self._app.close()

    def route(self, path: str) -> str:
        """What stands for all paths of a kind, so that no name is in it."""
        for share in self._shares:
            if path == share or path.startswith(share + "/"):
                return f"{share}/{{path}}"
        if path.startswith(_REST):
            parts = path.split("/")
            return (
                "/".join(parts[:4]) + ("/{...}" if len(parts) > 4 else "")
                if parts[3:4] and parts[3].isalpha()
                else _REST
            )
        if path.startswith("/s/"):
            return "/s/{token}"
        return path if path in _PAGES else "{unknown}"


class _Answer:
    """The body of an answer; the span ends with it."""

    def __init__(self, span: RequestSpan, environ: Environ, start_response: StartResponse) -> None:
        self.parts: Iterable[bytes] = ()
        self._span = span
        self._environ = environ
        self._start_response = start_response
        self._status = 0
        self._sent = 0
        self._ended = False

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        self._status = int(status[:3])
        return self._start_response(status, headers, exc_info) if exc_info else self._start_response(status, headers)

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self.parts)
        while True:
            with self._span.active():
                part = next(parts, None)
            if part is None:
                return
            self._sent += len(part)
            yield part

    def close(self) -> None:
        try:
            close = getattr(self.parts, "close", None)
            if close is not None:
                with self._span.active():
                    close()
        finally:
            self.end(self._sent)

    def end(self, sent: int = 0, *, is_broken: bool = False) -> None:
        if not self._ended:
            self._ended = True
            received = getattr(self._environ.get("wsgi.input"), "bytes_read", 0)
            self._span.end(0 if is_broken else self._status, received, sent)
