"""PROPFIND (RFC 4918 section 9.1)."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from http import HTTPStatus
from itertools import chain, islice
from typing import Final

from davserver.domain.errors import BodyTooLarge, InvalidXml
from davserver.domain.paths import quote_name
from davserver.domain.property import DAV, PropertyName
from davserver.services.listing import Depth, Entry, Wanted
from providers.answer import Answer
from providers.body import RequestBody
from providers.live import BY_NAME, DISPLAYNAME, IN_ALLPROP, LIVE, LOCKDISCOVERY, QUOTA, SCANS, Show, View, show_dead
from providers.request import DavRequest
from providers.xml import (
    CONTENT_TYPE,
    MULTISTATUS_END,
    MULTISTATUS_START,
    Element,
    empty_element,
    name_of,
    parse,
    propstat,
)

MAX_PROPERTIES: Final = 1_000
"""Named in one request: each is answered once a resource."""
_BLOCK: Final = 64 * 1024
"""Characters that are sent on at a time."""
_WHOLE: Final = 16
"""Answers of up to so many blocks are rendered at once and get a Content-Length (rule R15)."""
_CACHED_BODY: Final = 4096

_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+")
"""Names that need no encoding, as most do."""

_OK: Final = "200 OK"
_MISSING: Final = "404 Not Found"


def propfind(request: DavRequest) -> Answer:
    """List properties: 207. Without Depth, a collection is listed with its members (rule R14).

    Only the If header is a condition here: network stacks add If-None-Match by themselves (rule R50). Raises `NotFound`,
    `BadRequest`, `InvalidXml`, `BodyTooLarge`, `PreconditionFailed`.
    """
    body = RequestBody(request).read_all(request.services.config.max_xml_size)
    plan = cached_plan(body) if len(body) <= _CACHED_BODY else read_plan(body)
    depth = request.depth(Depth.ONE)
    tree = request.services.tree
    tree.check(request.principal, request.path, request.preconditions)
    macos_quota = request.services.config.macos_quota
    wants_usage = plan.wanted.usage and may_be_told_quota(request.header("User-Agent"), macos_quota)
    wanted = replace(plan.wanted, usage=wants_usage)
    listing = tree.listing(request.principal, request.path, depth, wanted)
    view = View(request.base, request.now, listing.usage)
    return answer_listing(listing.entries, plan, view, request.href)


def answer_listing(entries: Iterable[Entry], plan: "Plan", view: View, href: str) -> Answer:
    """The 207 for these entries; `href` is the encoded path of the first, without a slash at its end."""
    blocks = render_blocks(entries, plan, view, href)
    start = list(islice(blocks, _WHOLE))
    headers = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-cache")]
    body = b"".join(start) if len(start) < _WHOLE else chain(start, blocks)
    return Answer(HTTPStatus.MULTI_STATUS, headers, body)


def render_blocks(entries: Iterable[Entry], plan: "Plan", view: View, href: str) -> Iterator[bytes]:
    """The multistatus document, in blocks."""
    parts = [MULTISTATUS_START]
    size = 0
    show, is_plain = plan.show, _PLAIN.fullmatch
    for entry in entries:
        place = href
        for name in entry.names:
            place += "/" + (name if is_plain(name) else quote_name(name))
        if entry.resource.revision is None:
            place += "/"
        part = f"<D:response><D:href>{place}</D:href>{show(entry, view)}</D:response>"
        parts.append(part)
        size += len(part)
        if size >= _BLOCK:
            yield "".join(parts).encode()
            parts.clear()
            size = 0
    parts.append(MULTISTATUS_END)
    yield "".join(parts).encode()


_MACOS: Final = re.compile(r"WebDAVFS/.*\bDarwin/(\d+)(?:\.(\d+))?")


def may_be_told_quota(user_agent: str | None, macos_quota: str) -> bool:
    """Whether a client gets the quota properties, by the setting `macos_quota`.

    macOS 15.4 (Darwin 24.4) and later may hang for 90 seconds on them when it mounts; without them the volume shows no size.
    Nobody outside of Apple knows why, hence which versions do (clients 3.3): so the setting decides. Others always get them.
    """
    match = _MACOS.search(user_agent or "")
    if match is None or macos_quota == "always":
        return True
    return macos_quota == "before-15.4" and (int(match[1]), int(match[2] or 0)) < (24, 4)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a PROPFIND asks for, ready to be shown for every entry."""

    show: Callable[[Entry, View], str]
    """The `propstat` elements of an entry, 200 before 404 (rule R16)."""
    wanted: Wanted = field(default_factory=Wanted)


def read_plan(body: bytes) -> Plan:
    """Read the body of a PROPFIND; an empty one asks for `allprop`. Raises `InvalidXml`, `BodyTooLarge`."""
    if not body.strip():
        return _plan_all(())
    root = parse(body)
    if name_of(root) != PropertyName(DAV, "propfind"):
        raise InvalidXml("The body of PROPFIND must be a propfind element.")
    asked: dict[str, list[Element]] = {}
    for member in root:
        namespace, name = name_of(member)
        if namespace == DAV and name in {"prop", "allprop", "propname", "include"}:
            asked.setdefault(name, []).append(member)
    if len(asked.keys() - {"include"}) != 1:
        # What is unknown is ignored, but something must be left (RFC 4918 appendix A.2).
        raise InvalidXml("A propfind element holds one of prop, allprop and propname.")
    if "propname" in asked:
        return _PROPNAME
    if "allprop" in asked:
        return _plan_all(_names(asked.get("include", ())))
    return _plan_named(_names(asked["prop"]))


cached_plan = lru_cache(maxsize=256)(read_plan)
"""The same for short bodies, remembered: a client sends the same few all day."""


def _names(holders: Iterable[Element]) -> tuple[PropertyName, ...]:
    names = tuple(dict.fromkeys(name_of(member) for holder in holders for member in holder))
    if len(names) > MAX_PROPERTIES:
        raise BodyTooLarge("Too many properties are asked for at once.")
    return names


def _plan_named(names: tuple[PropertyName, ...]) -> Plan:
    asked = tuple(LIVE.get(name) or show_dead(name) for name in names)
    empty = tuple(empty_element(name) for name in names)

    def show(entry: Entry, view: View) -> str:
        shown = [show_one(entry, view) for show_one in asked]
        if "" not in shown:
            return _FOUND.format("".join(shown))
        missing = [alone for alone, found in zip(empty, shown, strict=True) if not found]
        return _propstats("".join(shown), "".join(missing))

    return Plan(show, _wanted(names))


def _plan_all(included: tuple[PropertyName, ...]) -> Plan:
    always = tuple(IN_ALLPROP.values())
    names = tuple(name for name in included if name not in IN_ALLPROP)
    extra = tuple((LIVE.get(name) or show_dead(name), name in LIVE, empty_element(name)) for name in names)

    def show(entry: Entry, view: View) -> str:
        found, missing = "".join([show_one(entry, view) for show_one in always]), ""
        for dead in entry.dead:
            if dead.name != DISPLAYNAME:
                found += dead.xml
        for show_one, is_live, empty in extra:
            shown = show_one(entry, view)
            if not shown:
                missing += empty
            elif is_live:  # the dead ones are shown already
                found += shown
        return _propstats(found, missing)

    return Plan(show, replace(_wanted(names), dead=True))


def _show_names(entry: Entry, view: View) -> str:
    found = "".join(empty_element(name) for name, show in _TOLD if show(entry, view))
    found += "".join(empty_element(dead.name) for dead in entry.dead if dead.name != DISPLAYNAME)
    return _propstats(found, "")


_TOLD: Final[tuple[tuple[PropertyName, Show], ...]] = (*IN_ALLPROP.items(), *BY_NAME.items())
_PROPNAME: Final = Plan(_show_names, Wanted(dead=True, usage=True, scans=True))


_FOUND: Final = propstat("{}", _OK)


def _propstats(found: str, missing: str) -> str:
    if not missing:
        return _FOUND.format(found)
    return (_FOUND.format(found) if found else "") + propstat(missing, _MISSING)


def _wanted(names: Iterable[PropertyName]) -> Wanted:
    names = frozenset(names)
    # A display name that a client set is a dead property.
    dead = DISPLAYNAME in names or any(name not in LIVE for name in names)
    return Wanted(dead=dead, locks=LOCKDISCOVERY in names, usage=bool(QUOTA & names), scans=bool(SCANS.keys() & names))
