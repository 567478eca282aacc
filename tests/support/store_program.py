"""A process of its own that uses a store: to be killed, or to have its memory measured.

Run as `python -m tests.support.store_program ACTION` with one JSON object on standard input: {"folder": path} or the
arguments of S3Store.
"""

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from davserver.stores.base import Store
from davserver.stores.folder import FolderStore
from davserver.stores.s3 import S3Store

MIB = 1 << 20
KEY = "ab/ab" + "0" * 30
HALF_WAY = 20
"""MiB of a put that is to be killed."""
LONG = 200
"""MiB of a put whose memory is measured."""


def main() -> None:
    """Do what the first argument says."""
    store = make_store(json.loads(sys.stdin.readline()))
    store.check()
    if sys.argv[1] == "hang":
        store.put(KEY, hanging(), None)
    else:
        measure(store)


def make_store(arguments: dict[str, Any]) -> Store:
    """The store that the arguments describe."""
    if "folder" in arguments:
        return FolderStore(Path(arguments["folder"]))
    return S3Store(**arguments)


def hanging() -> Iterator[bytes]:
    """HALF_WAY MiB, then nothing for as long as the process lives."""
    for _ in range(HALF_WAY):
        yield bytes(MIB)
    print("half way", flush=True)
    time.sleep(600)


def measure(store: Store) -> None:
    """Put and read LONG MiB and print how far the peak of resident memory rose, in bytes, as JSON."""
    run(store, MIB, None)
    result = {}
    for name, size in {"declared": LONG * MIB, "undeclared": None}.items():
        reset_peak()
        before = peak()
        run(store, LONG * MIB, size)
        result[name] = peak() - before
    print(json.dumps(result), flush=True)


def run(store: Store, length: int, size: int | None) -> None:
    """Put so many bytes in odd pieces, read them, remove them."""
    step = 256 * 1024 - 16
    block = bytes(range(256)) * (MIB // 256)
    store.put(KEY, (memoryview(block)[: min(step, length - at)] for at in range(0, length, step)), size)
    read = sum(len(part) for part in store.read(KEY, 0, length))
    if read != length:
        raise ValueError(read)
    store.remove(KEY)


def reset_peak() -> None:
    """Let the kernel count the peak anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Peak of resident memory, bytes."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
