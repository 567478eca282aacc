"""Traces by the OpenTelemetry SDK."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_SEND_SECONDS: Final = 5.0
_PATH: Final = "/v1/traces"


class OtlpTracing:
    """See `davserver.tracing.Tracing`. Spans wait in memory, up to 2048, and are sent by a thread."""

    def __init__(self, endpoint: str, *, version: str, percent: int) -> None:
        url = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + _PATH
        resource = Resource.create({"service.name": "davserver", "service.version": version})
        self._provider = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(percent / 100)), shutdown_on_exit=False
        )
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=_SEND_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("davserver", version)

    @contextmanager
    def span(self, name: str, **attributes: str | int) -> Iterator[object]:
        """See `davserver.tracing.Tracing.span`."""
        span = self._tracer.start_span(
            name, attributes={key.replace("__", "."): value for key, value in attributes.items()}
        )
        try:
            with _active(span):
                yield span
        except GeneratorExit:
            raise  # whoever read has read enough
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()

    def request(self, method: str, route: str, traceparent: str | None, **attributes: str) -> "OtlpRequestSpan":
        """See `davserver.tracing.Tracing.request`."""
        parent = Context() if traceparent is None else _PROPAGATOR.extract({"traceparent": traceparent}, Context())
        told = {"http.request.method": method, "http.route": route}
        told |= {key.replace("__", "."): value for key, value in attributes.items()}
        return OtlpRequestSpan(self._tracer.start_span(f"{method} {route}", parent, SpanKind.SERVER, told))

    def close(self) -> None:
        """See `davserver.tracing.Tracing.close`."""
        # The provider would wait for half a minute on a collector that is away; without its exporter it ends.
        enough = threading.Timer(_SEND_SECONDS, self._exporter.shutdown)
        enough.daemon = True
        enough.start()
        self._provider.shutdown()
        enough.cancel()


_PROPAGATOR: Final = TraceContextTextMapPropagator()


class OtlpRequestSpan:
    """See `davserver.tracing.RequestSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def active(self) -> AbstractContextManager[object]:
        """See `davserver.tracing.RequestSpan.active`."""
        return _active(self._span)

    def end(self, status: int, received: int, sent: int) -> None:
        """See `davserver.tracing.RequestSpan.end`."""
        self._span.set_attribute("http.request.body.size", received)
        self._span.set_attribute("http.response.body.size", sent)
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if not status or status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _active(span: Span) -> AbstractContextManager[object]:
    return use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)
