"""Traces: what a request or a job spent its time on, told to a collector (OpenTelemetry, OTLP over HTTP).

Nothing of OpenTelemetry is loaded unless an endpoint is set. Spans hold methods, routes, sizes and kinds; names of files only if
somebody asks for them, and secrets never: no header field, no query, no text of an error.
"""

from contextlib import AbstractContextManager
from typing import Protocol


class RequestSpan(Protocol):
    """A request under way."""

    def active(self) -> AbstractContextManager[object]:
        """While this is entered, spans that are begun in this thread are below the request's."""

    def end(self, status: int, received: int, sent: int) -> None:
        """It was answered. Bytes are those of bodies; status 0 is a broken connection."""


class Tracing(Protocol):
    """Makes spans. For all threads of one process; made after a fork."""

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[object]:
        """A piece of work inside whatever span is active, or one of its own. What it raises marks it, by its type alone."""

    def request(self, method: str, route: str, traceparent: str | None, **attributes: str) -> RequestSpan:
        """A request begins. `traceparent` (W3C Trace Context) names the span of whoever sent it, if that is to be believed."""

    def close(self) -> None:
        """Send what was not sent yet, for a few seconds at most."""


def open_tracing(endpoint: str | None, *, version: str, percent: int = 100) -> Tracing | None:
    """Traces to the collector at `endpoint`, such as ``http://127.0.0.1:4318``; None without one.

    Of requests without a `traceparent` so many in a hundred are traced.
    """
    if endpoint is None:
        return None
    from davserver.tracing.otlp import OtlpTracing  # noqa: PLC0415 - it takes a quarter of a second to load

    return OtlpTracing(endpoint, version=version, percent=percent)
