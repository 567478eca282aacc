"""A program that serves: run by test_processes.py as a process of its own. Arguments: settings as JSON, a log file."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from davserver.http import BodyCutOff, HttpConfig, ServeError, serve
from davserver.http.exchange import Environ, StartResponse

SETTINGS = json.loads(sys.argv[1])
LOG = Path(sys.argv[2])
FAILING_START = LOG.with_suffix(".fail")
STARTED_THREADS = threading.active_count()


def log(line: str) -> None:
    with LOG.open("a") as file:
        file.write(f"{line}\n")


class App:
    """Counts, stores, sleeps and dies on demand."""

    def __init__(self) -> None:
        if FAILING_START.exists():
            raise RuntimeError("cannot start")
        log(f"made {os.getpid()} parent {os.getppid()}")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        path = environ["PATH_INFO"]
        if path == "/die":
            os._exit(9)
        if path == "/upload":
            log("upload begun")
            try:
                while environ["davserver.body"].read(1 << 16):
                    pass
            except BodyCutOff as error:
                log(f"cut off: {error.reason}")
                raise
            log("committed")
        elif path.startswith("/sleep"):
            log("sleeping")
            time.sleep(float(environ["QUERY_STRING"]))
            log("slept")
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        body = f"{os.getpid()} {cpus}".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        yield body

    def close(self) -> None:
        log(f"closed {os.getpid()}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    try:
        status = serve(
            App,
            HttpConfig(port=0, **SETTINGS),
            on_ready=lambda address: print(json.dumps([*address, threading.active_count()]), flush=True),
        )
    except ServeError as error:
        sys.exit(f"gave up: {error}")
    log("returned")
    sys.exit(status)
