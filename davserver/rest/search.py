"""Search in the files."""

from typing import Annotated, Any

from pydantic import Field

from davserver.domain import errors
from davserver.domain.search import FileFilter
from davserver.rest.context import principal, services
from davserver.rest.files import FilePage, PathText, path_of, shown
from davserver.rest.models import MOST, Paged, Time, micros
from davserver.rest.noun import Access, Noun

noun = Noun("search", "Find files and folders.")

Size = Annotated[int | None, Field(ge=0, le=MOST, description="Bytes; files only.")]


class SearchQuery(Paged):
    """What to look for: all of these hold for what is found. A type or a size leaves folders out."""

    name: Annotated[
        str | None,
        Field(max_length=255, description="A part of the name or, with `*`, a pattern for all of it: `*.jpg`."),
    ] = None
    type: Annotated[str | None, Field(max_length=255, description="`image/png`, or `image/*`.")] = None
    min_size: Size = None
    max_size: Size = None
    since: Annotated[Time | None, Field(description="Modified then or later.")] = None
    until: Annotated[Time | None, Field(description="Modified before then.")] = None
    path: Annotated[PathText | None, Field(description="Below this folder; without it, everywhere.")] = None


@noun.on("GET", "/files/search", gives=FilePage, access=Access.FILES, errors=(errors.NotFound,))
def search_files(query: SearchQuery) -> Any:
    """Find files and folders by name, type, size, time and place, the last made first; never in the trash."""
    wanted = FileFilter(
        name=query.name,
        content_type=query.type,
        min_size=query.min_size,
        max_size=query.max_size,
        since=None if query.since is None else micros(query.since),
        until=None if query.until is None else micros(query.until),
        path=None if query.path is None else path_of(query.path),
    )
    found = services().search.find(principal(), wanted, after=query.cursor, limit=query.limit)
    return FilePage(items=[shown(one.path, one.resource) for one in found.items], next=found.next)
