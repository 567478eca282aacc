"""Pages of long lists: what comes next is told by a cursor, which stays true while things come and go."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from davserver.domain.errors import BadRequest

T = TypeVar("T")

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1_000
_MAX_CURSOR: Final = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, in its order. A page may be short, or even empty, and not be the last: only `next` tells."""

    items: tuple[T, ...]
    next: str | None
    """The cursor that the next page is asked for with; None when there is no more."""


def make_cursor(*place: int) -> str:
    """A cursor for a place in a list: opaque, and safe in a URL."""
    return urlsafe_b64encode(",".join(map(str, place)).encode()).decode().rstrip("=")


def read_cursor(cursor: str, length: int) -> tuple[int, ...]:
    """The `length` numbers of a cursor. Raises `BadRequest` for one that was not made here."""
    try:
        given = cursor[:_MAX_CURSOR].encode("ascii")
        text = urlsafe_b64decode(given + b"=" * (-len(given) % 4)).decode("ascii")
        place = tuple(int(part) for part in text.split(","))
    except (ValueError, binascii.Error):
        place = ()
    if len(place) != length or any(abs(number) >= 1 << 62 for number in place):
        raise BadRequest("The cursor is not one that this list gave out; begin without one.")
    return place


def check_limit(limit: int) -> int:
    """A number of items that a page may have. Raises `BadRequest`."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadRequest(f"A page has 1 to {MAX_PAGE} items.")
    return limit
