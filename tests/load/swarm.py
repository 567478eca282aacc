"""Loaded by locust beside locustfile.py: as many people as a file says at the moment, and every second a line of figures.

In the folder LOAD_FOLDER: `users` holds the wanted number, or nothing to end; `figures` gets lines of JSON, each with what was
counted since the start.
"""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from locust import LoadTestShape, events, runners
from locust.env import Environment
from locust.runners import MasterRunner

FOLDER = Path(os.environ["LOAD_FOLDER"])
RATE = float(os.environ["LOAD_RATE"])
runners.WORKER_REPORT_INTERVAL = 1.0
runners.HEARTBEAT_LIVENESS = runners.MASTER_HEARTBEAT_TIMEOUT = 60  # seconds: a busy machine is no dead worker


class Wanted(LoadTestShape):
    """As many as the file says."""

    def tick(self) -> tuple[int, float] | None:
        """See `LoadTestShape.tick`."""
        wanted = (FOLDER / "users").read_text(encoding="ascii").strip()
        return (int(wanted), RATE) if wanted else None


here: dict[str, int] = {}
"""Users whose folder is ready, by locust's process."""


@events.worker_report.add_listener  # type: ignore[untyped-decorator] # locust says nothing of its types
def _count(client_id: str, data: dict[str, Any], **_: Any) -> None:
    here[client_id] = data.get("here", 0)


@events.init.add_listener  # type: ignore[untyped-decorator] # locust says nothing of its types
def tell(environment: Environment, **_: Any) -> None:
    """Write figures as long as the run lasts, in the process that knows them all."""
    if isinstance(environment.runner, MasterRunner):
        threading.Thread(
            target=_tell, args=(environment, environment.runner), daemon=True
        ).start()  # a greenlet, with locust


def _tell(environment: Environment, runner: MasterRunner) -> None:
    with (FOLDER / "figures").open("a", encoding="utf-8") as out:
        while True:
            stats = environment.stats
            line = {
                "at": time.monotonic(),
                "users": runner.user_count,
                "here": sum(here.values()),
                "requests": stats.total.num_requests,
                "failures": stats.total.num_failures,
                "times": {str(time): count for time, count in stats.total.response_times.items()},
                "errors": {f"{one.method} {one.name}: {one.error}": one.occurrences for one in stats.errors.values()},
            }
            out.write(json.dumps(line) + "\n")
            out.flush()
            time.sleep(1)
