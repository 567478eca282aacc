"""The project's own source as the house tests see it: modules, their syntax trees and what they import."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("davserver", "providers", "tasks", "migrations")


@dataclass(frozen=True)
class Module:
    """One module of the program."""

    name: str
    """Dotted, as it is imported."""
    path: Path

    @property
    def where(self) -> str:
        """Its path from the project's root."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """Its source."""
        return self.path.read_text(encoding="utf-8")

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.where)

    def is_in(self, package: str) -> bool:
        """Whether it is `package` or lies below it."""
        return self.name == package or self.name.startswith(f"{package}.")

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield the dotted name and the line of each import, wherever in the module it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.where}:{node.lineno}: a relative import"
                assert node.module is not None
                yield node.module, node.lineno


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the program."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return tuple(found)


@cache
def pyproject() -> dict[str, object]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def document(name: str) -> str:
    """Return the text of a file of the project, empty when there is none."""
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def documents() -> str:
    """Return the README and all of docs/ as one text."""
    return "\n".join([document("README.md"), *(document(str(path.relative_to(ROOT))) for path in documents_in_docs())])


def documents_in_docs() -> list[Path]:
    """Return the Markdown files below docs/."""
    return sorted((ROOT / "docs").rglob("*.md"))
