"""Entity tags and conditions (RFC 9110 section 13) of what is no file; files have theirs from their revision."""

import hashlib
from typing import Final

from flask import request

from davserver.domain.conditions import Preconditions, State, parse_http_date, parse_tag_set

_LENGTH: Final = 22


def tag_of(*values: object) -> str:
    """The opaque part of an entity tag that changes when one of the values does. Give versions and times, not secrets."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:_LENGTH]


def tag_header(tag: str) -> dict[str, str]:
    """The header field."""
    return {"ETag": f'"{tag}"'}


def preconditions() -> Preconditions:
    """The conditions of this request, without WebDAV's If."""
    return Preconditions(
        if_match=parse_tag_set(request.headers.get("If-Match")),
        if_none_match=parse_tag_set(request.headers.get("If-None-Match")),
        if_modified_since=parse_http_date(request.headers.get("If-Modified-Since")),
        if_unmodified_since=parse_http_date(request.headers.get("If-Unmodified-Since")),
    )


def check_if_match(tag: str | None) -> None:
    """Raise `PreconditionFailed` unless the request's conditions hold for what has this tag; None: it does not exist.

    A courtesy to whoever looks before they change: what must not be lost to a race is checked again by the service, inside
    the transaction.
    """
    preconditions().check_write(State(exists=tag is not None, etag=tag, tokens=frozenset()))
