"""Download links: for people without an account."""

from datetime import datetime
from typing import Annotated, Any

from flask import request
from pydantic import Field

from davserver.domain import errors
from davserver.domain.link import Link
from davserver.rest import paging
from davserver.rest.context import principal, services
from davserver.rest.files import PathText, path_of
from davserver.rest.models import WHOLE, Answer, Given, Id, Page, Paged, Time, micros, moment, moment_or_none
from davserver.rest.noun import Noun
from davserver.services.links import LinkWish

noun = Noun("links", "Download links to a file or a folder, for people without an account.")


class LinkWanted(Given):
    """A new link."""

    path: PathText
    name: Annotated[str, Field(max_length=200, description="What the list calls it.")] = ""
    password: Annotated[str | None, Field(min_length=8, max_length=1024)] = None
    expires_at: Time | None = None
    max_uses: Annotated[
        Annotated[int, Field(ge=1, lt=2**31), WHOLE] | None, Field(description="How many downloads it is good for.")
    ] = None


class LinkShown(Answer):
    """A link, without its token."""

    id: int
    name: str
    path: Annotated[str | None, Field(description="Where what it leads to is now; null while that is in the trash.")]
    has_password: bool
    expires_at: datetime | None
    max_uses: int | None
    uses: int
    created_at: datetime
    used_at: datetime | None


class LinkMade(LinkShown):
    """A new link: its address is shown this once."""

    url: str


class LinkPage(Page[LinkShown]):
    """A page of links."""


class LinkQuery(Paged):
    """Which links."""

    path: Annotated[PathText | None, Field(description="Only those to this file or folder.")] = None


class LinkPath(Given):
    """Which link."""

    link_id: Id


@noun.on("POST", "/links", gives=LinkMade, status=201, errors=(errors.NotFound,))
def add_link(body: LinkWanted) -> LinkMade:
    """Make a link to a file or a folder."""
    ends = None if body.expires_at is None else micros(body.expires_at)
    wish = LinkWish(body.name, body.password, ends, body.max_uses)
    made = services().links.create(principal(), path_of(body.path), wish)
    return LinkMade(**_fields(made.link), url=f"{request.host_url}s/{made.token}")


@noun.on("GET", "/links", gives=LinkPage, errors=(errors.NotFound,))
def list_links(query: LinkQuery) -> Any:
    """See your links, the newest first."""
    key = paging.decode_cursor(query.cursor, int)
    after = int(key[0]) if key and key[0] is not None else None
    path = None if query.path is None else path_of(query.path)
    found = services().links.links(principal(), after=after, limit=query.limit + 1, path=path)
    return paging.page(found, query.limit, lambda one: LinkShown(**_fields(one)), lambda one: (one.id,))


@noun.on("GET", "/links/<int:link_id>", gives=LinkShown, errors=(errors.NotFound,))
def show_link(path: LinkPath) -> LinkShown:
    """See one link."""
    return LinkShown(**_fields(services().links.find(principal(), path.link_id)))


@noun.on("DELETE", "/links/<int:link_id>", errors=(errors.NotFound,))
def revoke_link(path: LinkPath) -> None:
    """Take a link back: from the next request on it leads nowhere."""
    services().links.revoke(principal(), path.link_id)


def _fields(link: Link) -> dict[str, Any]:
    return {
        "id": link.id,
        "name": link.name,
        "path": None if link.path is None else "/" + "/".join(link.path.names),
        "has_password": link.has_password,
        "expires_at": moment_or_none(link.expires_at),
        "max_uses": link.max_uses,
        "uses": link.uses,
        "created_at": moment(link.created_at),
        "used_at": moment_or_none(link.used_at),
    }
