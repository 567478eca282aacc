"""Runs every piece of work on every server, in turn, and keeps the medians."""

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.load.client import UnexpectedAnswer
from tests.load.processes import cpu_seconds
from tests.load.targets import SERVERS, Missing, Neighbours, Target
from tests.load.work import WORK, Done, Work


def say(text: str) -> None:
    """Progress goes to stderr: long work shows that it lives."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Figure:
    """What one server did in one kind of work: medians over the rounds."""

    speed: float
    cpu: float
    """CPU seconds of the server's own processes for each unit of `Work.per`."""
    cpu_behind: float
    """And those of its database and its store."""
    client_bound: bool
    rounds: int


@dataclass(frozen=True)
class Comparison:
    """All figures of a run."""

    figures: dict[str, dict[str, Figure]]
    """By the name of the work, then of the server."""
    failures: dict[str, dict[str, str]]
    """What a server could not do, and what it said."""
    skipped: dict[str, str]
    """Servers that could not be had, and why."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@contextlib.contextmanager
def running(names: Collection[str]) -> Iterator[tuple[list[Target], dict[str, str]]]:
    """Start the servers of these names; those that run, and why the others do not."""
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="davserver-bench-", ignore_cleanup_errors=True))
        )
        near = Neighbours(folder, stack)
        targets: list[Target] = []
        skipped: dict[str, str] = {}
        for name in names:
            try:
                say(f"starting {name}")
                targets.append(stack.enter_context(SERVERS[name](near)))
            except Missing as why:
                skipped[name] = str(why)
                say(f"SKIPPED {name}: {why}")
        yield targets, skipped


def compare(
    targets: list[Target],
    skipped: dict[str, str],
    works: Collection[str],
    rounds: int,
    seconds: float,
    so_far: Callable[[Comparison], object] = lambda _: None,
) -> Comparison:
    """Run the work in interleaved rounds: A B C, A B C, so that what disturbs the machine disturbs all of them.

    `so_far` is told after each piece of work what there is, so that a run that is cut off leaves that.
    """
    figures: dict[str, dict[str, Figure]] = {}
    failures: dict[str, dict[str, str]] = {}
    for work in (work for work in WORK if work.name in works):
        runs: dict[str, list[tuple[Done, float, float]]] = {target.name: [] for target in targets}
        for turn in range(rounds):
            for target in targets:
                if target.name in failures.get(work.name, {}):
                    continue
                try:
                    runs[target.name].append(_measured(work, target, f"{turn}", seconds))
                except (UnexpectedAnswer, OSError) as error:
                    failures.setdefault(work.name, {})[target.name] = str(error)
                    say(f"{work.name}: {target.name} FAILED: {error}")
        figures[work.name] = {name: _median(done) for name, done in runs.items() if done}
        said = (f"{name} {figure.speed:,.0f} (CPU {figure.cpu:.3f})" for name, figure in figures[work.name].items())
        say(f"{work.name} ({work.unit}): {', '.join(said)}")
        so_far(Comparison(figures, failures, skipped))
    return Comparison(figures, failures, skipped)


def _measured(work: Work, target: Target, turn: str, seconds: float) -> tuple[Done, float, float]:
    own, behind = cpu_seconds(target.pids), cpu_seconds(target.behind)
    done = work.run(target.site, turn, seconds)
    own, behind = cpu_seconds(target.pids) - own, cpu_seconds(target.behind) - behind
    return done, own / done.units, behind / done.units


def _median(runs: list[tuple[Done, float, float]]) -> Figure:
    return Figure(
        speed=statistics.median(done.speed for done, _, _ in runs),
        cpu=statistics.median(own for _, own, _ in runs),
        cpu_behind=statistics.median(behind for _, _, behind in runs),
        client_bound=any(done.client_bound for done, _, _ in runs),
        rounds=len(runs),
    )
