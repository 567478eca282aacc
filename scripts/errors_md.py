"""Write docs/errors.md from the classes in davserver/domain/errors.py: `.venv/bin/python scripts/errors_md.py`."""

from http import HTTPStatus
from pathlib import Path

from davserver.domain.errors import DavserverError

TARGET = Path(__file__).parents[1] / "docs" / "errors.md"

HEAD = """\
# Errors

Every refusal has one class in `davserver/domain/errors.py`, and one `code` that does not change between releases. WebDAV
clients get the status and, where RFC 4918 or RFC 4331 names one, the condition as a `DAV:` element in the body.

This page is written by `scripts/errors_md.py`; a test compares it with the classes.

| code | status | condition | meaning |
|---|---|---|---|
"""


def classes(base: type[DavserverError] = DavserverError) -> list[type[DavserverError]]:
    """Return `base` and all classes below it."""
    return [base, *(found for child in base.__subclasses__() for found in classes(child))]


def row(error: type[DavserverError]) -> str:
    """Return an error's line of the table."""
    phrase = HTTPStatus(error.status).phrase
    condition = f"`{error.condition}`" if error.condition else ""
    again = f" Retry-After: {error.retry_after} s." if error.retry_after else ""
    return f"| `{error.code}` | {error.status} {phrase} | {condition} | {error.summary}{again} |\n"


def render() -> str:
    """Return the whole page."""
    return HEAD + "".join(row(error) for error in sorted(classes(), key=lambda error: (error.status, error.code)))


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
