"""Schemathesis over the OpenAPI document: what it allows and what it forbids, by the thousand, against a real server.

Whatever is sent: an answer comes, it is no 500, its status, type and shape are those that the document names, memory stays where
it was, and `davserver verify` finds nothing afterwards. DAVSERVER_PROVE=1 sends many times as much, to both deployments.

The stateful phase is left out. It infers 56 links between our routes, and follows 3 to 7 of them whether it makes up 40 or 300
examples, in 10 to 18 s: most of what it makes is refused for what the document cannot say (a path that is there, a name that is
free), and the id of one is put beside another owner's. That what is removed is gone, the tests of each route see.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.davserver import Deployment, ServerProcess, User, resident
from tests.support.fixtures_davserver import deployment_kinds, make_deployment

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600 if os.environ.get("DAVSERVER_PROVE") else 280)]
ROOT = Path(__file__).parents[2]
FULL = bool(os.environ.get("DAVSERVER_PROVE"))
EXAMPLES = 60 if FULL else 4
"""Of each route, of each kind: fitting and not."""
GROWTH = 48 << 20
"""Bytes that the processes together may grow by, once the first round is over."""
CONFIG = """\
hooks = "tests.support.schemathesis_hooks"
request-timeout = 30.0
warnings = false
[checks]
# What fits the document may still name what is not there, or is not a name, or is over the quota, or comes at a bad moment.
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 405, 409, 412, 413, 414, 423, 429, 507]
# An address or a body can be too long before anybody looks at what is wrong with it.
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 414, 415, 422, 423]
"""


def run(server: ServerProcess, user: User, folder: Path, *options: str) -> int:
    """Let Schemathesis loose on a server. Returns how many requests it made up."""
    (folder / "schemathesis.toml").write_text(CONFIG)
    api = server.url.removesuffix("/dav/") + "/api"
    known = {"FUZZED_API": f"{api}/v1", "FUZZED_USER": user.name, "FUZZED_PASSWORD": user.password}
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(folder / "schemathesis.toml"), "run",
            f"{api}/openapi.json", "--no-color", "--continue-on-failure", "--max-examples", str(EXAMPLES),
            "--suppress-health-check=too_slow",  # it goes by the clock, and says more of the machine than of the server
            *options,
        ],
        cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **known},
        capture_output=True, text=True, timeout=1700, check=False,
    )  # fmt: skip
    told = "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines() if line.strip())
    assert done.returncode == 0, told[-20_000:]
    found = re.search(r"(\d+) generated", done.stdout)
    assert found is not None, done.stdout[-3000:]
    return int(found[1])


@pytest.fixture(params=deployment_kinds() if FULL else deployment_kinds()[-1:])
def fuzzed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of its own, for whoever may do everything does everything. PostgreSQL takes less than SQLite does."""
    yield from make_deployment(request.param, request, tmp_path)


def test_every_answer_is_as_the_document_says(fuzzed: Deployment, tmp_path: Path) -> None:
    deployment = fuzzed
    server = deployment.start(DAVSERVER_REGISTRATION="open")
    user = deployment.add_user("fuzz", "--admin")
    first = run(server, user, tmp_path, "--phases", "coverage", "--generation-deterministic")
    before = resident(server.pid)
    then = run(server, user, tmp_path, "--phases", "fuzzing", *(() if FULL else ("--generation-deterministic",)))
    grown = resident(server.pid) - before
    print(f"{deployment.kind}: {first} and {then} requests made up, {grown >> 20} MiB more")
    assert first + then > 1000
    assert grown < GROWTH, f"{grown >> 20} MiB more"
    assert "Traceback" not in server.log
    told = deployment.run("verify", check=False)
    assert told.returncode == 0, told.stdout
