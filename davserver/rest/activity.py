"""The activity log and, for administrators, the audit log."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from davserver.domain.activity import Action, ActivityEntry, ActivityFilter
from davserver.domain.paging import Page as Found
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Door
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Page, Paged, Time, micros, moment
from davserver.rest.noun import Access, Noun

noun = Noun("activity", "What was done: by whom, when, where, from where, and with what.")


class ActivityQuery(Paged):
    """Which entries: those that all of these hold for."""

    action: Annotated[list[Action] | None, Field(description="One of these.")] = None
    path: Annotated[str | None, Field(description="There or below, as in a URL: `/photos`.")] = None
    since: Time | None = None
    until: Annotated[Time | None, Field(description="Before then.")] = None
    door: Door | None = None
    device: Annotated[str | None, Field(description="The name of a device token or session.")] = None
    address: str | None = None


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


@noun.on("GET", "/admin/audit", gives=Page[ActivityShown], access=Access.ADMIN)
def list_audit(query: AuditQuery) -> Page[ActivityShown]:
    """See what concerns access and safety, of all users."""
    found = services().activity.audit(principal(), _filter(query), after=query.cursor, limit=query.limit)
    return _page(found)


def _filter(query: ActivityQuery) -> ActivityFilter:
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
