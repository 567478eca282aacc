"""What somebody looks for in a drive."""

import re
from dataclasses import dataclass
from typing import Final

from davserver.domain.clock import Micros
from davserver.domain.errors import BadRequest
from davserver.domain.paths import MAX_NAME_BYTES, UNFIT, ResourcePath, key_of
from davserver.domain.resource import Resource

ANY: Final = "*"
"""Stands for any characters, or none, in a pattern."""

_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/(?:\*|[\w!#$&^.+-]+)", re.ASCII)
_PARAMETERS: Final = ("", ";*", " *", "\t*")


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Files and folders that all of these hold for. What says something about content leaves folders out."""

    name: str | None = None
    """A part of the name or, with a ``*`` in it, a pattern for the whole; upper and lower case are the same."""
    content_type: str | None = None
    """``image/png``, or ``image/*``."""
    min_size: int | None = None
    max_size: int | None = None
    since: Micros | None = None
    """Modified then or later."""
    until: Micros | None = None
    """Modified before then."""
    path: ResourcePath | None = None
    """Below this collection; None: in all that the principal can see."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What was found, and where."""

    path: ResourcePath
    resource: Resource


def name_pattern(wanted: str) -> str:
    """The pattern that a whole name, in NFC, has to fit. Raises `BadRequest` for what no name can hold."""
    key = key_of(wanted)
    if not key.strip(ANY) or len(key) > MAX_NAME_BYTES or "/" in key or UNFIT.search(key):
        raise BadRequest(
            f"A name to look for has up to {MAX_NAME_BYTES} characters, and more than '*': no slash, no controls."
        )
    return re.sub(r"\*+", ANY, key if ANY in key else f"*{key}*")


def type_patterns(wanted: str) -> tuple[str, ...]:
    """The patterns of which a stored media type, which may have parameters, has to fit one. Raises `BadRequest`."""
    if not _TYPE.fullmatch(wanted):
        raise BadRequest("A type to look for is written like image/png or image/*.")
    return (wanted,) if wanted.endswith(ANY) else tuple(wanted + rest for rest in _PARAMETERS)


def type_fits(wanted: str, content_type: str) -> bool:
    """Whether a media type without parameters is what is looked for."""
    wanted, found = wanted.lower(), content_type.lower()
    return found.startswith(wanted[:-1]) if wanted.endswith(ANY) else found == wanted
