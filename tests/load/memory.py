"""How much memory the server takes at most while it does what is large or many."""

import random
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from tests.load.client import Site, UnexpectedAnswer, ask, download, exchange, upload
from tests.load.compare import running, say
from tests.load.growth import grow
from tests.load.processes import MemoryWatch
from tests.load.work import BLOCK, PROPFIND, SMALL, STORED, XML, filled

GIB = 1 << 30
SIZE = 10 * GIB
MEMBERS = 100_000
IDLE = 500
UPLOADS = 64


def measure(servers: list[str], size: int = SIZE, members: int = MEMBERS) -> dict[str, Any]:
    """The figures of the part; `size` bytes of one large file, `members` of one large folder."""
    rows = []
    for name in servers:
        with running([name]) as (targets, _):
            for target in targets:
                site = target.site
                works: dict[str, Callable[[], object]] = {
                    f"PUT of {size / GIB:g} GiB": partial(upload, site, "/large.bin", size, BLOCK),
                    f"GET of {size / GIB:g} GiB": partial(download, site, "/large.bin", size),
                    f"{UPLOADS} uploads of 16 MiB at once": partial(_uploads, site),
                    f"{IDLE} idle connections": partial(_idle, site),
                    f"a listing of {members:,} members": partial(_list, site, members),
                    f"a listing of {members:,} resources, depth infinity": partial(_list_deep, site, members),
                }
                for work, run in works.items():
                    with MemoryWatch(target.pids) as watch:
                        run()
                    rows.append({"server": name, "work": work, "before": watch.before, "peak": watch.peak})
                    say(f"memory: {rows[-1]}")
    return {"rows": rows}


def _uploads(site: Site) -> None:
    failed: list[Exception] = []

    def one(number: int) -> None:
        try:
            upload(site, f"/many-{number}.bin", 16 << 20, BLOCK)
        except (OSError, UnexpectedAnswer) as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(UPLOADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise UnexpectedAnswer(f"{len(failed)} uploads failed: {failed[0]}")


def _idle(site: Site) -> None:
    ask(site, STORED, "PUT", "/one.bin", SMALL)
    request = site.request("GET", "/one.bin")
    with ExitStack() as stack:
        lines = [stack.enter_context(closing(site.connect())) for _ in range(IDLE)]
        random.Random(3).shuffle(lines)
        for _ in range(2):
            for line in lines:
                if exchange(line, request).status != 200:
                    raise UnexpectedAnswer("an idle connection was not served")


def _list(site: Site, members: int) -> None:
    _count(site, filled(site, members), "1", members + 1)


def _list_deep(site: Site, members: int) -> None:
    source = filled(site, 1000)
    ask(site, (201,), "MKCOL", "/more/")
    grow(site, source, 0, members)
    _count(site, "/more/", "infinity", members + members // 1000 + 1)


def _count(site: Site, path: str, depth: str, wanted: int) -> None:
    with closing(site.connect()) as sock:
        answer = exchange(sock, site.request("PROPFIND", path, PROPFIND, {"Depth": depth} | XML))
    shown = answer.body.count(b"</D:response>")
    if answer.status != 207 or shown != wanted:
        raise UnexpectedAnswer(f"{answer.status}, {shown} of {wanted} shown")
