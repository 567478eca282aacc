"""What each client was seen to do: tests declare a client's steps and record how each of them went.

A module of tests/clients or tests/replays declares its clients where it can be imported::

    GVFS = Client("gvfs (gio)", "driven", "tests/clients/test_gvfs.py", ("mount", "list", "upload"))

and records in its tests::

    with GVFS.step("upload", drive.deployment.kind):
        ...

A step that is left by an exception is recorded as failed. With WRITE_MATRIX=1 in the environment the session writes
docs/clients-matrix.md at its end; clients that did not run keep the rows they had.
"""

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients-matrix.md"
DEPLOYMENTS = ("embedded", "company")
WORKS, FAILS, NOT_RUN = "works", "**fails**", "not run"
HEAD = """\
# What each client was seen to do

The tests write this page: `WRITE_MATRIX=1 make test PYTEST=tests/clients`, and the same with `tests/replays`. A test
fails when its clients or steps are not those that the tests have. *Driven* means that the real program ran against a
real server; *replayed* that its requests were sent as recordings, sources and reports describe them. `embedded` is
SQLite and a folder, `company` is PostgreSQL and S3. [How to connect, and what to know](clients.md).
"""
Result = tuple[str, str, str, str]
"""(client, step, deployment, outcome)."""
Outcomes = dict[tuple[str, str], str]
"""(step, deployment) -> outcome."""


@dataclass(frozen=True)
class Client:
    """A client and the steps that the tests do with it."""

    name: str
    how: str
    """`driven` or `replayed`."""
    source: str
    """The file of the tests, from the root of the repository."""
    steps: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.how not in ("driven", "replayed"):
            raise ValueError(self.how)
        if len(set(self.steps)) != len(self.steps):
            raise ValueError(f"{self.name} has a step twice")
        known = _clients.setdefault(self.name, self)
        if known != self:
            raise ValueError(f"{self.name} is declared twice, in {known.source} and {self.source}")

    @contextmanager
    def step(self, step: str, deployment: str) -> Iterator[None]:
        """Record what is done inside as `works`, or as a failure when it raises."""
        try:
            yield
        except BaseException as error:
            # A skip says that this machine lacks something, nothing about the client.
            record(self, step, deployment, NOT_RUN if isinstance(error, pytest.skip.Exception) else FAILS)
            raise
        record(self, step, deployment, WORKS)


_clients: dict[str, Client] = {}
_recorded: list[Result] = []


def record(client: Client, step: str, deployment: str, outcome: str) -> None:
    """Note how a declared step went: `WORKS`, `FAILS`, `NOT_RUN`, or a few words such as `refused with 501, as meant`."""
    if step not in client.steps:
        raise ValueError(f"{client.name} declares no step {step!r}")
    if deployment not in DEPLOYMENTS:
        raise ValueError(deployment)
    _recorded.append((client.name, step, deployment, outcome))


def declared() -> dict[str, Client]:
    """Every client that any module of tests/clients and tests/replays declares, by name."""
    for folder in ("clients", "replays"):
        for path in sorted((ROOT / "tests" / folder).glob("*.py")):
            name = "tests." + ".".join(path.relative_to(ROOT / "tests").with_suffix("").parts)
            if name not in sys.modules:
                _load(name, path)
    return dict(sorted(_clients.items()))


def _load(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def write_page(results: Iterable[Result]) -> None:
    """Write docs/clients-matrix.md: new outcomes for the clients in `results`, the old ones for the others."""
    seen = read_page()
    fresh: dict[str, Outcomes] = {}
    for name, step, deployment, outcome in results:
        outcomes = fresh.setdefault(name, {})
        # A step that several tests do works only if it works in all of them.
        if outcomes.get((step, deployment), WORKS) == WORKS:
            outcomes[step, deployment] = outcome
    for name, outcomes in fresh.items():
        ran_on = {deployment for _, deployment in outcomes}
        kept = {at: was for at, was in seen.get(name, {}).items() if at[1] not in ran_on}
        seen[name] = kept | outcomes
    PAGE.write_text(render(declared().values(), seen), encoding="utf-8")


def render(clients: Iterable[Client], seen: dict[str, Outcomes]) -> str:
    """The whole page."""
    clients = list(clients)
    parts = [HEAD, "| client | how | steps |" + "".join(f" {kind} |" for kind in DEPLOYMENTS), "|---|---|---|---|---|"]
    for client in clients:
        counts = [_count(client, seen.get(client.name, {}), kind) for kind in DEPLOYMENTS]
        parts.append(f"| {client.name} | {client.how} | {len(client.steps)} | " + " | ".join(counts) + " |")
    for client in clients:
        outcomes = seen.get(client.name, {})
        parts += ["", f"## {client.name}", "", f"{client.how}, `{client.source}`", ""]
        parts += ["| step | " + " | ".join(DEPLOYMENTS) + " |", "|---|---|---|"]
        for step in client.steps:
            cells = [outcomes.get((step, kind), NOT_RUN) for kind in DEPLOYMENTS]
            parts.append(f"| {step} | " + " | ".join(cells) + " |")
    return "\n".join(parts) + "\n"


def _count(client: Client, outcomes: Outcomes, kind: str) -> str:
    """`12 work` of the steps of a client on a deployment, and how many do otherwise."""
    there = [outcomes.get((step, kind), NOT_RUN) for step in client.steps]
    others = len(there) - there.count(WORKS)
    return f"{there.count(WORKS)} work" + (f", {others} otherwise" if others else "")


def read_page() -> dict[str, Outcomes]:
    """The outcomes on the committed page, by client."""
    found: dict[str, Outcomes] = {}
    name = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else ():
        if line.startswith("## "):
            name = line.removeprefix("## ")
            found[name] = {}
        elif name and line.startswith("| ") and not line.startswith("| step "):
            step, *outcomes = (cell.strip() for cell in line.strip("|").split(" | "))
            found[name].update({(step, kind): was for kind, was in zip(DEPLOYMENTS, outcomes, strict=True)})
    return found


def recorded() -> list[Result]:
    """What this process recorded."""
    return list(_recorded)
