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
    """A page of infected files, by owner, and of each owner as they were written."""


class FilePath(Given):
    """Which file."""

    owner_id: Id
    file_id: Id


@noun.on("GET", "/admin/infected", gives=InfectedPage, access=Access.ADMIN)
def list_infected(query: Paged) -> Any:
    """See all files that are infected, or were released."""
    key = paging.decode_cursor(query.cursor, int, int, int) or (0, 0, 0)
    owner_id, revision_id, file_id = (int(value or 0) for value in key)
    found = services().quarantine.page(after=(owner_id, revision_id, file_id), limit=query.limit + 1)
    return paging.page(found, query.limit, _shown, _key)


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


def _key(found: Found) -> tuple[int, int, int]:
    return found.owner_id, found.revision_id, found.resource_id


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
