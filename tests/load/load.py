"""Searches for the highest load that our server holds without an error on this machine, and keeps it up.

Run: .venv/bin/python -m tests.load.load --target ours-embedded --search-minutes 6 --minutes 30
It writes docs/benchmarks/load.json and docs/benchmarks.md at the end; with --dry it only prints.
"""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from tests.load import report
from tests.load.compare import say
from tests.load.crowd import RATE, Crowd, Whole, crowd, whole
from tests.load.processes import cpu_by_process, file_pages, machine, memory
from tests.load.search import Measured, Search, percentile
from tests.load.targets import OURS_BY_NAME, Target, versions

MIB = 1 << 20
CORES = len(os.sched_getaffinity(0))
SETTLE_SECONDS = 10.0
STEP_SECONDS = 30.0
AT_LIMIT = 0.9
"""Of a processor: what takes more is at its limit."""
FIRST = 200
TEXT = (
    "Every user is an account of its own, on one connection, with the pauses of people at work (tests/load/README.md): of "
    "eleven users five look around in a mounted drive, two save as office programs do, two sync, one streams media, one comes "
    "over REST. "
    "Their number is raised by half until a request fails, one in a hundred takes over 2 s, or more users bring no more "
    "requests; then the highest that held is looked for between. A new server then has that load for the whole run. "
    "Locust runs on the same machine. At the end all users look whether everything is there, byte for byte, and "
    "`davserver verify` compares database and store."
)


@dataclass(frozen=True)
class Plan:
    """How long what takes."""

    minutes: float = 30.0
    search_minutes: float = 6.0
    first: int = FIRST
    users: int | None = None
    """Those of the run, without a search."""


class Watch:
    """What happens from now on: requests, processor time, memory."""

    def __init__(self, one: Whole, users: Crowd) -> None:
        self._one = one
        self._crowd = users
        self._groups = one.groups | {"locust": users.pids}
        self._began = time.monotonic()
        self._first = users.figures()
        self._cpu = self._cpu_now()

    def _cpu_now(self) -> dict[str, dict[int, float]]:
        return {name: cpu_by_process(pids) for name, pids in self._groups.items()}

    def measured(self) -> Measured:
        """The requests since then."""
        last = self._crowd.figures()
        before = {int(float(time)): count for time, count in self._first["times"].items()}
        times = {int(float(time)): count for time, count in last["times"].items()}
        new = {time: count - before.get(time, 0) for time, count in times.items()}
        return Measured(
            users=last["users"],
            seconds=max(last["at"] - self._first["at"], 1.0),
            requests=last["requests"] - self._first["requests"],
            failures=last["failures"] - self._first["failures"],
            p50=percentile(new, 0.5),
            p99=percentile(new, 0.99),
        )

    def row(self) -> dict[str, Any]:
        """All since then as it is kept: `cpu` in processors, `memory` in bytes, each by group."""
        measured, seconds = self.measured(), time.monotonic() - self._began
        cpu = {
            name: {pid: (now - self._cpu[name].get(pid, 0.0)) / seconds for pid, now in processes.items()}
            for name, processes in self._cpu_now().items()
        }
        return {
            "users": measured.users,
            "rate": round(measured.rate, 1),
            "requests": measured.requests,
            "failures": measured.failures,
            "p50": measured.p50,
            "p99": measured.p99,
            "cpu": {name: round(sum(processes.values()), 2) for name, processes in cpu.items()},
            "busiest": {name: round(max(processes.values(), default=0), 2) for name, processes in cpu.items()},
            "memory": held(self._one),
        }


def held(one: Whole) -> dict[str, int]:
    """Bytes of memory of each group now, and what of the server's is only pages of files."""
    found = {name: memory(pids) for name, pids in one.groups.items()}
    return found | {"of the server, pages of files": file_pages(one.groups["server"])}


def limit(row: dict[str, Any]) -> str:
    """What kept a row from being more."""
    parts = ", ".join(f"{name} {cpu / CORES:.0%}" for name, cpu in row["cpu"].items())
    if row["busiest"]["locust"] >= AT_LIMIT:
        return f"locust, one process of which was at its limit ({parts} of {CORES} cores)"
    if sum(row["cpu"].values()) >= AT_LIMIT * CORES:
        return f"the processor ({parts} of {CORES} cores)"
    return f"not the processor ({parts} of {CORES} cores)"


def line(row: dict[str, Any]) -> str:
    """A row for people."""
    parts = ", ".join(f"{name} {size / MIB:.0f}" for name, size in row["memory"].items())
    cpu = ", ".join(f"{name} {part:.2f}" for name, part in row["cpu"].items())
    said = f"{row['users']:5} users {row['rate']:7.1f}/s  p50 {row['p50']:5.0f}  p99 {row['p99']:5.0f} ms"
    return f"{said}  failed {row['failures']}  MiB: {parts}  CPU: {cpu}  {row.get('why', '')}"


def search(name: str, plan: Plan) -> tuple[int, list[dict[str, Any]]]:
    """The highest load that held, and all steps."""
    steps: list[dict[str, Any]] = []
    found = Search(plan.first)
    with whole(name) as one, crowd(one) as users:
        end = time.monotonic() + plan.search_minutes * 60
        while (wanted := found.next()) is not None:
            coming = max(wanted - (steps[-1]["users"] if steps else 0), 0) / RATE
            if steps and time.monotonic() + coming + SETTLE_SECONDS + STEP_SECONDS > end:
                break
            failures = users.figures()["failures"]
            users.be(wanted)
            time.sleep(SETTLE_SECONDS)
            if steps and wanted < steps[-1]["users"]:
                failures = users.figures()["failures"]  # those who left had too many beside them
            watch = Watch(one, users)
            time.sleep(STEP_SECONDS)
            row = watch.row() | {"failures": users.figures()["failures"] - failures}
            measured = Measured(wanted, STEP_SECONDS, row["requests"], row["failures"], row["p50"], row["p99"])
            steps.append(row | {"why": found.tell(measured)})
            say(f"{name} {line(steps[-1])}")
            for error, times in users.figures()["errors"].items() if row["failures"] else ():
                say(f"   {times} x {error[:200]}")
    if found.held is None:
        raise SystemExit(f"{name} held no load at all; see the errors above, or begin with fewer: --first")
    return found.held.users, steps


def run(name: str, users: int, minutes: float) -> dict[str, Any]:
    """That load for so long, on a new server."""
    with whole(name) as one, crowd(one) as people:
        idle = held(one)
        people.be(users)
        time.sleep(3 * SETTLE_SECONDS)
        watch = Watch(one, people)
        seen = [{"minute": 0.0, "memory": held(one)}]
        began = told = time.monotonic()
        while (now := time.monotonic()) < began + minutes * 60:
            if now >= told + min(60, minutes * 12):
                told = now
                seen.append({"minute": round((now - began) / 60, 1), "memory": held(one)})
                say(f"{name} {seen[-1]['minute']:4.1f} min {line(watch.row())}")
            time.sleep(0.5)
        row = watch.row()
        last = people.end()
        for error, times in last["errors"].items():
            say(f"   {times} x {error[:200]}")
        return row | {
            "server": name,
            "minutes": minutes,
            "failures": last["failures"],  # also of the beginning, and of the look at the end
            "errors": last["errors"],
            "idle": idle,
            "seen": seen,
            "limit": limit(row),
            "verify": verified(one.target),
            "tracebacks": sum(server.log.count("Traceback") for server in one.target.deployment.servers)
            if one.target.deployment
            else 0,
        }


def verified(target: Target) -> str:
    """What `davserver verify` says at the end."""
    assert target.deployment is not None
    say(f"{target.name}: davserver verify")
    done = target.deployment.run("verify", check=False, seconds=1800)
    said = done.stdout.strip().splitlines()
    for text in said:
        say(f"   {text}")
    return (
        " ".join([said[0], said[-1]]) if said and done.returncode == 0 else f"FAILED ({done.returncode}): {said[-1:]}"
    )


def measure(servers: list[str], plan: Plan) -> dict[str, Any]:
    """The figures of the part."""
    rows = []
    for name in servers:
        users, steps = (plan.users, []) if plan.users else search(name, plan)
        say(f"{name}: {plan.minutes:g} minutes with {users} users")
        rows.append(run(name, users, plan.minutes) | {"steps": steps, "machine": machine() | versions()})
        say(f"{name} {line(rows[-1])}  limit: {rows[-1]['limit']}")
    return {"text": TEXT, "rows": rows}


def keep(figures: dict[str, Any]) -> None:
    """Write down these rows, in the place of those that there were of the same servers."""
    path = report.FIGURES / "load.json"
    before = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    new = {row["server"] for row in figures["rows"]}
    rows = [row for row in before if row["server"] not in new] + figures["rows"]
    report.keep("load", figures | {"rows": sorted(rows, key=lambda row: str(row["server"]), reverse=True)})


def main() -> None:
    """The command."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("--target", choices=list(OURS_BY_NAME), action="append", help="may be given twice; default: both")
    made.add_argument("--minutes", type=float, default=Plan.minutes, help="how long the load is kept up")
    made.add_argument("--search-minutes", type=float, default=Plan.search_minutes, help="how long it is searched for")
    made.add_argument("--first", type=int, default=FIRST, help="users of the first step")
    made.add_argument("--users", type=int, help="run with so many, and search for nothing")
    made.add_argument("--dry", action="store_true", help="print, and write nothing")
    options = made.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started is stopped
    plan = Plan(options.minutes, options.search_minutes, options.first, options.users)
    for name in options.target or list(OURS_BY_NAME):
        figures = measure([name], plan)
        if options.dry:
            print(json.dumps(figures, indent=1, sort_keys=True))
        else:
            keep(figures)
            report.write_page()


if __name__ == "__main__":
    main()
