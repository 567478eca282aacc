"""The part of docs/benchmarks.md about many users, from docs/benchmarks/load.json."""

from collections.abc import Iterator
from typing import Any

_MIB = 1 << 20


def load(part: dict[str, Any]) -> Iterator[str]:
    """Its lines: the runs, and for each the steps of the search, processor and memory."""
    yield f"## Under many users\n\n{part['text']}\n"
    yield "| server | users | minutes | requests | a second | failures | p50, ms | p99, ms | memory at start, MiB | at the end |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in part["rows"]:
        seen = row["seen"]
        yield (
            f"| {row['server']} | {row['users']} | {row['minutes']:.1f} | {row['requests']:,} | {row['rate']:,.0f} |"
            f" {row['failures']} | {row['p50']:.0f} | {row['p99']:.0f} | {_all(seen[0]['memory'])} | {_all(row['memory'])} |"
        )
    yield (
        "\nFailures count all requests from the first user on, and what was not there at the end. Memory (Pss) is that of our "
        "own processes, server, worker and beat, when all users have come, and at the end."
    )
    for row in part["rows"]:
        if "note" in row:
            yield f"\n{row['server']}: {row['note']}"
        else:
            yield from _one(row)


def _one(row: dict[str, Any]) -> Iterator[str]:
    name = row["server"]
    machine = "; ".join(f"{what}: {value}" for what, value in row["machine"].items())
    yield f"\n### {name}, the highest load\n"
    yield f"What kept it from more, in the whole run: {row['limit']}. At the end `davserver verify`: {row['verify']}"
    yield f"Tracebacks in the server's log: {row['tracebacks']}. Measured with {machine}."
    yield from (f"\n{times} x `{error[:200]}`" for error, times in row["errors"].items())
    if row["steps"]:
        yield "\nThe search, in processors and MiB:\n"
        yield from _steps(row["steps"])
    yield "\nMemory during the run, MiB:\n"
    groups = list(row["memory"])
    points = [("no users yet", row["idle"]), *_few(row["seen"]), ("the end", row["memory"])]
    yield "| | " + " | ".join(label for label, _ in points) + " |"
    yield "|---" * (len(points) + 1) + "|"
    for group in groups:
        yield f"| {group} | " + " | ".join(f"{memory[group] / _MIB:.0f}" for _, memory in points) + " |"


def _steps(steps: list[dict[str, Any]]) -> Iterator[str]:
    groups = list(steps[0]["cpu"])
    yield (
        "| users | requests a second | p50, ms | p99, ms | failures | "
        + " | ".join(f"CPU, {group}" for group in groups)
        + " | memory | |"
    )
    yield "|---" * (7 + len(groups)) + "|"
    for step in steps:
        cpu = " | ".join(f"{step['cpu'][group]:.2f}" for group in groups)
        yield (
            f"| {step['users']} | {step['rate']:,.0f} | {step['p50']:.0f} | {step['p99']:.0f} | {step['failures']} | {cpu} |"
            f" {_all(step['memory'])} | {step['why'] or 'held'} |"
        )


def _few(seen: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, int]]]:
    """Some of the looks at the memory, evenly spread."""
    stride = max(len(seen) // 6, 1)
    for look in seen[::stride]:
        yield f"{look['minute']:.0f} min", look["memory"]


def _all(memory: dict[str, int]) -> str:
    """Of our own processes, in MiB."""
    return f"{sum(memory.get(group, 0) for group in ('server', 'worker')) / _MIB:,.0f}"
