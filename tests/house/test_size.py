"""Functions and files stay small, as an eye and not a ruler: what is larger stands here with its reason."""

import ast

from tests.support.source import modules

LONGEST_FUNCTION = 50
LONGEST_FILE = 400

LONG_FUNCTIONS: dict[str, str] = {
    "davserver/bootstrap/__init__.py:build": "a line for each service, in the order in which they need one another"
}
"""`davserver/x.py:name` of each function over 50 lines, and why it is one."""

LONG_FILES: dict[str, str] = {}
"""Path of each file over 400 lines, and why it is one."""


def test_a_function_over_fifty_lines_has_a_reason() -> None:
    long = {}
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                if lines > LONGEST_FUNCTION and not module.is_in("migrations.versions"):
                    long[f"{module.where}:{node.name}"] = lines
    assert long.keys() == LONG_FUNCTIONS.keys(), f"split these, or list them with a reason: {long}"


def test_a_file_over_four_hundred_lines_has_a_reason() -> None:
    long = {module.where: len(module.text.splitlines()) for module in modules()}
    long = {where: lines for where, lines in long.items() if lines > LONGEST_FILE}
    assert long.keys() == LONG_FILES.keys(), f"split these, or list them with a reason: {long}"
