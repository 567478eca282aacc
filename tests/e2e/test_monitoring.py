"""What a balancer and Prometheus see of a real server."""

import json
import re
import signal
import time

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.davserver import Deployment, ServerProcess
from tests.support.source import ROOT

pytestmark = pytest.mark.server


def page(server: ServerProcess, name: str, **headers: str) -> requests.Response:
    host, port = server.address
    return requests.get(f"http://{host}:{port}/{name}", headers=headers, timeout=20)


def samples(server: ServerProcess) -> dict[tuple[str, ...], float]:
    """Name and label values -> value."""
    found = page(server, "metrics")
    assert found.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found.text)
        for sample in family.samples
    }


def dashboard_names() -> set[str]:
    """The figures that the dashboard asks for."""
    dashboard = json.loads((ROOT / "deploy/grafana/davserver.json").read_text("utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return set(re.findall(r"davserver_\w+", " ".join(asked)))


def test_a_server_is_ready_and_says_how_each_part_is(deployment: Deployment) -> None:
    answer = page(deployment.start(), "readyz")
    assert answer.status_code == 200
    parts = {name: part["state"] for name, part in answer.json()["parts"].items()}
    assert parts == {"database": "ok", "migrations": "ok", "store": "ok", "broker": "off", "scanner": "off"}


def test_without_a_broker_and_a_scanner_that_are_configured_work_waits_and_the_server_is_ready(
    embedded: Deployment,
) -> None:
    embedded.settings |= {"REDIS_URL": "redis://127.0.0.1:1/0", "CLAMAV_HOST": "127.0.0.1", "CLAMAV_PORT": "1"}
    answer = page(embedded.start(), "readyz")
    assert answer.status_code == 200
    parts = answer.json()["parts"]
    assert (parts["broker"]["state"], parts["scanner"]["state"]) == ("failed", "failed")


def test_a_server_whose_database_is_gone_is_not_ready_but_alive(embedded: Deployment) -> None:
    server = embedded.start()
    for path in (embedded.folder / "data").glob("davserver.db*"):
        path.write_bytes(b"no database at all" * 1000)
    deadline = time.monotonic() + 20
    while page(server, "readyz").status_code != 503:
        assert time.monotonic() < deadline
    assert page(server, "readyz").json()["parts"]["database"]["state"] == "failed"
    assert page(server, "healthz").status_code == 200
    server.kill()  # it cannot end cleanly any more


def test_figures_are_those_of_all_processes(deployment: Deployment) -> None:
    deployment.settings["DAVSERVER_PROCESSES"] = "3"
    server = deployment.start()
    user = deployment.add_user()
    for number in range(12):
        put = requests.put(f"{server.url}{number}", b"x" * 100, auth=user.auth, timeout=20)
        assert put.status_code == 201
        for _ in range(7):  # three processes: one of them is asked more than twice
            assert requests.get(f"{server.url}{number}", auth=user.auth, timeout=20).content == b"x" * 100
    seen = samples(server)
    assert seen["davserver_cache_hits_total", "answers"] >= 12
    assert seen["davserver_cache_misses_total", "answers"] >= 12
    assert seen["davserver_cache_bytes", "answers"] > 12 * 100
    assert seen["davserver_cache_hits_total", "sign_ins"] > 0
    told = page(server, "metrics").text
    assert not [name for name in dashboard_names() if name not in told]
    assert seen["davserver_http_requests_total", "PUT", "201"] == 12
    assert seen["davserver_http_received_bytes_total", "PUT"] == 1200
    assert seen["davserver_http_request_duration_seconds_count", "PUT"] == 12
    assert seen["davserver_http_requests_in_flight", "GET"] == 1  # this one
    assert seen["davserver_processes",] == 3
    assert seen["davserver_users",] >= 1
    assert seen["davserver_used_bytes",] == 1200
    assert seen["davserver_part_up", "database"] == 1


def test_the_world_is_told_whether_and_not_why(embedded: Deployment) -> None:
    embedded.settings["DAVSERVER_MONITOR_NETWORKS"] = "192.0.2.0/24"
    server = embedded.start()
    answer = page(server, "readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})
    assert page(server, "metrics").status_code == 404


def test_whoever_comes_through_an_unnamed_proxy_on_this_machine_is_the_world(embedded: Deployment) -> None:
    server = embedded.start()
    assert page(server, "metrics", **{"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    assert page(server, "metrics", Forwarded="for=127.0.0.1").status_code == 404
    assert page(server, "metrics").status_code == 200


def test_through_a_named_proxy_the_client_counts(embedded: Deployment) -> None:
    embedded.settings["DAVSERVER_TRUSTED_PROXIES"] = "127.0.0.1"
    server = embedded.start()
    assert page(server, "metrics", **{"X-Forwarded-For": "192.0.2.9"}).status_code == 404
    assert page(server, "metrics", **{"X-Forwarded-For": "192.0.2.9, 127.0.0.2"}).status_code == 200


def test_a_server_that_is_to_stop_says_so_before_it_does_and_still_serves(embedded: Deployment) -> None:
    embedded.settings["DAVSERVER_DRAIN_DELAY"] = "10m"
    server = embedded.start()
    user = embedded.add_user()
    assert page(server, "readyz").status_code == 200
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 20
    while (answer := page(server, "readyz")).status_code != 503:
        assert time.monotonic() < deadline
    assert answer.headers["Connection"] == "close"
    assert answer.json() == {"ready": False, "stopping": True, "parts": {}}
    assert requests.put(server.url + "a", b"x", auth=user.auth, timeout=20).status_code == 201
    # Once more, which `stop` does: at once.
    assert server.stop(expect_clean=False) == 1
