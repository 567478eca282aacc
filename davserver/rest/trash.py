"""The trash: what was deleted or replaced, until it is restored or its time is over."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from davserver.domain import errors
from davserver.domain.trash import TrashEntry
from davserver.rest import paging
from davserver.rest.context import principal, services
from davserver.rest.files import PathText, path_of
from davserver.rest.models import Answer, Flag, Given, Id, Page, Paged, moment
from davserver.rest.noun import Access, Noun

noun = Noun("trash", "The trash: see what is there, restore it, or remove it for good.")


class EntryShown(Answer):
    """Something in the trash."""

    id: int
    name: Annotated[str, Field(description="In the trash, where no two have the same.")]
    origin: Annotated[str, Field(description="Where it was.")]
    is_folder: bool
    is_replaced: Annotated[bool, Field(description="Older content of a file that was overwritten, not deleted.")]
    files: int
    size: int
    discarded_at: datetime
    purge_at: datetime


class EntryPage(Page[EntryShown]):
    """A page of the trash."""


class EntryPath(Given):
    """Which entry."""

    entry_id: Id


class RestoreWanted(Given):
    """How to restore."""

    to: PathText | None = None
    overwrite: Annotated[Flag, Field(description="What stands there goes to the trash.")] = False


class Restored(Answer):
    """Where it is now."""

    path: str


@noun.on("GET", "/trash", gives=EntryPage, access=Access.FILES)
def list_trash(query: Paged) -> Any:
    """See what is in the trash, the latest first."""
    key = paging.decode_cursor(query.cursor, int, int)
    after = None if key is None else (int(key[0] or 0), int(key[1] or 0))
    found = services().trash.page(principal(), after=after, limit=query.limit + 1)
    return paging.page(found, query.limit, _shown, _key)


@noun.on(
    "POST", "/trash/<int:entry_id>/restore", gives=Restored, access=Access.FILES,
    errors=(errors.NotFound, errors.Conflict, errors.Locked),
)  # fmt: skip
def restore_entry(path: EntryPath, body: RestoreWanted) -> Restored:
    """Restore something to where it was, or to another place; missing folders are made, nothing is overwritten unasked."""
    to = None if body.to is None else path_of(body.to)
    depth = services().config.max_depth
    place = services().trash.restore(principal(), path.entry_id, to=to, overwrite=body.overwrite, max_depth=depth)
    return Restored(path="/" + "/".join(place.names))


@noun.on("DELETE", "/trash/<int:entry_id>", access=Access.FILES, errors=(errors.NotFound,))
def purge_entry(path: EntryPath) -> None:
    """Remove something in the trash for good."""
    services().trash.purge_entry(principal(), path.entry_id)


@noun.on("DELETE", "/trash", access=Access.FILES)
def empty_trash() -> None:
    """Remove all that is in the trash for good."""
    services().trash.empty(principal())


def _key(entry: TrashEntry) -> tuple[int, int]:
    return entry.discarded.discarded_at, entry.resource.id


def _shown(entry: TrashEntry) -> EntryShown:
    discarded = entry.discarded
    return EntryShown(
        id=entry.resource.id,
        name=entry.resource.name,
        origin="/" + "/".join(discarded.origin.names),
        is_folder=entry.resource.is_collection,
        is_replaced=discarded.is_replaced,
        files=entry.files,
        size=entry.size,
        discarded_at=moment(discarded.discarded_at),
        purge_at=moment(discarded.purge_at),
    )
