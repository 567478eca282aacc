"""Measure segment sizes: sealing, opening, and small reads from a folder store. docs/sealed-content.md has the figures.

Times are CPU time of this process, system calls included: what the sizes differ in, and what other work on the machine
disturbs least. The reads come from the page cache.

Run: .venv/bin/python -m tests.load.segment_sizes [FOLDER]. Takes a minute; FOLDER (default: a temporary one) gets 256 MiB.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from davserver.crypto.segments import Sealer, SegmentLayout, open_range
from davserver.stores.base import blob_key
from davserver.stores.folder import FolderStore

MIB = 1 << 20
SIZE = 256 * MIB
RANGE = 4096
READS = 2000
ROUNDS = 5
DATA_KEY = bytes(range(32))
BLOB_ID = "ab" * 16


def main() -> None:
    """Print one line of figures for each segment size."""
    print(
        f"{'segment':>8}  {'seal':>12}  {'put':>12}  {'get':>12}  {'4 KiB range, median':>20}  {'99 of 100':>10}  overhead"
    )
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for kib in (64, 128, 256, 512, 1024):
            print(measure(FolderStore(Path(folder)), SegmentLayout(kib * 1024)), flush=True)


def measure(store: FolderStore, layout: SegmentLayout) -> str:
    """One line of figures."""
    key = blob_key(BLOB_ID)
    block = random.Random(1).randbytes(MIB)

    def blocks() -> Iterator[bytes]:
        return (block for _ in range(SIZE // MIB))

    def sealed() -> Iterator[bytes]:
        return Sealer(DATA_KEY, BLOB_ID.encode(), layout).seal(blocks())

    def opened(start: int, stop: int) -> Iterator[bytes]:
        return open_range(
            lambda first, last: store.read(key, first, last),
            layout.sealed_size(SIZE),
            start,
            stop,
            data_key=DATA_KEY,
            associated_data=BLOB_ID.encode(),
            layout=layout,
        )

    sealing = best(lambda: sum(map(len, sealed())))
    putting = best(lambda: store.put(key, sealed(), layout.sealed_size(SIZE)))
    getting = best(lambda: sum(map(len, opened(0, SIZE))))
    places = random.Random(2)
    times = []
    for _ in range(READS):
        start = places.randrange(SIZE - RANGE)
        began = time.process_time()
        if sum(map(len, opened(start, start + RANGE))) != RANGE:
            raise ValueError(start)
        times.append(time.process_time() - began)
    overhead = layout.sealed_size(SIZE) / SIZE - 1
    return (
        f"{layout.segment_size // 1024:>4} KiB  {sealing:>6.0f} MiB/s  {putting:>6.0f} MiB/s  {getting:>6.0f} MiB/s  "
        f"{statistics.median(times) * 1e6:>17.0f} µs  {statistics.quantiles(times, n=100)[98] * 1e6:>7.0f} µs  {overhead:.4%}"
    )


def best(work: Callable[[], int]) -> float:
    """MiB per second of CPU time, of the fastest of ROUNDS runs over SIZE bytes."""
    fastest = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        fastest = min(fastest, time.process_time() - began)
    return SIZE / MIB / fastest


if __name__ == "__main__":
    main()
