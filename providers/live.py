"""Live properties (RFC 4918 section 15, RFC 4331): how each is shown, and which ones a client may set.

A property is shown by a function of an `Entry` and a `View`: its whole element, or an empty text where it is not defined. A
listing of 100,000 members calls them half a million times, so they are plain functions.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, Literal
from xml.sax.saxutils import escape

from davserver.domain.clock import SECOND, Micros
from davserver.domain.errors import UnprocessableProperty
from davserver.domain.media import type_to_show
from davserver.domain.property import DAV, PropertyName
from davserver.domain.resource import Usage
from davserver.domain.times import FIRST, LAST, http_date, iso_date, parse_unix_seconds
from davserver.domain.trash import Discarded
from davserver.services.listing import Entry
from providers.verdicts import verdict_properties
from providers.xml import SUPPORTED_LOCK, render_lock_discovery

WIN32: Final = "urn:schemas-microsoft-com:"
OWNCLOUD: Final = "http://owncloud.org/ns"
OURS: Final = "urn:davserver:"
"""Of the properties that tell of the trash and of scans for viruses; docs/trash.md and docs/scanning.md."""
COLLECTION_TYPE: Final = "httpd/unix-directory"
"""What Apache's mod_dav tells as the type of a collection; desktop clients know it."""
_MOST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class View:
    """What showing a property may need beside the resource."""

    base: str
    """The share's path, encoded, without a slash at its end."""
    now: Micros
    usage: Usage | None
    """None when nobody asked for it, or when it is kept from a client that cannot bear it."""


Show = Callable[[Entry, View], str]

_MARKUP: Final = re.compile("[&<>]")


def show_dead(name: PropertyName) -> Show:
    """A function that shows a dead property where a resource has it."""

    def show(entry: Entry, _: View) -> str:
        for found in entry.dead:
            if found.name == name:
                return found.xml
        return ""

    return show


def _creationdate(entry: Entry, _: View) -> str:
    return f"<D:creationdate>{iso_date(entry.resource.created_at // SECOND)}</D:creationdate>"


def _getlastmodified(entry: Entry, _: View) -> str:
    return f"<D:getlastmodified>{http_date(entry.resource.modified_at // SECOND)}</D:getlastmodified>"


def _displayname(entry: Entry, view: View) -> str:
    for found in entry.dead:
        if found.name == DISPLAYNAME:
            return found.xml
    name = entry.resource.name or view.base.rpartition("/")[2]
    return f"<D:displayname>{escape(name) if _MARKUP.search(name) else name}</D:displayname>"


def _getcontentlength(entry: Entry, _: View) -> str:
    revision = entry.resource.revision
    return "" if revision is None else f"<D:getcontentlength>{revision.size}</D:getcontentlength>"


def _getcontenttype(entry: Entry, _: View) -> str:
    resource = entry.resource
    return _getcontenttype_of(COLLECTION_TYPE if resource.is_collection else type_to_show(resource))


def _getetag(entry: Entry, _: View) -> str:
    revision = entry.resource.revision
    return "" if revision is None else f'<D:getetag>"{revision.etag}"</D:getetag>'


def _resourcetype(entry: Entry, _: View) -> str:
    if entry.resource.revision is None:
        return "<D:resourcetype><D:collection/></D:resourcetype>"
    return "<D:resourcetype/>"


def _supportedlock(_entry: Entry, _view: View) -> str:
    return SUPPORTED_LOCK


def _lockdiscovery(entry: Entry, view: View) -> str:
    return render_lock_discovery(entry.locks, view.base, view.now)


def _quota_used(entry: Entry, view: View) -> str:
    if view.usage is None or entry.resource.revision is not None:
        return ""
    return f"<D:quota-used-bytes>{view.usage.used}</D:quota-used-bytes>"


def _quota_available(entry: Entry, view: View) -> str:
    if view.usage is None or view.usage.available is None or entry.resource.revision is not None:
        return ""
    # Clients add the two up in 64 bits (clients 3.3).
    available = max(0, min(view.usage.available, _MOST - view.usage.used))
    return f"<D:quota-available-bytes>{available}</D:quota-available-bytes>"


def _lastmodified(entry: Entry, _: View) -> str:
    return f"<D:lastmodified>{http_date(entry.resource.modified_at // SECOND)}</D:lastmodified>"


def _win32(name: str, of: Callable[[Entry], Micros]) -> Show:
    def show(entry: Entry, _: View) -> str:
        return f'<Z:{name} xmlns:Z="{WIN32}">{http_date(of(entry) // SECOND)}</Z:{name}>'

    return show


def _checksums(entry: Entry, _: View) -> str:
    revision = entry.resource.revision
    if revision is None or not revision.checksums:
        return ""
    known = f"<oc:checksum>{escape(revision.checksums)}</oc:checksum>"
    return f'<oc:checksums xmlns:oc="{OWNCLOUD}">{known}</oc:checksums>'


def _trash(name: str, of: Callable[[Discarded, View], str]) -> Show:
    def show(entry: Entry, view: View) -> str:
        if entry.discarded is None:
            return ""
        return f'<V:{name} xmlns:V="{OURS}">{of(entry.discarded, view)}</V:{name}>'

    return show


DISPLAYNAME: Final = PropertyName(DAV, "displayname")
"""Live with a twist: the name, unless a client set another, which is stored as a dead property (RFC 4918 section 15.2)."""
LOCKDISCOVERY: Final = PropertyName(DAV, "lockdiscovery")
QUOTA: Final = frozenset({PropertyName(DAV, "quota-available-bytes"), PropertyName(DAV, "quota-used-bytes")})

SCANS: Final[dict[PropertyName, Show]] = dict(verdict_properties(OURS))

IN_ALLPROP: Final[dict[PropertyName, Show]] = {
    PropertyName(DAV, "creationdate"): _creationdate,
    DISPLAYNAME: _displayname,
    PropertyName(DAV, "getcontentlength"): _getcontentlength,
    PropertyName(DAV, "getcontenttype"): _getcontenttype,
    PropertyName(DAV, "getetag"): _getetag,
    PropertyName(DAV, "getlastmodified"): _getlastmodified,
    PropertyName(DAV, "resourcetype"): _resourcetype,
}
"""Those that `allprop` shows. supportedlock and lockdiscovery are not: answers stay small, and Finder takes any `href` for an
entry (rules R19, R20 and clients 3.1). Quota is not either (RFC 4331 sections 3 and 4)."""

BY_NAME: Final[dict[PropertyName, Show]] = {
    PropertyName(DAV, "supportedlock"): _supportedlock,
    LOCKDISCOVERY: _lockdiscovery,
    PropertyName(DAV, "quota-available-bytes"): _quota_available,
    PropertyName(DAV, "quota-used-bytes"): _quota_used,
    PropertyName(OURS, "origin"): _trash("origin", lambda d, view: escape(view.base + d.origin.encoded)),
    PropertyName(OURS, "discarded-at"): _trash("discarded-at", lambda d, _: iso_date(d.discarded_at // SECOND)),
    PropertyName(OURS, "purge-at"): _trash("purge-at", lambda d, _: iso_date(d.purge_at // SECOND)),
    PropertyName(OURS, "reason"): _trash("reason", lambda d, _: "replaced" if d.is_replaced else "deleted"),
    **SCANS,
}
"""Those that are shown when asked for, and told by `propname`."""

ALIASES: Final[dict[PropertyName, Show]] = {
    PropertyName(DAV, "lastmodified"): _lastmodified,
    PropertyName(WIN32, "Win32LastModifiedTime"): _win32("Win32LastModifiedTime", lambda e: e.resource.modified_at),
    PropertyName(WIN32, "Win32CreationTime"): _win32("Win32CreationTime", lambda e: e.resource.created_at),
    PropertyName(OWNCLOUD, "checksums"): _checksums,
}
"""The same under names that some clients ask for; never told unasked."""

LIVE: Final[dict[PropertyName, Show]] = {**IN_ALLPROP, **BY_NAME, **ALIASES}

SETTABLE: Final[dict[PropertyName, Literal["modified_at", "created_at"]]] = {
    PropertyName(DAV, "getlastmodified"): "modified_at",
    PropertyName(DAV, "lastmodified"): "modified_at",
    PropertyName(WIN32, "Win32LastModifiedTime"): "modified_at",
    PropertyName(DAV, "creationdate"): "created_at",
    PropertyName(WIN32, "Win32CreationTime"): "created_at",
}
"""Which of a resource's times a PROPPATCH of the property sets (rule R33, clients 4.2)."""


def is_protected(name: PropertyName) -> bool:
    """Whether no client may set it."""
    return name in LIVE and name not in SETTABLE and name != DISPLAYNAME


@lru_cache(maxsize=1024)
def _getcontenttype_of(content_type: str) -> str:
    return f"<D:getcontenttype>{escape(content_type)}</D:getcontenttype>"


_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def parse_time(text: str) -> Micros:
    """A time that a client wants to set: an HTTP date (a one-digit day is fine), ISO 8601, or Unix seconds.

    Without a zone it is UTC. Raises `UnprocessableProperty`.
    """
    text = text.strip()
    at = parse_unix_seconds(text)
    if at is None:
        try:
            given = datetime.fromisoformat(text.upper()) if _ISO.match(text) else parsedate_to_datetime(text)
            aware = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
            at = round(aware.timestamp() * SECOND)
        except (ValueError, TypeError, OverflowError, IndexError):
            at = None
    if at is None or not FIRST <= at <= LAST:
        raise UnprocessableProperty("The value is not a date that can be kept.")
    return at
