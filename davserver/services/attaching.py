"""Attaching stored content to the tree: a new revision, on a new file or in the place of the old one. For services only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from davserver.crypto.envelope import Envelope
from davserver.crypto.segments import Random
from davserver.db.rows import TRASH_ID, BlobRow, ResourceRow, RevisionRow, TrashEntryRow
from davserver.db.statements import Statement
from davserver.domain.clock import HOUR, Micros
from davserver.domain.resource import Resource, Revision
from davserver.domain.verdict import Verdict
from davserver.jobs.outbox import enqueue_all
from davserver.services.changes import (
    Change,
    free_name_in_trash,
    insert_resource,
    insert_resources,
    note_in_trash,
    release_revisions,
    touch,
)
from davserver.services.lookup import Chain

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
SCAN: Final = "scan"
"""The job that scans one revision for viruses."""


@dataclass(frozen=True, slots=True)
class PutDetails:
    """What a client says about the content that it sends."""

    content_type: str | None = None
    modified_at: Micros | None = None
    created_at: Micros | None = None
    checksum: str | None = None
    """As in OC-Checksum: ``SHA1:<hex>``."""


@dataclass(frozen=True, slots=True)
class KeepReplaced:
    """What becomes of content that a PUT replaces: it is kept in the trash so long, and so many times a file."""

    retention: Micros = 24 * HOUR
    """0: not at all."""
    count: int = 10


@dataclass(frozen=True, slots=True)
class SealedContent:
    """Sealed bytes that are durable, in the store or at hand, and that no row refers to yet."""

    envelope: Envelope
    header: bytes
    size: int
    sealed_size: int
    sealed: bytes | None
    """The bytes themselves when they go into the row."""
    checksums: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What a PUT left: the file as it is now, and whether it was created for it."""

    resource: Resource
    created: bool


_INSERT_BLOB = Statement(insert(BlobRow), columns=BlobRow.__table__.columns.keys())
_INSERT_REVISION = Statement(
    insert(RevisionRow),
    columns=(
        *("owner_id", "id", "blob_id", "size", "etag", "content_type", "checksums", "created_at"),
        *("verdict", "signature_version"),
    ),
)
_SET_REVISION = Statement(
    update(ResourceRow)
    .where(ResourceRow.owner_id == bindparam("b_owner"), ResourceRow.id == bindparam("b_id"))
    .values(revision_id=bindparam("b_revision"), modified_at=bindparam("b_modified"))
)


def attach(
    change: Change,
    chain: Chain,
    content: SealedContent,
    details: PutDetails,
    keep: KeepReplaced,
    random: Random,
    *,
    scans: bool = False,
) -> Chain:
    """Make `content` the file at `chain.path`, which exists or whose parent does. Raises `QuotaExceeded`.

    Returns the chain as it is afterwards. With `scans`, a job is left that scans the content for viruses.
    """
    target = chain.target
    revision_id = change.take_ids(3)
    revision = make_revision(revision_id, content, details, random, change.now, scans=scans)
    insert_revisions(change, [(revision, content)])
    if target is None:
        parent = chain.parent
        assert parent is not None, "the caller has checked the parent"  # noqa: S101 - for the type checker
        resource = make_file(revision_id + 1, parent, chain.path.name, revision, details, change.now)
        insert_resources(change, [resource])
        touch(change, parent)
        change.use(content.size)
        return Chain(chain.path, (*chain.found[:-1], replace(parent, modified_at=change.now), resource))
    modified_at = change.now if details.modified_at is None else details.modified_at
    params = {"b_owner": change.owner_id, "b_id": target.id, "b_revision": revision_id, "b_modified": modified_at}
    _SET_REVISION.run(change.unit.connection, params)
    freed = _keep_or_release(change, chain, target, revision_id + 2, keep)
    change.use(content.size - freed)
    return Chain(chain.path, (*chain.found[:-1], replace(target, modified_at=modified_at, revision=revision)))


def make_revision(
    revision_id: int, content: SealedContent, details: PutDetails, random: Random, now: Micros, *, scans: bool
) -> Revision:
    """The revision that `content` is to be."""
    unscanned = Verdict.WAITING if scans else Verdict.NO_SCANNER
    return Revision(
        id=revision_id,
        blob_id=content.envelope.blob_id,
        size=content.size,
        etag=random(12).hex(),
        content_type=details.content_type or DEFAULT_CONTENT_TYPE,
        checksums=content.checksums,
        created_at=now,
        verdict=Verdict.EMPTY if content.size == 0 else unscanned,
    )


def make_file(
    resource_id: int, parent: Resource, name: str, revision: Revision, details: PutDetails, now: Micros
) -> Resource:
    """The file that a PUT of that revision is to make in `parent`."""
    return Resource(
        owner_id=parent.owner_id,
        id=resource_id,
        parent_id=parent.id,
        name=name,
        created_at=now if details.created_at is None else details.created_at,
        modified_at=now if details.modified_at is None else details.modified_at,
        revision=revision,
    )


def insert_revisions(change: Change, made: Sequence[tuple[Revision, SealedContent]]) -> None:
    """Add revisions and their blobs. One that waits to be scanned leaves a job."""
    connection = change.unit.connection
    _INSERT_BLOB.run_many(connection, [_blob_values(change, content) for _, content in made])
    _INSERT_REVISION.run_many(connection, [_revision_values(change, revision) for revision, _ in made])
    waiting = [revision.id for revision, _ in made if revision.verdict is Verdict.WAITING]
    enqueue_all(change.unit, SCAN, [{"owner_id": change.owner_id, "revision_id": one} for one in waiting], change.now)


def _blob_values(change: Change, content: SealedContent) -> dict[str, Any]:
    envelope = content.envelope
    return {
        "id": envelope.blob_id,
        "owner_id": change.owner_id,
        "size": content.size,
        "sealed_size": content.sealed_size,
        "segment_size": envelope.segment_size,
        "key_id": envelope.key_id,
        "wrapped_key": envelope.wrapped_key,
        "header": content.header,
        "sealed": content.sealed,
        "created_at": change.now,
    }


def _revision_values(change: Change, revision: Revision) -> dict[str, Any]:
    return {
        "owner_id": change.owner_id,
        "id": revision.id,
        "blob_id": revision.blob_id,
        "size": revision.size,
        "etag": revision.etag,
        "content_type": revision.content_type,
        "checksums": revision.checksums,
        "created_at": revision.created_at,
        "verdict": revision.verdict.value,
        "signature_version": None if revision.verdict is Verdict.EMPTY else "",
    }


def _keep_or_release(change: Change, chain: Chain, target: Resource, kept_id: int, keep: KeepReplaced) -> int:
    """Put the replaced revision into the trash, or let go of it. Returns the bytes that were freed."""
    old = target.revision
    if old is None:
        return 0
    if old.size == 0 or change.keeps_for(keep.retention) <= 0 or keep.count <= 0:
        # Nothing is lost with an empty file; many clients make one before they send the content.
        release_revisions(change, [old.id])
        return old.size
    insert_resource(
        change,
        resource_id=kept_id,
        parent_id=TRASH_ID,
        name=free_name_in_trash(change, target.name),
        revision_id=old.id,
        created_at=target.created_at,
        modified_at=target.modified_at,
    )
    note_in_trash(change, chain.path, kept_id, keep.retention, replaced_id=target.id)
    return _drop_oldest(change, target, keep.count)


def _drop_oldest(change: Change, target: Resource, count: int) -> int:
    """Let go of what exceeds `count` kept revisions of a file. Returns the bytes that were freed."""
    connection = change.unit.connection
    too_many = connection.execute(
        select(TrashEntryRow.resource_id, RevisionRow.id.label("revision_id"), RevisionRow.size)
        .join(
            ResourceRow,
            (ResourceRow.owner_id == TrashEntryRow.owner_id) & (ResourceRow.id == TrashEntryRow.resource_id),
        )
        .join(RevisionRow, (RevisionRow.owner_id == ResourceRow.owner_id) & (RevisionRow.id == ResourceRow.revision_id))
        .where(TrashEntryRow.owner_id == change.owner_id, TrashEntryRow.replaced_id == target.id)
        .order_by(TrashEntryRow.discarded_at.desc(), TrashEntryRow.resource_id.desc())
        .offset(count)
    ).all()
    if not too_many:
        return 0
    here = (ResourceRow.owner_id == change.owner_id) & ResourceRow.id.in_([row.resource_id for row in too_many])
    connection.execute(delete(ResourceRow).where(here))  # each takes its entry along
    release_revisions(change, [row.revision_id for row in too_many])
    return sum(row.size for row in too_many)
