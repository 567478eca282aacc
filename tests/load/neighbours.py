"""Ten slow downloads and ten slow uploads: does a PROPFIND beside them still get its answer?"""

import threading
import time
from typing import Any

from tests.load.client import Site, UnexpectedAnswer, ask, download, hammer, upload
from tests.load.compare import running, say
from tests.load.work import BLOCK, PROPFIND, SMALL, STORED, XML

SLOW = 10
SECONDS = 8.0
SIZE = 32 << 20
_PIECE = 64 * 1024
TEXT = f"{SLOW} downloads and {SLOW} uploads move some 200 KB a second each; two processes with 8 threads each."


def measure(servers: list[str]) -> dict[str, Any]:
    """The figures of the part."""
    rows = []
    for name in servers:
        with running([name]) as (targets, _):
            for target in targets:
                rows.append({"server": name} | beside(target.site))
                say(f"neighbours: {rows[-1]}")
    return {"text": TEXT, "rows": rows}


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
