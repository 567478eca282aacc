"""The documents tell of everything a person can set, say or meet: targets, commands, settings, errors."""

import argparse
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from davserver.config import SETTINGS, Setting
from tests.support.source import ROOT, document, documents, documents_in_docs, modules

FORBIDDEN = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_errors_is_what_the_classes_say() -> None:
    written = load_script("errors_md").render()
    assert document("docs/errors.md") == written, "run: .venv/bin/python scripts/errors_md.py"


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in load_script("errors_md").classes()]
    assert len(codes) == len(set(codes)), sorted(codes)


def targets() -> list[str]:
    found = re.search(r"^\.PHONY:(.*)$", document("Makefile"), re.MULTILINE)
    assert found is not None
    return found[1].split()


@pytest.mark.parametrize("target", targets())
def test_every_makefile_target_is_one_word_and_documented(target: str) -> None:
    assert re.fullmatch(r"[a-z]+", target)
    assert re.search(rf"^{target}:", document("Makefile"), re.MULTILINE)
    assert re.search(rf"`make {target}`", document("docs/contributing.md"))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_is_documented_by_key_and_variable(setting: Setting) -> None:
    page = document("docs/configuration.md")
    assert f"`{setting.key}`" in page
    assert f"`{setting.env}`" in page
    assert setting.help


def commands(parser: argparse.ArgumentParser, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every command, such as ("user", "add")."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner and before:
        yield before
    for action in inner:
        for name, child in action.choices.items():
            yield from commands(child, (*before, name))


def test_every_command_is_documented() -> None:
    from davserver.cli.parser import build_parser

    told = documents()
    missing = [" ".join(words) for words in commands(build_parser()) if f"davserver {' '.join(words)}" not in told]
    assert not missing, f"in no document: {missing}"


def linked_files() -> Iterator[tuple[Path, str]]:
    for page in [ROOT / "README.md", *documents_in_docs()]:
        if page.exists():
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                yield page, target


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = [f"{page.name}: {target}" for page, target in linked_files() if not (page.parent / target).exists()]
    assert not broken


def test_nothing_is_left_for_later_in_the_source() -> None:
    found = [
        f"{module.where}:{number}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert not found
