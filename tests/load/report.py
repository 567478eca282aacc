"""docs/benchmarks.md and its plots, from the figures in docs/benchmarks/*.json."""

import json
from collections.abc import Iterator
from typing import Any

from tests.load.report_load import load
from tests.load.work import WORK
from tests.support.source import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = ROOT / "docs" / "benchmarks"

TARGETS: dict[str, dict[str, dict[str, float]]] = {
    "put_big": {"ours-embedded": {"wsgidav-fs": 1}, "ours-company": {"rclone-s3": 2}},
    "get_big": {"ours-embedded": {"wsgidav-fs": 1}, "ours-company": {"rclone-s3": 2}},
    "put_4k": {"ours-embedded": {"wsgidav-fs": 1.5}, "ours-company": {"rclone-s3": 2}},
    "get_4k": {"ours-embedded": {"wsgidav-fs": 5}, "ours-company": {"rclone-s3": 2}},
    "propfind_d0": {"ours-embedded": {"wsgidav-fs": 5}, "ours-company": {"rclone-s3": 2}},
    "propfind_d1_1k": {"ours-embedded": {"apache-fs": 2}, "ours-company": {"rclone-s3": 2, "apache-fs": 1}},
    "propfind_d1_10k": {"ours-embedded": {"apache-fs": 2}, "ours-company": {"rclone-s3": 2, "apache-fs": 1}},
    "copy_1k": {"ours-embedded": {"apache-fs": 1}, "ours-company": {"rclone-s3": 20}},
    "move_1k": {"ours-embedded": {"apache-fs": 1}, "ours-company": {"rclone-s3": 2}},
    "delete_1k": {"ours-embedded": {"apache-fs": 1}, "ours-company": {"rclone-s3": 2}},
    **{
        name: {"ours-embedded": {"apache-fs": 1}, "ours-company": {"rclone-s3": 2}}
        for name in ("tree_up", "tree_sync", "tree_down")
    },
}
"""What we want to reach: for each piece of work and each of ours, how many times as fast as which peer."""

_INTRO = """# Benchmarks

`make bench` made this page and its plots; docs/contributing.md says how. All servers run on one machine, which the client
shares, over plain HTTP on loopback, without an access log, and do the same work in turn. **Ratios within one run say
something; the figures themselves say as much of the machine.** CPU is the seconds that the server's own processes took for each
unit of work and, behind the plus, those of its database and its store.

| server | what it is |
|---|---|
| ours-embedded | davserver as it comes: two processes, SQLite, a folder; sealed with AES-256-GCM, each write durable (fsync) |
| ours-company | davserver, two processes, over PostgreSQL and S3 (SeaweedFS) |
| rclone-s3 | `rclone serve webdav` with `crypt` over the same S3 server: the same job |
| wsgidav-fs | stock WsgiDAV, one process, over a plain folder: no encryption, no database, no fsync |
| apache-fs | Apache mod_dav over a plain folder: no encryption, no database, no fsync |
"""


def keep(part: str, figures: dict[str, Any]) -> None:
    """Write down the figures of one part."""
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{part}.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def write_page() -> None:
    """Write the page and the plots from all figures that there are."""
    parts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIGURES.glob("*.json"))}
    text = [_INTRO]
    makers = {"compare": _comparison, "memory": _memory, "growth": _growth, "neighbours": _neighbours, "load": load}
    for name, make in makers.items():
        if name in parts:
            text += [*make(parts[name]), ""]
    PAGE.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")


def _machine(figures: dict[str, Any]) -> str:
    return "Measured with " + "; ".join(f"{name}: {value}" for name, value in figures["machine"].items()) + "."


def _comparison(part: dict[str, Any]) -> Iterator[str]:
    figures = part["figures"]
    servers = list(dict.fromkeys(name for row in figures.values() for name in row))
    rounds = max(figure["rounds"] for row in figures.values() for figure in row.values())
    yield f"## Beside others\n\nMedians of {rounds} rounds. {_machine(part)} {part.get('note', '')}\n"
    yield "| work | unit | " + " | ".join(servers) + " |"
    yield "|---" * (len(servers) + 2) + "|"
    for work in (work for work in WORK if work.name in figures):
        cells = [_cell(figures[work.name].get(name)) for name in servers]
        yield f"| {work.name}: {work.text} | {work.unit} | " + " | ".join(cells) + " |"
    yield "\n(≥: the client was at its limit, and the server may be faster.)\n"
    yield from _targets(figures)
    yield from _cpu_table(figures, servers)
    yield from (f"\nLeft out: {name}, as {why}" for name, why in part["skipped"].items())
    for work_name, row in part["failures"].items():
        yield from (f"\n{name} failed at {work_name}: `{why[:120]}`" for name, why in row.items())
    if _plot_comparison(figures, servers):
        yield "\n![Speed beside stock WsgiDAV](benchmarks/compare.svg)"


def _cpu_table(figures: dict[str, Any], servers: list[str]) -> Iterator[str]:
    if all(figure["cpu"] is None for row in figures.values() for figure in row.values()):
        return
    yield "\n### CPU seconds\n"
    yield "| work | for each | " + " | ".join(servers) + " |"
    yield "|---" * (len(servers) + 2) + "|"
    for work in (work for work in WORK if work.name in figures):
        cells = [_cpu(figures[work.name].get(name)) for name in servers]
        yield f"| {work.name} | {work.per} | " + " | ".join(cells) + " |"


def _cell(figure: dict[str, Any] | None) -> str:
    return "-" if figure is None else ("≥ " if figure["client_bound"] else "") + f"{figure['speed']:,.0f}"


def _cpu(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["cpu"] is None:
        return "-"
    return f"{figure['cpu']:.2f}" + (f" + {figure['cpu_behind']:.2f}" if figure["cpu_behind"] else "")


def _targets(figures: dict[str, Any]) -> Iterator[str]:
    yield "### What we want, and what there is\n"
    yield "| work | ours | beside | wanted | is | | CPU beside the peer's |\n|---|---|---|---|---|---|---|"
    for work, wishes in TARGETS.items():
        row = figures.get(work, {})
        for ours, peers in wishes.items():
            for peer, wanted in peers.items():
                if ours in row and peer in row:
                    ratio = row[ours]["speed"] / row[peer]["speed"]
                    met = "met" if ratio >= wanted else "**missed**"
                    cpu = f"{row[ours]['cpu'] / row[peer]['cpu']:.2f} x" if row[peer]["cpu"] else "-"
                    yield f"| {work} | {ours} | {peer} | {wanted:g} x | {ratio:.2f} x | {met} | {cpu} |"


def _memory(part: dict[str, Any]) -> Iterator[str]:
    yield f"## Memory\n\nAll processes of the server together. {_machine(part)}\n"
    yield "| work | server | before, MiB | at most, MiB |\n|---|---|---|---|"
    for row in part["rows"]:
        yield f"| {row['work']} | {row['server']} | {row['before'] / 2**20:.0f} | {row['peak'] / 2**20:.0f} |"


def _growth(part: dict[str, Any]) -> Iterator[str]:
    yield "## As the tree grows\n"
    yield f"Milliseconds of one operation (median of {part['times']}), in trees of so many files. {_machine(part)}\n"
    for server, sizes in part["sizes"].items():
        yield f"| {server} | " + " | ".join(f"{int(size):,}" for size in sizes) + " |"
        yield "|---" * (len(sizes) + 1) + "|"
        for name in next(iter(sizes.values())):
            yield f"| {name} | " + " | ".join(f"{row[name]:.2f}" for row in sizes.values()) + " |"
        yield ""
    if _plot_growth(part["sizes"]):
        yield "![Time of one operation](benchmarks/growth.svg)"
    for server, depths in part.get("depths", {}).items():
        yield f"\n| {server}, at depth | " + " | ".join(depths) + " |"
        yield "|---" * (len(depths) + 1) + "|"
        for name in next(iter(depths.values())):
            yield f"| {name} | " + " | ".join(f"{row[name]:.2f}" for row in depths.values()) + " |"


def _neighbours(part: dict[str, Any]) -> Iterator[str]:
    yield f"## Slow neighbours\n\n{part['text']} PROPFIND of one file, one connection after the other. {_machine(part)}\n"
    yield "| server | beside | quiet p50, ms | quiet p99 | p50 then | p99 then | p99 grows (wanted: at most 5 x) |"
    yield "|---|---|---|---|---|---|---|"
    for row in part["rows"]:
        quiet, loud = row["quiet"], row["loud"]
        yield (
            f"| {row['server']} | {row.get('beside', 'slow transfers')} | {quiet['p50']:.1f} | {quiet['p99']:.1f} |"
            f" {loud['p50']:.1f} | {loud['p99']:.1f} | {loud['p99'] / quiet['p99']:.1f} x |"
        )


def _canvas() -> Any:
    """matplotlib's pyplot, drawing the same file from the same figures; None where it is not installed (`make bench` does)."""
    try:
        import matplotlib as mpl

        mpl.use("svg")
        mpl.rcParams["svg.hashsalt"] = "davserver"
        import matplotlib.pyplot as plt
    except ImportError:
        return None
    return plt


def _save(plt: Any, name: str) -> bool:
    plt.tight_layout()
    plt.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    plt.close()
    path = FIGURES / f"{name}.svg"
    path.write_text("\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()) + "\n")
    return True


def _plot_comparison(figures: dict[str, Any], servers: list[str]) -> bool:
    plt = _canvas()
    if plt is None or "wsgidav-fs" not in servers:
        return (FIGURES / "compare.svg").exists()
    works = [name for name, row in figures.items() if "wsgidav-fs" in row]
    plt.figure(figsize=(11, 5))
    for at, server in enumerate(servers):
        ratios = [
            figures[name][server]["speed"] / figures[name]["wsgidav-fs"]["speed"] if server in figures[name] else 0
            for name in works
        ]
        plt.bar(
            [place + (at - len(servers) / 2) * 0.16 for place in range(len(works))], ratios, width=0.16, label=server
        )
    plt.yscale("log")
    plt.axhline(1, color="grey", linewidth=0.8)
    plt.ylabel("times as fast as stock WsgiDAV")
    plt.xticks(range(len(works)), works, rotation=30, ha="right")
    plt.legend()
    return _save(plt, "compare")


def _plot_growth(servers: dict[str, Any]) -> bool:
    plt = _canvas()
    if plt is None:
        return (FIGURES / "growth.svg").exists()
    _, axes = plt.subplots(1, len(servers), figsize=(11, 4.5), sharey=True, squeeze=False)
    for axis, (server, sizes) in zip(axes[0], servers.items(), strict=True):
        for name in next(iter(sizes.values())):
            axis.plot([int(size) for size in sizes], [row[name] for row in sizes.values()], marker="o", label=name)
        axis.set_title(server)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("files in the tree")
    axes[0][0].set_ylabel("milliseconds")
    axes[0][-1].legend(fontsize="x-small")
    return _save(plt, "growth")
