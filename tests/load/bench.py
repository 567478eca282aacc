"""`make bench`: measures, and writes docs/benchmarks.md with its plots.

Run: make bench BENCH='--rounds 2 --only put_4k,get_4k --only-servers ours-embedded,wsgidav-fs'
With --only or --only-servers it prints what it found, and writes nothing. Otherwise the figures of each piece of work are written
as they come, and the page at the end, also when it is cut off.
"""

import argparse
from typing import Any

from tests.load import growth, load, memory, neighbours, report
from tests.load.compare import Comparison, compare, running
from tests.load.processes import machine
from tests.load.targets import SERVERS, versions
from tests.load.work import WORK


def names(known: list[str], text: str) -> list[str]:
    """Those of a list with commas. Raises `argparse.ArgumentTypeError` for one that nobody knows."""
    chosen = text.split(",")
    if unknown := [name for name in chosen if name not in known]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there are {', '.join(known)}")
    return [name for name in known if name in chosen]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    works, servers = [work.name for work in WORK], list(SERVERS)
    made.add_argument("--rounds", type=int, default=5, help="rounds of each piece of work; the medians are told")
    made.add_argument("--seconds", type=float, default=3.0, help="how long small requests are pressed on")
    made.add_argument("--only", type=lambda text: names(works, text), help=f"of: {', '.join(works)}")
    made.add_argument("--only-servers", type=lambda text: names(servers, text), help=f"of: {', '.join(servers)}")
    made.add_argument("--parts", type=lambda text: names(list(PARTS), text), help=f"of: {', '.join(PARTS)}")
    made.add_argument(
        "--short",
        action="store_true",
        help="memory with 1 GiB and 10,000 members, growth to 100,000 files, a scan of 1.25 GiB, 6 minutes of load a server",
    )
    return made


PARTS = ("compare", "neighbours", "memory", "growth", "load")
OURS = ["ours-embedded", "ours-company"]


def table(comparison: Comparison) -> str:
    """The figures as text: speed, ratio to the first server, CPU seconds (own + database and store)."""
    lines = []
    for work in WORK:
        figures = comparison.figures.get(work.name)
        if not figures:
            continue
        first = next(iter(figures.values()))
        lines.append(f"{work.name} ({work.unit}; CPU seconds per {work.per})")
        for name, figure in figures.items():
            behind = f" + {figure.cpu_behind:.3f}" if figure.cpu_behind else ""
            bound = "  (the client was at its limit)" if figure.client_bound else ""
            ratio = first.speed / figure.speed
            lines.append(f"  {name:14} {figure.speed:12,.1f}   x{ratio:<8.2f} cpu {figure.cpu:.3f}{behind}{bound}")
        lines += [f"  {name:14} FAILED: {why}" for name, why in comparison.failures.get(work.name, {}).items()]
    lines += [f"{name} was skipped: {why}" for name, why in comparison.skipped.items()]
    return "\n".join([*lines, "x: how many times as fast as this one the first is"])


def _part(part: str, servers: list[str], *, is_short: bool) -> dict[str, Any]:
    if part == "memory":
        return memory.measure(servers, *((2**30, 10_000) if is_short else ()))
    if part == "growth":
        return growth.measure(servers, growth.SIZES[:3] if is_short else growth.SIZES)
    if part == "load":
        return load.measure(servers, load.Plan(minutes=3, search_minutes=3) if is_short else load.Plan())
    return neighbours.measure(servers, *((2**28,) if is_short else ()))


def main() -> None:
    options = parser().parse_args()
    writes = not (options.only or options.only_servers)
    try:
        for part in options.parts or PARTS:
            if part == "compare":
                _compare(options, writes=writes)
            elif writes or options.parts:
                figures = _part(part, options.only_servers or OURS, is_short=options.short)
                print(figures)
                if writes:
                    _keep(part, figures)
    finally:
        if writes:
            report.write_page()


def _compare(options: argparse.Namespace, *, writes: bool) -> None:
    works = options.only or [work.name for work in WORK]

    def so_far(comparison: Comparison) -> None:
        if writes:
            _keep("compare", comparison.as_json())

    with running(options.only_servers or list(SERVERS)) as (targets, skipped):
        print(table(compare(targets, skipped, works, options.rounds, options.seconds, so_far)))


def _keep(part: str, figures: dict[str, Any]) -> None:
    if part == "load":
        load.keep(figures)
        return
    report.keep(part, figures | {"machine": machine() | versions()})


if __name__ == "__main__":
    main()
