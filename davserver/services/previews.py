"""Previews: a small picture that stands for a picture or a document, made when somebody first asks for it.

A preview belongs to a revision and goes with it; copies of a file share one. It is sealed like content, in the same store, and is
in no quota. What no preview can be made of is remembered, so that a broken picture is tried once and not at every look.
"""

import logging
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from davserver.crypto.envelope import new_envelope
from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import Random, Sealer
from davserver.db.rows import BlobRow, PreviewRow, ResourceRow, RevisionRow
from davserver.db.units import Database
from davserver.domain.clock import HOUR, Clock, Micros
from davserver.domain.errors import ContentDamaged, Forbidden, IsCollection, NoPreview
from davserver.domain.media import essence_of, type_to_show
from davserver.domain.principal import Door, Origin, Principal
from davserver.domain.resource import Resource, Revision
from davserver.jobs.outbox import enqueue
from davserver.jobs.runner import Handler, Work
from davserver.previewing.maker import CONTENT_TYPE, Maker
from davserver.services.blobs import open_blob, sealed_blob
from davserver.services.changes import open_change, remove_previews
from davserver.services.content import Content, ContentSettings
from davserver.services.lookup import resources_of
from davserver.services.uploads import Uploads, finish
from davserver.stores.base import Store, blob_key

__all__ = ["CONTENT_TYPE", "PERIODS", "Previews"]

log = logging.getLogger(__name__)

MAKE_PREVIEW: Final = "make_preview"
SWEEP_PREVIEWS: Final = "sweep_previews"
PERIODS: Final[Mapping[str, Micros]] = {SWEEP_PREVIEWS: HOUR}
RETRY_SECONDS: Final = 2
"""After which it is worth asking again for one that is being made."""
TRIES: Final = 3
_LOST: Final = HOUR
"""A preview that has been waited for so long has perhaps lost its job."""
_SWEEP: Final = 500


class Previews:
    """Use cases on previews, and the handlers of their jobs."""

    def __init__(
        self,
        database: Database,
        store: Store,
        keyring: KeyRing,
        clock: Clock,
        random: Random,
        content: Content,
        settings: ContentSettings,
        maker: Maker | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._random = random
        self._content = content
        self._maker = maker or Maker()
        self._inline_limit = settings.inline_limit
        self._segment_size = settings.segment_size
        self._uploads = Uploads(database, store, clock, HOUR)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does which kind of job."""
        return {MAKE_PREVIEW: self.make, SWEEP_PREVIEWS: self.sweep}

    def find(self, principal: Principal, resource: Resource) -> bytes | None:
        """The preview of a file, a WebP; None while it is being made, which this causes.

        Raises `NoPreview`, `IsCollection`, what `Content.check_read` does, and what the store raises.
        """
        revision = resource.revision
        if revision is None:
            raise IsCollection("A folder has no preview.")
        self._content.check_read(principal, resource)
        if self._kind(resource) is None:
            raise NoPreview
        own = (PreviewRow.owner_id == resource.owner_id) & (PreviewRow.revision_id == revision.id)
        query = (
            select(PreviewRow.state, PreviewRow.reason, PreviewRow.changed_at, BlobRow.__table__)
            .outerjoin(BlobRow, BlobRow.id == PreviewRow.blob_id)
            .where(own)
        )
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is not None and row.state == "none":
            raise NoPreview(row.reason or NoPreview.summary)
        if row is not None and row.state == "ready":
            return b"".join(open_blob(sealed_blob(row), self._store, self._keyring, 0, row.size))
        if row is None or row.changed_at <= self._clock() - _LOST:
            self._cause(resource.owner_id, revision)
        return None

    def make(self, work: Work) -> None:
        """Make one preview, unless its revision is gone or somebody has made it. Raises what reading and storing raise."""
        owner_id, revision_id = int(work.payload["owner_id"]), int(work.payload["revision_id"])
        with self._database.read() as connection:
            resource = _of_revision(connection, owner_id, revision_id)
        if resource is None or resource.revision is None:
            self._forget(owner_id, revision_id)
            return
        kind = self._kind(resource)
        background = Principal(owner_id, "", origin=Origin(Door.BACKGROUND))
        try:
            content = self._content.read(background, resource, 0, resource.revision.size)
            made = None if kind is None else self._maker.make(kind, content, work.keep)
        except Forbidden:
            self._forget(owner_id, revision_id)  # infected or held: whoever asks is told so, and may ask again
            return
        except ContentDamaged:
            self._settle(owner_id, revision_id, "The stored content is damaged.")
            return
        except OSError:
            if work.attempts < TRIES:
                raise
            log.exception("no preview of revision %d of user %d could be made", revision_id, owner_id)
            made = None
        if made is None:
            self._settle(owner_id, revision_id, "It cannot be decoded, or is too large to be.")
        else:
            self._keep(owner_id, revision_id, made)

    def sweep(self, work: Work) -> None:
        """Remove previews whose revision is gone: a release that knew of no previews may have removed it."""
        while True:
            work.keep()
            with self._database.write() as unit:
                lost = unit.connection.execute(select(*_KEY).where(_LOST_ONES).limit(_SWEEP)).all()
                by_owner: dict[int, list[int]] = {}
                for owner_id, revision_id in lost:
                    by_owner.setdefault(owner_id, []).append(revision_id)
                for owner_id, ids in by_owner.items():
                    remove_previews(unit, owner_id, ids, self._clock())
            if len(lost) < _SWEEP:
                return

    def _kind(self, resource: Resource) -> str | None:
        size = 0 if resource.revision is None else resource.revision.size
        return self._maker.kind_of(essence_of(type_to_show(resource)), size)

    def _cause(self, owner_id: int, revision: Revision) -> None:
        now = self._clock()
        key = {"owner_id": owner_id, "revision_id": revision.id}
        own = (PreviewRow.owner_id == owner_id) & (PreviewRow.revision_id == revision.id)
        again = update(PreviewRow).where(own, PreviewRow.state == "waiting", PreviewRow.changed_at <= now - _LOST)
        try:
            with self._database.write() as unit:
                if unit.connection.execute(again.values(changed_at=now)).rowcount == 0:
                    values = {**key, "state": "waiting", "blob_id": None, "reason": "", "changed_at": now}
                    unit.connection.execute(insert(PreviewRow), values)
                enqueue(unit, MAKE_PREVIEW, key, now)
        except IntegrityError:
            return  # somebody else asked at the same moment

    def _settle(self, owner_id: int, revision_id: int, reason: str) -> None:
        own = (PreviewRow.owner_id == owner_id) & (PreviewRow.revision_id == revision_id)
        waiting = update(PreviewRow).where(own, PreviewRow.state == "waiting")
        with self._database.write() as unit:
            unit.connection.execute(waiting.values(state="none", reason=reason, changed_at=self._clock()))

    def _forget(self, owner_id: int, revision_id: int) -> None:
        own = (PreviewRow.owner_id == owner_id) & (PreviewRow.revision_id == revision_id)
        with self._database.write() as unit:
            unit.connection.execute(delete(PreviewRow).where(own, PreviewRow.state == "waiting"))

    def _keep(self, owner_id: int, revision_id: int, made: bytes) -> None:
        blob_id = self._random(16).hex()
        envelope, data_key = new_envelope(self._keyring, blob_id, self._segment_size, self._random)
        sealer = Sealer(data_key, envelope.associated_data, envelope.layout, self._random)
        is_inline = len(made) <= self._inline_limit
        try:
            if is_inline:
                sealed: bytes | None = b"".join(sealer.seal([made]))
            else:
                self._uploads.begin(owner_id, blob_id, None)  # no length: it reserves nothing, and is in no quota
                size = envelope.layout.sealed_size(len(made))
                sealed = None
                self._store.put(blob_key(blob_id), sealer.seal([made]), size)
            values = {
                "id": blob_id, "owner_id": owner_id, "size": len(made),
                "sealed_size": envelope.layout.sealed_size(len(made)), "segment_size": envelope.segment_size,
                "key_id": envelope.key_id, "wrapped_key": envelope.wrapped_key, "header": sealer.header,
                "sealed": sealed, "created_at": self._clock(),
            }  # fmt: skip
            kept = self._attach(owner_id, revision_id, values, is_inline=is_inline)
        except BaseException:
            if not is_inline:
                self._uploads.give_up(blob_id)
            raise
        if not kept and not is_inline:
            self._uploads.give_up(blob_id)

    def _attach(self, owner_id: int, revision_id: int, values: Mapping[str, object], *, is_inline: bool) -> bool:
        """Whether the preview is attached: not when its revision went, or another worker was faster."""
        own = (PreviewRow.owner_id == owner_id) & (PreviewRow.revision_id == revision_id)
        with self._database.write() as unit:
            open_change(unit, owner_id, self._clock())  # nobody removes the revision meanwhile
            there = (RevisionRow.owner_id == owner_id) & (RevisionRow.id == revision_id)
            waiting = select(PreviewRow.state).where(own, PreviewRow.state == "waiting")
            if unit.connection.execute(waiting).first() is None:
                return False
            if unit.connection.execute(select(RevisionRow.id).where(there)).first() is None:
                unit.connection.execute(delete(PreviewRow).where(own))
                return False
            if not is_inline:
                finish(unit, str(values["id"]))
            unit.connection.execute(insert(BlobRow), values)
            ready = {"state": "ready", "blob_id": values["id"], "reason": "", "changed_at": self._clock()}
            unit.connection.execute(update(PreviewRow).where(own).values(ready))
        return True


_KEY: Final = (PreviewRow.owner_id, PreviewRow.revision_id)
_LOST_ONES: Final = ~exists().where(
    RevisionRow.owner_id == PreviewRow.owner_id, RevisionRow.id == PreviewRow.revision_id
)


def _of_revision(connection: Connection, owner_id: int, revision_id: int) -> Resource | None:
    """One of the files that have this revision."""
    which = (ResourceRow.owner_id == owner_id) & (ResourceRow.revision_id == revision_id)
    found = connection.execute(select(ResourceRow.id).where(which).limit(1)).scalar()
    return None if found is None else resources_of(connection, owner_id, [found]).get(found)
