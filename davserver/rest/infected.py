"""Infected files, for administrators: what was found, where. Never the content."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from davserver.domain.errors import Conflict, NotFound
from davserver.rest import paging
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Given, Id, Page, Paged, moment_or_none
from davserver.rest.noun import Access, Noun
from davserver.services.quarantine import Found

noun = Noun("infected", "For administrators: files that a virus was found in, everybody's.")


class InfectedShown(Answer):
    """A file with a virus in it."""

    owner_id: int
    owner: str
    file_id: Annotated[int, Field(description="Among the owner's files.")]
    path: Annotated[str, Field(description="Not percent-encoded; below `/.trash` for what lies in the trash.")]
    size: int
    state: Literal["infected", "released"]
    signature: Annotated[str, Field(description="What was found.")]
    scanned_at: datetime | None


class InfectedPage(Page[InfectedShown]):
    """A page of infected files, by owner and path."""


class FilePath(Given):
    """Which file."""

    owner_id: Id
    file_id: Id


@noun.on("GET", "/admin/infected", gives=InfectedPage, access=Access.ADMIN)
def list_infected(query: Paged) -> Any:
    """See all files that are infected, or were released."""
    key = paging.decode_cursor(query.cursor, str, str)
    found = sorted(services().quarantine.found(), key=_key)
    if key is not None:
        found = [one for one in found if _key(one) > key]
    return paging.page(found[: query.limit + 1], query.limit, _shown, _key)


@noun.on(
    "POST", "/admin/infected/<int:owner_id>/<int:file_id>/release", access=Access.ADMIN, errors=(NotFound, Conflict)
)  # fmt: skip
def release_infected(path: FilePath) -> None:
    """Let an infected file be read all the same, its copies too, for as long as nothing else is found in it."""
    services().quarantine.release_of(principal(), path.owner_id, path.file_id)


@noun.on("DELETE", "/admin/infected/<int:owner_id>/<int:file_id>", access=Access.ADMIN, errors=(NotFound,))
def delete_infected(path: FilePath) -> None:
    """Delete an infected file: into its owner's trash, and from there for good. Locks do not keep it."""
    services().quarantine.delete_of(principal(), path.owner_id, path.file_id)


def _key(found: Found) -> tuple[str, str]:
    return found.owner, found.path


def _shown(found: Found) -> InfectedShown:
    return InfectedShown.model_validate(
        {
            "owner_id": found.owner_id,
            "owner": found.owner,
            "file_id": found.resource_id,
            "path": found.path,
            "size": found.size,
            "state": found.scan.verdict.value,
            "signature": found.scan.signature,
            "scanned_at": moment_or_none(found.scan.scanned_at),
        }
    )
