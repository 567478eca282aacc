"""A run of locust's users against our own servers: requests, failures, latencies, memory at the start and at the end."""

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.load.compare import running, say
from tests.load.processes import memory
from tests.load.targets import Target

USERS = 40
MINUTES = 30.0
TEXT = (
    "Of eleven users five look around in a mounted drive, two save as office programs do, two sync, one streams media, "
    "one comes over REST."
)


def measure(servers: list[str], minutes: float = MINUTES, users: int = USERS) -> dict[str, Any]:
    """The figures of the part."""
    rows = []
    for name in servers:
        with running([name]) as (targets, _):
            for target in targets:
                rows.append({"server": name} | _run(target, minutes, users))
                say(f"load: {rows[-1]}")
    return {"text": TEXT, "rows": rows}


def _run(target: Target, minutes: float, users: int) -> dict[str, float]:
    host, port = target.site.address
    environment = os.environ | {"DAV_USER": target.site.user, "DAV_PASSWORD": target.site.password}
    before = memory(target.pids)
    with tempfile.TemporaryDirectory(prefix="davserver-locust-") as folder:
        command = [
            sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless",
            "--host", f"http://{host}:{port}", "--users", str(users), "--spawn-rate", "5",
            "--run-time", f"{round(minutes * 60)}s", "--csv", f"{folder}/run", "--only-summary", "--exit-code-on-error", "0",
        ]  # fmt: skip
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr, timeout=minutes * 60 + 120)
        rows = list(csv.DictReader((Path(folder) / "run_stats.csv").open(encoding="utf-8")))
    total = rows[-1]
    assert total["Name"] == "Aggregated"
    return {
        "users": users,
        "minutes": minutes,
        "requests": int(total["Request Count"]),
        "failures": int(total["Failure Count"]),
        "p50": float(total["50%"]),
        "p99": float(total["99%"]),
        "before": before,
        "after": memory(target.pids),
    }
