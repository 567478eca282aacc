"""Cursors: where a listing goes on, as an opaque text. The position is that of the last item, so nothing is skipped or shown
twice because something was added or removed meanwhile."""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar

from davserver.domain.errors import BadRequest
from davserver.rest.models import Answer, Page

Item = TypeVar("Item")
Shown = TypeVar("Shown", bound=Answer)
Key = tuple[int | str | None, ...]
"""What a listing is ordered by: the values of its last item."""


def encode_cursor(key: Key) -> str:
    """The cursor that stands for a position."""
    return urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, *types: type) -> Key | None:
    """The position that a cursor stands for; None without one. Raises `BadRequest` unless it holds values of these types."""
    if cursor is None:
        return None
    try:
        key = json.loads(urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise BadRequest("The cursor is none that this server gave out.") from None
    # bool is an int, and None stands where a value may be missing.
    fits = isinstance(key, list) and [type(value) for value in key] == list(types)
    if not fits or any(isinstance(value, int) and abs(value) >= 2**63 for value in key):
        raise BadRequest("The cursor is none that this server gave out.")
    return tuple(key)


def page(found: Sequence[Item], limit: int, show: Callable[[Item], Shown], key: Callable[[Item], Key]) -> Page[Shown]:
    """A page of what was found: ask the service for one item more than `limit`, so that one knows whether more follows."""
    items = found[:limit]
    following = encode_cursor(key(items[-1])) if len(found) > limit else None
    return Page(items=[show(item) for item in items], next=following)
