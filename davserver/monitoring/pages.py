"""``/readyz`` and ``/metrics`` as WSGI applications. Whether to be sent traffic is told to everybody, the rest to few."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from davserver.bootstrap import Services
from davserver.domain.clock import system_clock
from davserver.domain.errors import DavserverError
from davserver.monitoring.meters import Meters
from davserver.monitoring.readiness import Readiness, State, is_ready
from davserver.services.monitoring import Drive, Figures

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Callable[[bytes], object]]

LEAVING: Final = "davserver.leaving"
"""In the WSGI environment once this server has been told to stop."""
_FIGURES_SECONDS: Final = 15.0
_FORWARDED: Final = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED")


class Monitoring:
    """The pages of one process. `meters` count in all of them."""

    def __init__(self, services: Services, meters: Meters) -> None:
        self.meters = meters
        self._networks = services.config.monitor_networks
        self._readiness = Readiness(services)
        self._drive = _Cached(Drive(services.database, system_clock).figures)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def ready(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """200 when this server should be sent requests, else 503. Why, only to those who may know."""
        leaving = bool(environ.get(LEAVING))
        states: dict[str, State] = {} if leaving else dict(self._readiness.states())
        ready = not leaving and is_ready(states)
        told: dict[str, Any] = {"ready": ready}
        if self._may_see(environ):
            told["stopping"] = leaving
            told["parts"] = {name: {"state": s.state, "reason": s.reason} for name, s in states.items()}
        return _answer(start_response, 200 if ready else 503, "application/json", json.dumps(told).encode() + b"\n")

    def metrics(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """The text format of Prometheus, 0.0.4."""
        if not self._may_see(environ):
            # As if it were not there: what runs here is nobody's business.
            return _answer(start_response, 404, "text/plain; charset=utf-8", b"There is nothing here.\n")
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return _answer(start_response, 200, content_type, generate_latest(self._registry))

    def _may_see(self, environ: Environ) -> bool:
        # Through a proxy that is not trusted everybody has the proxy's address.
        if any(environ.get(field) for field in _FORWARDED):
            return False
        try:
            address = ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)

    def collect(self) -> Iterator[Metric]:
        """All figures (prometheus_client's interface)."""
        yield from _of_requests(self.meters)
        figures = self._drive.get()
        up = GaugeMetricFamily("davserver_part_up", "1 when a part that is configured works.", labels=["part"])
        for name, state in self._readiness.states().items():
            if state.state != "off":
                up.add_metric([name], float(state.state == "ok"))
        yield up
        if figures is not None:
            yield from _of_the_drive(figures)


class _Cached:
    """Figures that cost queries are asked for now and then only. None while the database is away."""

    def __init__(self, ask: Callable[[], Figures]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._found: Figures | None = None
        self._until = float("-inf")

    def get(self) -> Figures | None:
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._found = self._ask()
                except DavserverError:
                    self._found = None
                self._until = time.monotonic() + _FIGURES_SECONDS
            return self._found


def _of_requests(meters: Meters) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "davserver_http_requests", "Requests that were answered.", labels=["method", "status"]
    )
    for method, status, count in meters.requests():
        requests.add_metric([method, status], count)
    yield requests
    times = HistogramMetricFamily(
        "davserver_http_request_duration_seconds",
        "From the head of a request to the end of its answer.",
        labels=["method"],
    )
    for method, buckets, seconds in meters.times():
        times.add_metric([method], buckets, seconds)
    yield times
    for name, text, counts in (
        ("davserver_http_received_bytes", "Bytes of request bodies that were read.", meters.received()),
        ("davserver_http_sent_bytes", "Bytes of the bodies of answers.", meters.sent()),
    ):
        counter = CounterMetricFamily(name, text, labels=["method"])
        for method, count in counts:
            counter.add_metric([method], count)
        yield counter
    in_flight = GaugeMetricFamily(
        "davserver_http_requests_in_flight", "Requests under way; those of PUT are uploads.", labels=["method"]
    )
    for method, count in meters.in_flight():
        in_flight.add_metric([method], count)
    yield in_flight
    hits = CounterMetricFamily("davserver_cache_hits", "What was remembered when it was wanted.", labels=["cache"])
    misses = CounterMetricFamily("davserver_cache_misses", "What was not.", labels=["cache"])
    remembered = GaugeMetricFamily("davserver_cache_bytes", "Bytes that are remembered, about.", labels=["cache"])
    for cache, hit, missed, size in meters.caches():
        hits.add_metric([cache], hit)
        misses.add_metric([cache], missed)
        remembered.add_metric([cache], size)
    yield from (hits, misses, remembered)
    yield GaugeMetricFamily("davserver_processes", "Server processes on this machine.", value=meters.processes())


def _of_the_drive(figures: Figures) -> Iterator[Metric]:
    """The same from every server: take the maximum, not the sum."""
    jobs = GaugeMetricFamily("davserver_jobs", "Background work that is not done.", labels=["kind", "state"])
    for (kind, state), count in figures.jobs.items():
        jobs.add_metric([kind, state], count)
    yield jobs
    found = GaugeMetricFamily("davserver_found_contents", "Contents that a virus was found in.", labels=["verdict"])
    for verdict in ("infected", "released"):
        found.add_metric([verdict], figures.found.get(verdict, 0))
    yield found
    for name, text, value in (
        ("davserver_jobs_oldest_seconds", "For how long work has been due that waits.", figures.jobs_oldest_seconds),
        ("davserver_locks", "Locks that hold.", figures.locks),
        ("davserver_uploads", "Uploads under way into the store.", figures.uploads),
        ("davserver_users", "Users.", figures.users),
        ("davserver_used_bytes", "Bytes that all users' quotas count.", figures.used_bytes),
        ("davserver_quota_bytes", "The quotas of all users who have one.", figures.quota_bytes),
        ("davserver_trash_entries", "Entries in the trash of all users.", figures.trash_entries),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def _answer(start_response: StartResponse, status: int, content_type: str, body: bytes) -> Iterable[bytes]:
    phrase = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}[status]
    fields = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    start_response(f"{status} {phrase}", [*fields, ("X-Content-Type-Options", "nosniff")])
    return [body]
