"""With WRITE_MATRIX=1, the page about what each client was seen to do is written at the end of the session."""

import os
from typing import Any

import pytest

from tests.support.matrix import Result, recorded, write_page

_from_workers: list[Result] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process of pytest-xdist recorded."""
    _from_workers.extend(tuple(result) for result in getattr(node, "workeroutput", {}).get("matrix", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the results to the process that started this one; the first of them writes the page."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["matrix"] = [list(result) for result in recorded()]
    elif os.environ.get("WRITE_MATRIX") == "1" and (results := [*_from_workers, *recorded()]):
        write_page(results)
