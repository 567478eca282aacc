"""OPTIONS (RFC 4918 section 10.1): the same for every URL, mapped or not (rules R1 to R4)."""

from http import HTTPStatus
from typing import Final

from providers.answer import Answer
from providers.request import DavRequest

ALLOW: Final = (
    "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK"  # PUT, MKCOL: Finder looks
)


def options(_request: DavRequest) -> Answer:
    """What the server can do. Looks at nothing: not at the path, not at who asks."""
    return answer_options()


def answer_options() -> Answer:
    """The answer, for URLs outside every share as well."""
    return Answer(
        HTTPStatus.OK,
        [("DAV", "1, 2, 3"), ("MS-Author-Via", "DAV"), ("Allow", ALLOW), ("Accept-Ranges", "bytes")],
    )
