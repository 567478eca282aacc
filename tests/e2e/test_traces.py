"""Traces of a real server, as a collector receives them: OTLP over HTTP, parsed from the protobuf."""

import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.davserver import Deployment
from tests.support.postgres import free_port

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@dataclass(frozen=True)
class Received:
    """One span."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str | int]
    is_error: bool
    nanoseconds: int


class Collector(ThreadingHTTPServer):
    """Takes spans, as a collector would."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Received] = []
        self.raw = b""
        self.service = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, body: bytes) -> None:
        self.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            named = {item.key: item.value.string_value for item in resource.resource.attributes}
            self.service = named["service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                values = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
                nanoseconds = span.end_time_unix_nano - span.start_time_unix_nano
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                self.spans.append(Received(span.name, *ids, values, span.status.code == 2, nanoseconds))

    def wait_for(self, wanted: Callable[[Received], bool]) -> Received:
        """The first span that is wanted, as soon as it is here."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for span in list(self.spans):
                if wanted(span):
                    return span
            time.sleep(0.02)
        raise AssertionError([span.name for span in self.spans])

    def below(self, parent: Received) -> list[str]:
        """The names of all that is below a span."""
        direct = [span for span in self.spans if span.parent == parent.id]
        return [name for span in direct for name in (span.name, *self.below(span))]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        self.server.take(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A running collector."""
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_request_is_a_span_with_its_work_below_it_and_without_names_or_secrets(
    deployment: Deployment, collector: Collector
) -> None:
    server = deployment.start(DAVSERVER_OTLP_ENDPOINT=collector.endpoint)
    user = deployment.add_user()
    with httpx.Client(base_url=server.url, auth=user.auth, timeout=60) as client:
        headers = {"traceparent": TRACEPARENT}
        assert client.put("private-name.bin", content=bytes(300_000), headers=headers).status_code == 201
        assert client.get("private-name.bin?token=hush").content == bytes(300_000)
        assert client.get("private-none").status_code == 404
        assert client.request("DELETE", "private-name.bin").status_code == 204
    server.stop()  # what is left is sent then

    put = collector.wait_for(lambda span: span.name == "PUT /dav/{path}")
    assert put.parent == ""
    assert put.trace != TRACE  # nobody vouches for whoever said so
    assert put.attributes == {
        "http.request.method": "PUT", "http.route": "/dav/{path}", "http.response.status_code": 201,
        "http.request.body.size": 300_000, "http.response.body.size": 0,
    }  # fmt: skip
    assert put.nanoseconds > 0
    below = collector.below(put)
    assert {"database read", "database write", "store put"} <= set(below)
    get = collector.wait_for(
        lambda span: span.name == "GET /dav/{path}" and span.attributes["http.response.status_code"] == 200
    )
    assert get.attributes["http.response.body.size"] == 300_000
    assert {"database read", "store read"} <= set(collector.below(get))
    collector.wait_for(lambda span: span.attributes.get("http.response.status_code") == 404 and not span.is_error)
    assert collector.service == "davserver"
    for secret in (b"private-n", b"hush", user.name.encode(), user.password.encode()):
        assert secret not in collector.raw


def test_a_trusted_proxy_names_the_trace_and_names_are_told_when_asked_for(
    embedded: Deployment, collector: Collector
) -> None:
    server = embedded.start(
        DAVSERVER_OTLP_ENDPOINT=collector.endpoint + "/v1/traces",
        DAVSERVER_TRUSTED_PROXIES="127.0.0.1",
        DAVSERVER_TRACE_NAMES="true",
        DAVSERVER_TRACE_PERCENT="1",
    )
    user = embedded.add_user()
    with httpx.Client(base_url=server.url, auth=user.auth, timeout=60) as client:
        sent = {"traceparent": TRACEPARENT, "X-Forwarded-For": "192.0.2.7"}
        assert client.put("named.txt", content=b"content", headers=sent).status_code == 201
        unsampled = {"traceparent": TRACEPARENT[:-1] + "0", "X-Forwarded-For": "192.0.2.7"}
        assert client.put("unsampled.txt", content=b"content", headers=unsampled).status_code == 201
        malformed = {"traceparent": "odd", "X-Forwarded-For": "192.0.2.7"}
        assert client.put("odd.txt", content=b"content", headers=malformed).status_code == 201
    server.stop()
    put = collector.wait_for(lambda span: span.name == "PUT /dav/{path}")
    assert (put.trace, put.parent) == (TRACE, SPAN)
    assert put.attributes["url.path"] == "/dav/named.txt"
    assert b"unsampled" not in collector.raw


def test_a_job_is_a_span(embedded: Deployment, collector: Collector) -> None:
    server = embedded.start(DAVSERVER_OTLP_ENDPOINT=collector.endpoint, DAVSERVER_TRASH_RETENTION="0")
    user = embedded.add_user()
    with httpx.Client(base_url=server.url, auth=user.auth, timeout=60) as client:
        client.put("gone.bin", content=bytes(100_000)).raise_for_status()
        client.delete("gone.bin").raise_for_status()
        job = collector.wait_for(lambda span: span.name == "job remove_blobs")
    assert job.parent == ""
    assert "store remove" in collector.below(job)


def test_a_collector_that_is_away_costs_no_request_and_does_not_keep_the_server_from_stopping(
    embedded: Deployment,
) -> None:
    server = embedded.start(DAVSERVER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    user = embedded.add_user()
    with httpx.Client(base_url=server.url, auth=user.auth, timeout=60) as client:
        for number in range(20):
            client.put(f"{number}.txt", content=b"content").raise_for_status()
    assert server.stop() == 0


def test_nothing_of_opentelemetry_is_loaded_when_traces_are_off() -> None:
    program = (
        "import sys, davserver.wsgi, davserver.cli.serving; print([m for m in sys.modules if 'opentelemetry' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
