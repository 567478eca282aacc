"""Who may import whom, where import-linter does not look: modules in no layer, libraries, the environment."""

import ast
import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

from tests.support.source import modules, pyproject

ONE_DOOR = {
    # library: the packages of ours that may import it
    "wsgidav": ("providers",),
    "celery": ("tasks",),
    "cheroot": ("davserver.http",),
    "yaml": ("davserver.config",),
    "prometheus_client": ("davserver.monitoring",),
    "minio": ("davserver.stores",),
    "limits": ("davserver.limiting",),
    "pyclamd": ("davserver.scanning",),
    "PIL": ("davserver.previewing",),
    "pypdfium2": ("davserver.previewing",),
    "cryptography": ("davserver.crypto",),
    "pyotp": ("davserver.services.second_factor",),
    "jwt": ("davserver.services.signing",),
    "flask": ("davserver.rest",),
    "flask_openapi3": ("davserver.rest",),
    "pydantic": ("davserver.rest",),
    "werkzeug": ("davserver.rest",),
    "opentelemetry": ("davserver.tracing",),
    "alembic": ("davserver.db", "migrations"),
}


def layers() -> list[list[str]]:
    settings: Any = pyproject()["tool"]
    [contract] = [one for one in settings["importlinter"]["contracts"] if one["type"] == "layers"]
    return [re.findall(r"[\w.]+", line) for line in contract["layers"]]


def test_every_module_is_in_a_layer() -> None:
    packages = list(chain.from_iterable(layers()))
    lost = [module.where for module in modules() if not any(module.is_in(package) for package in packages)]
    assert lost == ["davserver/__init__.py"], "these modules are in no layer of pyproject.toml"


def test_the_root_package_imports_nothing() -> None:
    [root] = [module for module in modules() if module.name == "davserver"]
    assert not list(root.imports()), "it would be above and below every layer"


def test_a_library_is_imported_in_one_place_only() -> None:
    strays = [
        f"{module.where}:{line} imports {name}"
        for module in modules()
        for name, line in module.imports()
        if not any(module.is_in(package) for package in ONE_DOOR.get(name.partition(".")[0], (module.name,)))
    ]
    assert not strays


def test_the_domain_imports_the_standard_library_and_itself() -> None:
    for module in (module for module in modules() if module.is_in("davserver.domain")):
        for name, line in module.imports():
            known = name.partition(".")[0] in sys.stdlib_module_names or name.startswith("davserver.domain")
            assert known, f"{module.where}:{line} imports {name}"


ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv"}


ENTRIES = ("davserver.config", "davserver.cli", "davserver.__main__", "providers.stock", "tasks.celery_app")
"""Where a process begins: they hand the environment to `config.load`, as a mapping."""


def environment_reads(tree: ast.Module) -> Iterator[int]:
    """Yield the line of each use of the environment through `os`."""
    for node in ast.walk(tree):
        attribute = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
        if attribute and isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT:
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for alias in node.names if alias.name in ENVIRONMENT)


def test_the_search_for_the_environment_finds_every_way_to_it() -> None:
    source = "import os\nos.environ['A']\nfrom os import getenv\nenviron = {}\nenviron['A']\nos.getenv('A')\n"
    assert sorted(environment_reads(ast.parse(source))) == [2, 3, 6]


def test_only_the_entries_and_the_configuration_see_the_environment() -> None:
    strays = [
        f"{module.where}:{line}"
        for module in modules()
        for line in environment_reads(module.tree)
        if not any(module.is_in(entry) for entry in ENTRIES)
    ]
    assert not strays, "take it through the constructor, from the configuration"
