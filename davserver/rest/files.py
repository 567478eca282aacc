"""Files, for scripts: the same drive as WebDAV shows, over the same services."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from flask import Response, request
from pydantic import Field

from davserver.domain import errors
from davserver.domain.conditions import State
from davserver.domain.media import browser_headers, type_to_show, type_to_store
from davserver.domain.paths import ResourcePath, key_of
from davserver.domain.resource import Resource
from davserver.domain.serving import serve_file
from davserver.domain.verdict import ScanReport
from davserver.rest import paging
from davserver.rest.bodies import FormFiles, RawBody
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Flag, Given, Page, Paged, moment, moment_or_none
from davserver.rest.noun import Access, Noun
from davserver.rest.tags import preconditions
from davserver.services.content import PutDetails, Stored
from davserver.services.listing import Depth, Wanted
from davserver.services.previews import CONTENT_TYPE, RETRY_SECONDS

noun = Noun("files", "Your files. A path is plain text such as `/photos/a b.jpg`; in a query it is encoded as usual.")

MAX_PATH: Final = 30_000
"""Characters: with a cursor it still fits into an address."""
PathText = Annotated[str, Field(max_length=MAX_PATH, description="Such as `/photos/a b.jpg`; `/` is the whole drive.")]
_BINARY: Final = {
    "description": "The content, in the type that the file has.",
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
}
_UNCHANGED: Final = {304: {"description": "It is what the client has: see If-None-Match."}}
_PARTS: Final = {206: {**_BINARY, "description": "The part that Range asks for."}, **_UNCHANGED}
_ZIP: Final = {
    "description": "The archive.",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}
_RAW_BODY: Final = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
_FORM_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            }
        },
    }
}


class FileShown(Answer):
    """A file or a folder."""

    path: str
    name: str
    is_folder: bool
    size: Annotated[int | None, Field(description="Bytes; null of a folder.")]
    content_type: str | None
    etag: Annotated[str | None, Field(description="As in ETag and If-Match, with its quotes; null of a folder.")]
    checksums: Annotated[list[str], Field(description="Such as `SHA1:...`, when the client that put it said one.")]
    verdict: Annotated[
        str | None, Field(description="`clean`, `infected`, `released` or `unscanned`; null of a folder.")
    ]
    created_at: datetime
    modified_at: datetime


class ScanShown(Answer):
    """What is known of viruses in a file."""

    verdict: Annotated[str, Field(description="`clean`, `infected`, `released` or `unscanned`.")]
    reason: Annotated[
        str | None, Field(description="Why it is unscanned: `waiting`, `too_large`, `failed`, `no_scanner` or `empty`.")
    ]
    signature: Annotated[str | None, Field(description="What was found, when it is infected or released.")]
    signature_version: Annotated[str | None, Field(description="Program and signatures that scanned it last.")]
    scanned_at: datetime | None


class FileDetails(FileShown):
    """A file or a folder, and all that is known of it."""

    scan: Annotated[ScanShown | None, Field(description="Null of a folder.")]


class FilePage(Page[FileShown]):
    """A page of a folder."""


class FilesStored(Answer):
    """What a form has put."""

    items: list[FileShown]


class FileQuery(Given):
    """Which file or folder."""

    path: PathText


class FolderQuery(Paged):
    """Which folder, and which page of it."""

    path: PathText = "/"


class FolderWanted(Given):
    """A new folder."""

    path: PathText


class Transfer(Given):
    """From where to where."""

    source: PathText
    destination: PathText
    overwrite: Annotated[Flag, Field(description="What stands at the destination goes to the trash.")] = False


class Transferred(Answer):
    """What became of it."""

    created: Annotated[bool, Field(description="False when something at the destination was replaced.")]


def path_of(text: str) -> ResourcePath:
    """A path as values, each name checked."""
    return ResourcePath.of((name for name in text.split("/") if name), max_depth=services().config.max_depth)


def shown(path: ResourcePath, resource: Resource) -> FileShown:
    """A resource as this door shows it."""
    revision = resource.revision
    return FileShown(
        path="/" + "/".join(path.names),
        name=resource.name,
        is_folder=resource.is_collection,
        size=None if revision is None else revision.size,
        content_type=None if revision is None else type_to_show(resource),
        etag=None if revision is None else f'"{revision.etag}"',
        checksums=[] if revision is None else revision.checksums.split(),
        verdict=None if revision is None else revision.verdict.word,
        created_at=moment(resource.created_at),
        modified_at=moment(resource.modified_at),
    )


@noun.on("GET", "/files", gives=FilePage, access=Access.FILES, errors=(errors.NotFound,))
def list_folder(query: FolderQuery) -> Any:
    """List a folder by name, page by page."""
    path = path_of(query.path)
    key = paging.decode_cursor(query.cursor, str)
    after = str(key[0]) if key else ""
    found = services().folders.page(principal(), path, after=after, limit=query.limit + 1)
    return paging.page(
        found, query.limit, lambda one: shown(path.child(one.name), one), lambda one: (key_of(one.name),)
    )


@noun.on("GET", "/files/metadata", gives=FileDetails, access=Access.FILES, errors=(errors.NotFound,))
def file_metadata(query: FileQuery) -> Any:
    """What is known of a file or folder, and of its scan for viruses."""
    path = path_of(query.path)
    [entry] = services().tree.listing(principal(), path, Depth.ZERO, Wanted(scans=True)).entries
    model, headers = _with_tag(path, entry.resource)
    return FileDetails(**model.model_dump(), scan=None if entry.scan is None else _scan(entry.scan)), headers


def _scan(report: ScanReport) -> ScanShown:
    return ScanShown(
        verdict=report.verdict.word,
        reason=report.verdict.reason or None,
        signature=report.signature or None,
        signature_version=report.signature_version or None,
        scanned_at=moment_or_none(report.scanned_at),
    )


_READ_ERRORS: Final = (
    errors.NotFound, errors.IsCollection, errors.Infected, errors.ScanPending, errors.PreconditionFailed,
    errors.RangeNotSatisfiable, errors.StoreUnavailable, errors.ContentDamaged,
)  # fmt: skip


@noun.on("GET", "/files/content", gives=_BINARY, access=Access.FILES, errors=_READ_ERRORS, also=_PARTS)
def download_file(query: FileQuery) -> Response:
    """Download a file: with Range, If-Range, If-None-Match and the others of RFC 9110."""
    resource = services().tree.find(principal(), path_of(query.path))
    if resource.revision is None:
        raise errors.IsCollection("That is a folder; GET /api/v1/files/archive gives it as a ZIP.")
    content = services().content
    content.check_read(principal(), resource)
    read = partial(content.read, principal(), resource)
    served = serve_file(resource, request.method, request.headers.get, preconditions(), read)
    if served.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise errors.RangeNotSatisfiable(f"The file has {resource.revision.size} bytes.")
    response = Response(served.body, served.status, served.headers, direct_passthrough=True)
    safe = not any(name == "Content-Disposition" for name, _ in browser_headers(type_to_show(resource)))
    response.headers["Content-Disposition"] = _disposition("inline" if safe else "attachment", resource.name)
    return response


@noun.on(
    "GET", "/files/archive", gives=_ZIP, access=Access.FILES,
    errors=(errors.NotFound, errors.ArchiveTooLarge),
)  # fmt: skip
def download_folder(query: FileQuery) -> Response:
    """Download a folder as a ZIP, made while it is sent."""
    path = path_of(query.path)
    if request.method == "HEAD":
        services().tree.find(principal(), path)
        return Response(b"", mimetype="application/zip")
    pieces = services().archives.archive(principal(), path)
    response = Response(pieces, mimetype="application/zip", direct_passthrough=True)
    response.headers["Content-Disposition"] = _disposition("attachment", (path.name or "Files") + ".zip")
    return response


_PICTURE: Final = {
    "description": "The preview.",
    "content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}
_PREVIEW_ERRORS: Final = (
    errors.NotFound, errors.NoPreview, errors.IsCollection, errors.Infected, errors.ScanPending,
)  # fmt: skip
_PUT_ERRORS: Final = (
    errors.IncompleteBody, errors.ChecksumMismatch, errors.ParentMissing, errors.IsCollection, errors.Locked,
    errors.PreconditionFailed, errors.QuotaExceeded, errors.StoreFull, errors.StoreUnavailable,
)  # fmt: skip


@noun.on(
    "PUT", "/files/content", gives=FileShown, access=Access.FILES, errors=_PUT_ERRORS, extra=_RAW_BODY,
    also={201: FileShown},
)  # fmt: skip
def upload_file(query: FileQuery) -> Any:
    """Upload a file: the body is its content. If-Match replaces a known state only, If-None-Match: * only creates."""
    path = path_of(query.path)
    return _stored(path, _put(path, RawBody(), request.headers.get("Content-Type"), request.headers.get("OC-Checksum")))


@noun.on(
    "POST", "/files", gives=FilesStored, status=201, access=Access.FILES, errors=_PUT_ERRORS, extra=_FORM_BODY
)  # fmt: skip
def upload_form(query: FileQuery) -> FilesStored:
    """Upload the files of a form into a folder, one after the other: when one fails, those before it are stored."""
    folder = path_of(query.path)
    items = []
    for part in FormFiles(RawBody()):
        path = ResourcePath.of((*folder.names, part.name), max_depth=services().config.max_depth)
        items.append(shown(path, _put(path, part, part.content_type, None).resource))
    if not items:
        raise errors.BadRequest("The form holds no file.")
    return FilesStored(items=items)


@noun.on(
    "POST", "/files/folder", gives=FileShown, status=201, access=Access.FILES,
    errors=(errors.AlreadyExists, errors.ParentMissing, errors.Locked),
)  # fmt: skip
def make_folder(body: FolderWanted) -> FileShown:
    """Make a folder."""
    path = path_of(body.path)
    return shown(path, services().tree.make_collection(principal(), path))


_MOVE_ERRORS: Final = (
    errors.NotFound, errors.ParentMissing, errors.PreconditionFailed, errors.Locked, errors.QuotaExceeded,
)  # fmt: skip


@noun.on("POST", "/files/move", gives=Transferred, access=Access.FILES, errors=_MOVE_ERRORS)
def move_file(body: Transfer) -> Transferred:
    """Move or rename a file or a folder, with all that is in it."""
    source, destination = path_of(body.source), path_of(body.destination)
    created = services().tree.move(
        principal(), source, destination, overwrite=body.overwrite, preconditions=preconditions()
    )
    return Transferred(created=created)


@noun.on("POST", "/files/copy", gives=Transferred, access=Access.FILES, errors=_MOVE_ERRORS)
def copy_file(body: Transfer) -> Transferred:
    """Copy a file or a folder, with all that is in it; no content is moved."""
    source, destination = path_of(body.source), path_of(body.destination)
    created = services().tree.copy(
        principal(), source, destination, overwrite=body.overwrite, deep=True, preconditions=preconditions()
    )
    return Transferred(created=created)


@noun.on(
    "DELETE", "/files", access=Access.FILES, errors=(errors.NotFound, errors.Locked, errors.PreconditionFailed)
)  # fmt: skip
def delete_file(query: FileQuery) -> None:
    """Move a file or a folder to the trash; what is in the trash already goes for good."""
    services().tree.discard(principal(), path_of(query.path), preconditions())


@noun.on(
    "GET", "/files/preview", gives=_PICTURE, access=Access.FILES, errors=_PREVIEW_ERRORS,
    also={202: {"description": "Not yet: Retry-After says when to ask again."}, **_UNCHANGED},
)  # fmt: skip
def file_preview(query: FileQuery) -> Response:
    """A small picture of a picture or a PDF, 512 pixels at most; 202 with Retry-After while it is being made."""
    resource = services().tree.find(principal(), path_of(query.path))
    made = services().previews.find(principal(), resource)
    if made is None:
        return Response(b"", HTTPStatus.ACCEPTED, {"Retry-After": str(RETRY_SECONDS)})
    assert resource.revision is not None  # noqa: S101 - only files have previews
    etag = f'"{resource.revision.etag}-preview"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if preconditions().is_not_modified(State(exists=True, etag=etag.strip('"'), tokens=frozenset())):
        return Response(b"", HTTPStatus.NOT_MODIFIED, headers)
    return Response(made, HTTPStatus.OK, headers, mimetype=CONTENT_TYPE)


def _put(path: ResourcePath, body: Any, content_type: str | None, checksum: str | None) -> Stored:
    details = PutDetails(content_type=type_to_store(content_type, path.name), checksum=checksum)
    put: Callable[..., Stored] = services().content.put
    return put(principal(), path, body, details, preconditions())


def _stored(path: ResourcePath, stored: Stored) -> Response:
    model, headers = _with_tag(path, stored.resource)
    status = HTTPStatus.CREATED if stored.created else HTTPStatus.OK
    return Response(model.model_dump_json(), status, headers, mimetype="application/json")


def _with_tag(path: ResourcePath, resource: Resource) -> tuple[FileShown, dict[str, str]]:
    model = shown(path, resource)
    return model, {} if model.etag is None else {"ETag": model.etag}


def _disposition(kind: str, name: str) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
