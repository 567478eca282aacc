"""LOCK and UNLOCK (RFC 4918 sections 9.10 and 9.11)."""

import re
from http import HTTPStatus
from typing import Final

from davserver.domain.errors import BadRequest, InvalidXml
from davserver.domain.lock import ActiveLock, LockScope
from davserver.domain.property import DAV, PropertyName
from davserver.services.listing import Depth
from davserver.services.locks import LockRequest
from providers.answer import Answer, Headers
from providers.body import RequestBody
from providers.request import DavRequest
from providers.xml import CONTENT_TYPE, child, lock_document, name_of, parse, serialise

MAX_BODY: Final = 64 * 1024
"""Bytes of a lockinfo: its owner element is stored, and shown in every lockdiscovery."""

_SECONDS: Final = re.compile(r"second-([0-9]+)", re.IGNORECASE)
_MAX_DIGITS: Final = 10
_LENIENT_WITH: Final = "Microsoft-WebDAV"
"""The User-Agent that is granted a lock even when its lockinfo cannot be read: Explorer hangs on a refusal (clients 3.1, R47)."""


def lock(request: DavRequest) -> Answer:
    """Grant a lock, or refresh one when there is no body: 201 when a file was made for it, else 200.

    The answer's body lists the granted lock alone: clients take the first token that they meet for theirs.
    """
    body = RequestBody(request).read_all(MAX_BODY)
    seconds = _granted_seconds(request)
    preconditions = request.preconditions.without_cached_tags()
    if not body.strip():
        refreshed = request.services.locks.refresh(request.principal, request.path, seconds, preconditions)
        return _answer(request, HTTPStatus.OK, refreshed, [])
    depth = request.depth(Depth.INFINITY)
    if depth is Depth.ONE:
        raise BadRequest("LOCK takes Depth 0 or infinity.")
    scope, owner_xml = _read_lockinfo(request, body)
    wanted = LockRequest(scope, is_deep=depth is Depth.INFINITY, owner_xml=owner_xml, seconds=seconds)
    granted = request.services.locks.acquire(request.principal, request.path, wanted, preconditions)
    status = HTTPStatus.CREATED if granted.created else HTTPStatus.OK
    return _answer(request, status, granted.lock, [("Lock-Token", f"<{granted.lock.token}>")])


def unlock(request: DavRequest) -> Answer:
    """End the lock that Lock-Token names, with or without angle brackets (clients rule R44): 204."""
    token = (request.header("Lock-Token") or "").strip().removeprefix("<").removesuffix(">").strip()
    if not token:
        raise BadRequest("The Lock-Token header is missing.")
    request.services.tree.check(request.principal, request.path, request.preconditions)
    request.services.locks.release(request.principal, request.path, token)
    return Answer(HTTPStatus.NO_CONTENT)


def parse_timeout(header: str | None, *, shortest: int, longest: int) -> int:
    """The seconds to grant for a Timeout header (RFC 4918 section 10.7), from the first entry that can be read.

    `longest` when there is none: without a wish, and for ``Infinite``. Never an error: Timeout is a wish.
    """
    for entry in (header or "").split(","):
        if entry.strip().lower() == "infinite":
            return longest
        match = _SECONDS.fullmatch(entry.strip())
        if match is not None:
            digits = match[1].lstrip("0") or "0"
            return longest if len(digits) > _MAX_DIGITS else max(shortest, min(longest, int(digits)))
    return longest


def _granted_seconds(request: DavRequest) -> int:
    config = request.services.config
    return parse_timeout(request.header("Timeout"), shortest=config.lock_timeout_min, longest=config.lock_timeout_max)


def _read_lockinfo(request: DavRequest, body: bytes) -> tuple[LockScope, str]:
    """The wanted scope and the serialised owner. Raises `InvalidXml`."""
    try:
        return _parse_lockinfo(body)
    except InvalidXml:
        if _LENIENT_WITH in (request.header("User-Agent") or "") and b"write" in body:
            return LockScope.EXCLUSIVE, ""
        raise


def _parse_lockinfo(body: bytes) -> tuple[LockScope, str]:
    root = parse(body)
    if name_of(root) != PropertyName(DAV, "lockinfo"):
        raise InvalidXml("The body of LOCK must be a lockinfo element.")
    scope, kind, owner = child(root, "lockscope"), child(root, "locktype"), child(root, "owner")
    if kind is None or child(kind, "write") is None:
        raise InvalidXml("Only write locks are granted.")
    wanted = [found for found in LockScope if scope is not None and child(scope, found.value) is not None]
    if len(wanted) != 1:
        raise InvalidXml("The lockscope must be exclusive or shared.")
    return wanted[0], serialise(owner) if owner is not None else ""


def _answer(request: DavRequest, status: HTTPStatus, held: ActiveLock, headers: Headers) -> Answer:
    fields = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-cache"), *headers]
    return Answer(status, fields, lock_document([held], request.base, request.now))
