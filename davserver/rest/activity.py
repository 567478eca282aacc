"""The activity log and, for administrators, the audit log."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Final

from flask import Response
from pydantic import Field

from davserver.domain.activity import Action, ActivityEntry, ActivityFilter
from davserver.domain.paging import MAX_PAGE
from davserver.domain.paging import Page as Found
from davserver.domain.paths import ResourcePath
from davserver.domain.preferences import local_time
from davserver.domain.principal import Door, Principal
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Given, Page, Paged, Time, micros, moment
from davserver.rest.noun import Access, Noun
from davserver.services.activity import Activity

_CSV: Final = {
    "description": "A line for each entry.",
    "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}},
}
_COLUMNS: Final = (
    "at", "action", "owner", "actor", "path", "to_path", "size", "detail", "door", "address", "device",
)  # fmt: skip

noun = Noun("activity", "What was done: by whom, when, where, from where, and with what.")


class ActivityWanted(Given):
    """Which entries: those that all of these hold for."""

    action: Annotated[list[Action] | None, Field(description="One of these.")] = None
    path: Annotated[str | None, Field(description="There or below, as in a URL: `/photos`.")] = None
    since: Time | None = None
    until: Annotated[Time | None, Field(description="Before then.")] = None
    door: Door | None = None
    device: Annotated[str | None, Field(description="The name of a device token or session.")] = None
    address: str | None = None


class ActivityQuery(ActivityWanted, Paged):
    """Which entries, and which page of them."""


class AuditQuery(ActivityQuery):
    """The same, and whose."""

    user: Annotated[str | None, Field(max_length=64, description="Whose drive or account, or who did it: a name.")] = (
        None
    )


class ActivityShown(Answer):
    """One thing that was done."""

    id: int
    at: datetime
    action: Action
    owner: Annotated[str | None, Field(description="Whose drive or account.")]
    actor: Annotated[str | None, Field(description="Who did it; null: the server, or somebody unknown.")]
    path: Annotated[str | None, Field(description="Where, not percent-encoded, as it was then.")]
    to_path: Annotated[str | None, Field(description="Where to, of what was copied, moved or restored.")]
    size: Annotated[int | None, Field(description="Bytes, of what was uploaded.")]
    detail: str | None
    door: Door
    address: str | None
    device: str | None


@noun.on("GET", "/activity", gives=Page[ActivityShown])
def list_activity(query: ActivityQuery) -> Page[ActivityShown]:
    """See what was done to your drive and account."""
    found = services().activity.of(principal(), _filter(query), after=query.cursor, limit=query.limit)
    return _page(found)


@noun.on("GET", "/activity/export", gives=_CSV)
def export_activity(query: ActivityWanted) -> Response:
    """Download what was done as CSV, the latest first, with times of your time zone."""
    zone = services().settings.of(principal()).time_zone
    lines = _lines(_entries(services().activity, principal(), _filter(query)), zone)
    response = Response(lines, mimetype="text/csv", direct_passthrough=True)
    response.headers["Content-Disposition"] = 'attachment; filename="activity.csv"'
    return response


def _entries(activity: Activity, who: Principal, wanted: ActivityFilter) -> Iterator[ActivityEntry]:
    after: str | None = None
    while True:
        found = activity.of(who, wanted, after=after, limit=MAX_PAGE)
        yield from found.items
        after = found.next
        if after is None:
            return


def _lines(entries: Iterable[ActivityEntry], zone: str) -> Iterator[bytes]:
    written = io.StringIO()
    write = csv.writer(written).writerow
    write(_COLUMNS)
    for entry in entries:
        yield _taken(written)
        at = local_time(entry.at, zone).isoformat(sep=" ", timespec="seconds")
        shown = _shown(entry).model_dump(mode="json", exclude={"at"})
        write([at, *(_harmless(shown[name]) for name in _COLUMNS[1:])])
    yield _taken(written)


def _taken(written: io.StringIO) -> bytes:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text.encode()


def _harmless(value: object) -> object:
    """A spreadsheet takes what begins like this for a formula, and anybody may name a file so."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


@noun.on("GET", "/admin/audit", gives=Page[ActivityShown], access=Access.ADMIN)
def list_audit(query: AuditQuery) -> Page[ActivityShown]:
    """See what concerns access and safety, of all users."""
    found = services().activity.audit(principal(), _filter(query), after=query.cursor, limit=query.limit)
    return _page(found)


def _filter(query: ActivityWanted) -> ActivityFilter:
    depth = services().config.max_depth
    return ActivityFilter(
        actions=None if query.action is None else frozenset(query.action),
        path=None if query.path is None else ResourcePath.parse(query.path, max_depth=depth),
        since=None if query.since is None else micros(query.since),
        until=None if query.until is None else micros(query.until),
        door=query.door,
        device=query.device,
        address=query.address,
        user=query.user if isinstance(query, AuditQuery) else None,
    )


def _page(found: Found[ActivityEntry]) -> Page[ActivityShown]:
    return Page(items=[_shown(entry) for entry in found.items], next=found.next)


def _shown(entry: ActivityEntry) -> ActivityShown:
    return ActivityShown(
        id=entry.id,
        at=moment(entry.at),
        action=entry.action,
        owner=entry.owner,
        actor=entry.actor,
        path=entry.path,
        to_path=entry.to_path,
        size=entry.size,
        detail=entry.detail,
        door=entry.origin.door,
        address=entry.origin.address,
        device=entry.origin.device,
    )
