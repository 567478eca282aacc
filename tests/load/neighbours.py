"""Ten slow downloads and ten slow uploads, or a long scan: does a PROPFIND beside them still get its answer?"""

import contextlib
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.load import targets as servers_of
from tests.load.client import Site, UnexpectedAnswer, ask, download, hammer, upload
from tests.load.compare import running, say
from tests.load.work import BLOCK, PROPFIND, SMALL, STORED, XML
from tests.support.clamd import ClamdServer
from tests.support.tools import find

SLOW = 10
SECONDS = 8.0
SIZE = 32 << 20
_PIECE = 64 * 1024
SCANNED_FILES, SCANNED_SIZE = 5, 2 << 30
"""What clamd scans meanwhile: 10 GiB, in files of a size that it takes (4 GiB at most)."""
TEXT = (
    f"{SLOW} downloads and {SLOW} uploads move some 200 KB a second each; two processes with 8 threads each. The scan is one "
    f"of {SCANNED_FILES * SCANNED_SIZE >> 30} GiB by a clamd on the same machine."
)


def measure(servers: list[str], scanned: int = SCANNED_SIZE) -> dict[str, Any]:
    """The figures of the part; `scanned` bytes in each of the files that are scanned."""
    rows = []
    for name in servers:
        with running([name]) as (targets, _):
            for target in targets:
                rows.append({"server": name, "beside": "slow transfers"} | beside(target.site))
                say(f"neighbours: {rows[-1]}")
        if find("clamd") is None:
            say("neighbours: no scan, as clamd is not installed (Debian's package clamav-daemon)")
            continue
        with scanning(name) as (target, clamd):
            rows.append({"server": name, "beside": "a scan"} | beside_scan(target, clamd, scanned))
            say(f"neighbours: {rows[-1]}")
    return {"text": TEXT, "rows": rows}


@contextlib.contextmanager
def scanning(name: str) -> Iterator[tuple[servers_of.Target, ClamdServer]]:
    """One of our servers with a clamd that takes large files."""
    limits = dict.fromkeys(("StreamMaxLength", "MaxFileSize", "MaxScanSize"), "4000M") | {
        "MaxScanTime": "0",
        "LogClean": "yes",
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="davserver-bench-")))
        clamd = ClamdServer(folder / "clamd", **limits)
        stack.callback(clamd.stop)
        clamd.start()
        near = servers_of.Neighbours(folder, stack)
        settings = clamd.settings | {"DAVSERVER_SCAN_MAX_SIZE": "3G"}
        target = stack.enter_context(servers_of.OURS_BY_NAME[name](near, **settings))
        yield target, clamd


def beside_scan(
    target: servers_of.Target, clamd: ClamdServer, size: int, seconds: float = SECONDS
) -> dict[str, dict[str, float]]:
    """Percentiles as `beside` has them, while clamd is busy with files of this size."""
    site, deployment = target.site, target.deployment
    assert deployment is not None
    ask(site, STORED, "PUT", "/one.bin", SMALL)
    quiet = percentiles(site, seconds)
    for number in range(SCANNED_FILES):
        upload(site, f"/scanned-{number}.bin", size, BLOCK)
    while clamd.streams <= SCANNED_FILES:  # as fast as they come: so all of them once more
        time.sleep(0.2)
    before = clamd.streams
    deployment.run("scan", "rescan", site.user)
    loud = percentiles(site, seconds)
    if clamd.streams > before + SCANNED_FILES:
        raise UnexpectedAnswer("the scan was over before the measuring was: make it larger")
    return {"quiet": quiet, "loud": loud}


def beside(site: Site, seconds: float = SECONDS) -> dict[str, dict[str, float]]:
    """Percentiles of a PROPFIND, in milliseconds, when it is quiet and beside slow neighbours."""
    ask(site, STORED, "PUT", "/one.bin", SMALL)
    upload(site, "/slow.bin", SIZE, BLOCK)
    quiet = percentiles(site, seconds)
    over, failed = threading.Event(), list[Exception]()
    threads = [threading.Thread(target=_slow, args=(site, n, over, failed), daemon=True) for n in range(2 * SLOW)]
    for thread in threads:
        thread.start()
    time.sleep(2.0)
    loud = percentiles(site, seconds)
    over.set()
    for thread in threads:
        thread.join()
    if failed:
        raise UnexpectedAnswer(f"{len(failed)} slow neighbours failed: {failed[0]}")
    return {"quiet": quiet, "loud": loud}


class _Over(Exception):
    """The measuring is over."""


def _slow(site: Site, number: int, over: threading.Event, failed: list[Exception]) -> None:
    def pace() -> None:
        if over.wait(_PIECE / 200_000):
            raise _Over

    try:
        while True:
            if number % 2:
                download(site, "/slow.bin", SIZE, each=pace, at_once=_PIECE)
            else:
                upload(site, f"/slow-{number}.bin", SIZE, BLOCK[:_PIECE], each=pace)
    except _Over:
        return
    except (OSError, UnexpectedAnswer) as error:
        failed.append(error)


def percentiles(site: Site, seconds: float) -> dict[str, float]:
    """Of one connection that asks again and again."""
    request = site.request("PROPFIND", "/one.bin", PROPFIND, {"Depth": "0"} | XML)
    load = hammer(site, request, connections=1, seconds=seconds)
    return {"p50": load.percentile(50) * 1000, "p99": load.percentile(99) * 1000}
