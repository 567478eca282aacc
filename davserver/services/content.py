"""The content of files: received as a stream, sealed, stored, then attached to the tree in one short unit.

Bytes are durable before a row refers to them. What does not end well changes nothing: until the unit commits, the old
revision is the file's, and what was stored is removed (or found later by the upload's row, when the process died).
"""

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from sqlalchemy import bindparam, select

from davserver.crypto.envelope import new_envelope
from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import DEFAULT_SEGMENT_SIZE, BytesLike, Random, Sealer
from davserver.db.rows import BlobRow
from davserver.db.statements import Statement
from davserver.db.units import Database
from davserver.domain.clock import HOUR, Clock, Micros
from davserver.domain.conditions import NO_CONDITIONS, Preconditions
from davserver.domain.errors import (
    BadRequest,
    BlobMissing,
    ChecksumMismatch,
    ContentDamaged,
    DavserverError,
    IncompleteBody,
    IsCollection,
    NotScanned,
    QuotaExceeded,
    ScanPending,
    StoreFull,
)
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource, Revision
from davserver.domain.verdict import Verdict
from davserver.services.attaching import KeepReplaced, PutDetails, SealedContent, Stored, attach
from davserver.services.blobs import open_blob, sealed_blob
from davserver.services.changes import Change
from davserver.services.guards import Touch, check_change
from davserver.services.lookup import Chain, resolve
from davserver.services.puts import Put, Puts
from davserver.services.quota import room_left
from davserver.services.remembered import SmallContent
from davserver.services.scanned import infected
from davserver.services.tree import check_file_place
from davserver.services.uploads import Beginning, Uploads
from davserver.stores.base import Store, blob_key

__all__ = ["Body", "Content", "ContentSettings", "PutDetails", "Stored"]

log = logging.getLogger(__name__)

_BLOB: Final = Statement(
    select(BlobRow.__table__).where(BlobRow.id == bindparam("b_id"), BlobRow.owner_id == bindparam("b_owner"))
)

_FINAL: Final = frozenset({Verdict.TOO_LARGE, Verdict.FAILED})
"""Unscanned, and waiting does not help."""

BLOCK: Final = 256 << 10
"""Bytes asked of a body at a time. A MiB takes a third more CPU, and memory that the allocator keeps."""


class Body(Protocol):
    """The bytes of a request."""

    length: int | None
    """How many will come, None when that was not declared."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty only at the true end. Raises `IncompleteBody` when it was cut off."""


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """What an operator may set about content."""

    inline_limit: int = 64 * 1024
    """Content up to so many bytes is kept, sealed all the same, in its row rather than in the store."""
    segment_size: int = DEFAULT_SEGMENT_SIZE
    upload_ttl: Micros = 24 * HOUR
    """An upload that has lasted so long without a sign of life is taken for dead."""
    keep_replaced: KeepReplaced = field(default_factory=KeepReplaced)
    scans: bool = False
    """Whether somebody scans new content for viruses."""
    held: frozenset[Verdict] = frozenset()
    """Content with these verdicts is not given out, besides what is infected."""


class Content:
    """Use cases on the content of files."""

    def __init__(
        self,
        database: Database,
        store: Store,
        keyring: KeyRing,
        clock: Clock,
        random: Random,
        settings: ContentSettings,
    ) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._random = random
        self._settings = settings
        self._uploads = Uploads(database, store, clock, settings.upload_ttl)
        self._puts = Puts(database, clock, random, self._attach, scans=settings.scans)

    def check_put(
        self, principal: Principal, path: ResourcePath, length: int | None, preconditions: Preconditions
    ) -> None:
        """Everything about a PUT that can be known before its body is read. Raises what `put` does."""
        with self._database.read() as connection:
            chain = resolve(connection, principal, path)
            check_file_place(chain)
            touched = Touch(chain, membership=chain.target is None)
            check_change(connection, principal, [touched], preconditions, self._clock())
            left = room_left(connection, principal.owner_id)
        if length and left is not None and length > left:
            raise QuotaExceeded
        if length and length > self._settings.inline_limit:
            free = self._store.free_bytes()
            if free is not None and length > free:
                raise StoreFull

    def put(
        self,
        principal: Principal,
        path: ResourcePath,
        body: Body,
        details: PutDetails,
        preconditions: Preconditions = NO_CONDITIONS,
    ) -> Stored:
        """PUT (RFC 4918 section 9.7, RFC 9110 section 9.3.4): replace or create a file, or change nothing.

        Raises `IncompleteBody`, `ChecksumMismatch`, `ParentMissing`, `IsCollection`, `Locked`, `PreconditionFailed`,
        `QuotaExceeded`, `StoreFull`, `StoreUnavailable`, `Forbidden` (in the trash).
        """
        is_small = body.length is not None and body.length <= self._settings.inline_limit
        if not is_small:
            self.check_put(principal, path, body.length, preconditions)
        source = _Source(body, details.checksum)
        try:
            first = source.read_up_to(self._settings.inline_limit + 1)
        except DavserverError:
            if is_small:  # what would have been said before its body was read comes first
                self.check_put(principal, path, body.length, preconditions)
            raise
        blob_id = self._random(16).hex()
        if len(first) <= self._settings.inline_limit:
            source.verify()
            content = self._current(self._seal_inline(blob_id, first, source.checksums))
            return self._puts.store(Put(principal, path, content, details, preconditions))
        try:
            ttl = self._settings.upload_ttl
            source.limit = self._puts.begin(Beginning(principal.owner_id, blob_id, body.length, ttl))
            content = self._current(self._receive(blob_id, first, source))
            return self._puts.store(Put(principal, path, content, details, preconditions, is_upload=True))
        except BaseException:
            self._uploads.give_up(blob_id)
            raise

    def seal_empty(self) -> SealedContent:
        """The content of a new, empty file, ready to be attached."""
        return self._seal_inline(self._random(16).hex(), b"", "")

    def attach_empty(self, change: Change, chain: Chain, content: SealedContent) -> Chain:
        """Make an empty file at `chain.path`, within another use case's unit (LOCK on an unmapped URL)."""
        return self._attach(change, chain, content, PutDetails())

    def check_read(self, principal: Principal, resource: Resource) -> None:
        """Whether the content of a file is given out, were it asked for. Raises `Infected`, `ScanPending`, `NotScanned`."""
        revision = resource.revision
        if revision is None or revision.verdict is Verdict.CLEAN:
            return
        if revision.verdict is Verdict.INFECTED:
            with self._database.read() as connection:
                raise infected(connection, principal.owner_id, revision)
        if revision.verdict in self._settings.held:
            raise NotScanned if revision.verdict in _FINAL else ScanPending

    def read(self, principal: Principal, resource: Resource, start: int, stop: int) -> Iterator[bytes]:
        """Bytes [start, stop) of a file. Exactly these, or an error in mid-stream; never others.

        The first block is opened before this returns, so that what is missing or damaged at its start raises here. Raises
        `BlobMissing`, `ContentDamaged`, `StoreUnavailable`, there and while iterating, and what `check_read` does.
        """
        revision = resource.revision
        if revision is None:
            raise IsCollection("A collection has no content to read.")
        self.check_read(principal, resource)
        blocks = self._open(principal, revision, start, stop)
        first = next(blocks, b"")
        return _resumed(first, blocks)

    def small(self, principal: Principal, resource: Resource) -> SmallContent | None:
        """The content of a file that lies whole in its row, to be read many times; None for any other.

        Raises what `check_read` does, `ContentDamaged` and `KeyRingError`.
        """
        revision = resource.revision
        if revision is None or revision.size > self._settings.inline_limit:
            return None
        self.check_read(principal, resource)
        with self._database.read() as connection:
            row = _BLOB.first(connection, {"b_id": revision.blob_id, "b_owner": principal.owner_id})
        if (
            row is None
            or row.sealed is None
            or row.sealed_size > row.segment_size
            or len(row.sealed) != row.sealed_size
        ):
            return None
        return SmallContent(sealed_blob(row), bytes(row.sealed), self._keyring, revision)

    def _open(self, principal: Principal, revision: Revision, start: int, stop: int) -> Iterator[bytes]:
        with self._database.read() as connection:
            row = _BLOB.first(connection, {"b_id": revision.blob_id, "b_owner": principal.owner_id})
        if row is None:
            log.error("revision %d refers to blob %s, which has no row", revision.id, revision.blob_id)
            raise BlobMissing
        try:
            yield from open_blob(sealed_blob(row), self._store, self._keyring, start, stop)
        except ContentDamaged as error:
            log.exception("blob %s is damaged or missing (%s)", row.id, error.code)
            raise

    def _seal_inline(self, blob_id: str, plain: BytesLike, checksums: str) -> SealedContent:
        envelope, data_key = new_envelope(self._keyring, blob_id, self._settings.segment_size, self._random)
        sealer = Sealer(data_key, envelope.associated_data, envelope.layout, self._random)
        sealed = b"".join(sealer.seal([plain]))
        return SealedContent(envelope, sealer.header, len(plain), len(sealed), sealed, checksums)

    def _receive(self, blob_id: str, first: BytesLike, source: "_Source") -> SealedContent:
        envelope, data_key = new_envelope(self._keyring, blob_id, self._settings.segment_size, self._random)
        sealer = Sealer(data_key, envelope.associated_data, envelope.layout, self._random)
        declared = source.length
        size = None if declared is None else envelope.layout.sealed_size(declared)
        # The source verifies itself at its end, before the sealer may finish: a cut-off body never becomes a blob.
        alive = self._uploads.sign_of_life(blob_id)
        sealed_size = self._store.put(blob_key(blob_id), sealer.seal(source.blocks(first, alive)), size)
        return SealedContent(envelope, sealer.header, sealer.plain_size, sealed_size, None, source.checksums)

    def _current(self, content: SealedContent) -> SealedContent:
        if content.envelope.key_id == self._keyring.current:
            return content
        # The key changed while the body came: nothing new may come under the old one, which may be retired soon.
        return replace(content, envelope=content.envelope.rewrapped(self._keyring))

    def _attach(self, change: Change, chain: Chain, content: SealedContent, details: PutDetails) -> Chain:
        settings = self._settings
        return attach(change, chain, content, details, settings.keep_replaced, self._random, scans=settings.scans)


def _resumed(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        yield from rest
    finally:
        close = getattr(rest, "close", None)
        if close is not None:
            close()


_ALGORITHMS: Final = {"SHA1": "sha1", "MD5": "md5", "SHA256": "sha256", "SHA512": "sha512"}


class _Source:
    """A body that is counted and, when the client sent a checksum, summed."""

    def __init__(self, body: Body, checksum: str | None) -> None:
        self._body = body
        self.length = body.length
        self.limit: int | None = None
        """How much the quota has room for, however much comes."""
        self._taken = 0
        self._expected = ""
        self._algorithm = ""
        self._hash: hashlib._Hash | None = None
        if checksum:
            algorithm, _, value = checksum.strip().partition(":")
            if algorithm.upper() in _ALGORITHMS:
                self._algorithm = algorithm.upper()
                self._expected = value.strip().lower()
                self._hash = hashlib.new(_ALGORITHMS[self._algorithm], usedforsecurity=False)
            elif not value:
                raise BadRequest("OC-Checksum must be an algorithm, a colon and the sum in hexadecimal.")

    @property
    def checksums(self) -> str:
        """What to remember, once all has been read and verified."""
        return f"{self._algorithm}:{self._expected}" if self._hash is not None else ""

    def read(self, size: int) -> bytes:
        """The next bytes; empty at the end."""
        block = self._body.read(size)
        self._taken += len(block)
        if self.length is not None and self._taken > self.length:
            raise IncompleteBody("More bytes arrived than were announced; nothing was changed.")
        if self.limit is not None and self._taken > self.limit:
            raise QuotaExceeded
        if self._hash is not None:
            self._hash.update(block)
        return block

    def read_up_to(self, size: int) -> bytes:
        """As many bytes as there are, at most `size`."""
        blocks: list[bytes] = []
        left = size
        while left and (block := self.read(left)):
            blocks.append(block)
            left -= len(block)
        return b"".join(blocks)

    def blocks(self, first: BytesLike, alive: Callable[[], None]) -> Iterator[BytesLike]:
        """What was read already, and all the rest; raises at the end when it is not what was announced.

        `alive` is called for each block.
        """
        yield first
        while block := self.read(BLOCK):
            alive()
            yield block
        self.verify()

    def verify(self) -> None:
        """Raise unless all that was announced arrived, with the checksum that was announced."""
        if self.length is not None and self._taken != self.length:
            raise IncompleteBody
        if self._hash is not None and self._hash.hexdigest() != self._expected:
            raise ChecksumMismatch
