"""The trash and the jobs from the command line, beside a running server."""

import time
from collections.abc import Callable

import pytest
import requests

from tests.support.davserver import Deployment

pytestmark = pytest.mark.timeout(180)


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)


def test_a_deleted_folder_is_listed_restored_and_purged_from_the_command_line(deployment: Deployment) -> None:
    server = deployment.start()
    user = deployment.add_user("ada")

    def send(method: str, where: str, data: bytes = b"") -> requests.Response:
        return requests.request(method, server.url + where, data=data, auth=user.auth, timeout=30)

    assert send("MKCOL", "docs").status_code == 201
    assert send("PUT", "docs/big", b"x" * 100_000).status_code == 201
    assert send("PUT", "docs/small", b"x").status_code == 201
    assert send("DELETE", "docs").status_code == 204

    listed = deployment.run("trash", "list", "ada").stdout.splitlines()
    assert listed[1].split()[:3] == ["docs/", "/docs", "2"]
    assert "Restored to /docs" in deployment.run("trash", "restore", "ada", "docs").stdout
    assert send("GET", "docs/small").content == b"x"
    assert send("PUT", "docs/small", b"newer").status_code == 204
    refused = deployment.run("trash", "restore", "ada", "small", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    deployment.run("trash", "restore", "ada", "small", "--overwrite")
    assert send("GET", "docs/small").content == b"x"
    deployment.run("trash", "restore", "ada", "small", "--to", "/docs/a b/newer")
    assert send("GET", "docs/a%20b/newer").content == b"newer"

    assert send("DELETE", "docs").status_code == 204
    deployment.run("trash", "purge", "ada", "docs/small")
    assert send("GET", ".trash/docs/small").status_code == 404
    deployment.run("trash", "empty", "ada")
    assert "is empty" in deployment.run("trash", "list", "ada").stdout
    wait_until(lambda: "nothing to do" in deployment.run("jobs", "list").stdout)
    usage = send("PROPFIND", "").text
    assert ".trash" in usage
    deployment.run("trash", "settings", "ada", "--hide", "--keep", "1h")
    assert ".trash" not in send("PROPFIND", "").text
    said = deployment.run("trash", "settings", "ada").stdout
    assert "1h" in said
    assert "hidden" in said
    report = deployment.run("verify")
    assert report.returncode == 0
    server.stop()


def test_jobs_are_done_from_the_command_line_when_no_server_runs(deployment: Deployment) -> None:
    server = deployment.start()
    user = deployment.add_user("ada")
    requests.put(server.url + "f", data=b"x" * 100_000, auth=user.auth, timeout=30).raise_for_status()
    server.stop()
    deployment.run("trash", "empty", "ada")
    listed = deployment.run("jobs", "list").stdout.splitlines()
    assert listed[1].split()[1:4] == ["purge", "waiting", "0"]
    assert "1 job was done; 0 left" in deployment.run("jobs", "run").stdout
    assert "0 jobs are tried again" in deployment.run("jobs", "retry").stdout
    missing = deployment.run("jobs", "retry", "12345", check=False)
    assert (missing.returncode, missing.stderr) == (1, "davserver: No job 12345 is waiting or failed.\n")
