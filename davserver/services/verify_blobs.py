"""The part of verify that compares blobs with what lies in the store. For `davserver.services.verify`.

The database and the store change one after the other: bytes come before their row and go after it. So what differs at first
sight is looked at again, in the order in which it would have become right.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, select, text

from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import HEADER_SIZE
from davserver.db.rows import BlobRow, JobRow, UploadRow
from davserver.db.units import Database
from davserver.domain.clock import HOUR, SECOND, Clock, Micros
from davserver.domain.errors import BlobMissing, ContentDamaged, KeyRingError
from davserver.services.blobs import SealedBlob, open_blob, sealed_blob
from davserver.services.changes import REMOVE_BLOBS
from davserver.services.verify_findings import Kind, Notebook
from davserver.stores.base import Store, StoredBlob, blob_key

PREFIXES: Final = tuple(f"{number:02x}" for number in range(256))
"""The store is looked at a part at a time: this is all that is held in memory of it."""
STRAY_AGE: Final = 24 * HOUR
"""Bytes without a row are removed when they are so old."""
MANY_STRAYS: Final = 100
"""More than these, and more than half of all, is no litter: the database is not the one that belongs to the store."""
MOST_REMOVED: Final = 10_000
"""By one run."""
_PAGE: Final = 200
T = TypeVar("T")
_HASHES: Final = {"SHA1": "sha1", "MD5": "md5", "SHA256": "sha256", "SHA512": "sha512"}

_BLOBS: Final = text(
    "SELECT b.id, b.owner_id, b.size, b.sealed_size, b.segment_size, b.key_id, b.wrapped_key, b.header, b.sealed,"
    " EXISTS (SELECT 1 FROM revision v WHERE v.blob_id = b.id)"
    " OR EXISTS (SELECT 1 FROM preview p WHERE p.blob_id = b.id AND p.owner_id = b.owner_id) AS is_used,"
    " (SELECT max(v.checksums) FROM revision v WHERE v.blob_id = b.id) AS checksums"
    " FROM blob b WHERE b.id > :after AND b.id < :stop ORDER BY b.id LIMIT :page"
)
"""The order by id is the order of hexadecimal digits, which all collations share."""


class BlobCheck:
    """Compares. `deep`: open every segment. `repair`: remove old bytes that have no row.

    `opened` is told how many bytes of content were opened, as they are.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        keyring: KeyRing,
        clock: Clock,
        book: Notebook,
        *,
        deep: bool,
        repair: bool,
        opened: Callable[[int], None],
    ) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._book = book
        self._deep = deep
        self._repair = repair
        self._opened = opened
        self._strays: list[tuple[str, int, Micros]] = []
        self._stray_count = 0

    def run(self, prefix: str, listed: Iterable[StoredBlob]) -> None:
        """Compare all blobs whose id begins with the prefix, of two characters or none, with what the store lists of them."""
        stored = {blob.key.rpartition("/")[2]: blob for blob in listed}
        self._book.checked["objects"] += len(stored)
        after, stop = prefix, _following(prefix)
        while rows := self._page(after, stop):
            for row in rows:
                self._check(row, stored.pop(row.id, None))
            self._book.checked["blobs"] += len(rows)
            after = rows[-1].id
        for batch in _batches(stored.values()):
            self._look_for_strays(batch)

    def finish(self) -> None:
        """Tell of the bytes without a row, and remove them when that is wanted and wise."""
        known = self._book.checked["objects"] - self._stray_count
        is_litter = self._stray_count <= max(MANY_STRAYS, known)
        now = self._clock()
        for blob_id, size, modified in self._strays:
            age = now - modified
            repaired = self._repair and is_litter and age >= STRAY_AGE
            if repaired:
                self._store.remove(blob_key(blob_id))
            detail = f"{size} bytes, {max(0, age) // SECOND} seconds old"
            self._book.add(Kind.BYTES_UNKNOWN, f"blob {blob_id}", detail, repaired=repaired)

    def unfinished(self) -> None:
        """Tell of puts into the store that never ended and belong to no upload."""
        for batch in _batches(self._store.incomplete()):
            ids = {blob.key.rpartition("/")[2]: blob for blob in batch}
            with self._database.read() as connection:
                running = select(UploadRow.blob_id).where(UploadRow.blob_id.in_(ids))
                known = set(connection.execute(running).scalars())
            for blob_id in ids.keys() - known:
                self._book.add(
                    Kind.BYTES_UNFINISHED, f"blob {blob_id}", f"begun {ids[blob_id].begun:%Y-%m-%d %H:%M:%S}"
                )

    def _page(self, after: str, stop: str) -> list[Row[tuple[Any, ...]]]:
        with self._database.read() as connection:
            return list(connection.execute(_BLOBS, {"after": after, "stop": stop, "page": _PAGE}).all())

    def _check(self, row: Row[tuple[Any, ...]], stored: StoredBlob | None) -> None:
        blob = sealed_blob(row)
        what = f"user {row.owner_id}, blob {blob.id}"
        for kind, detail in self._wrong(blob, row, stored):
            if self._is_there(blob.id):
                self._book.add(kind, what, detail)
                return
        if self._deep and (wrong := self._open(blob, row.checksums or "")) and self._is_there(blob.id):
            self._book.add(wrong[0], what, wrong[1])

    def _wrong(
        self, blob: SealedBlob, row: Row[tuple[Any, ...]], stored: StoredBlob | None
    ) -> Iterator[tuple[Kind, str]]:
        """What is wrong with a blob without opening it."""
        layout = blob.envelope.layout
        if len(blob.header) != HEADER_SIZE or layout.sealed_size(blob.size) != blob.sealed_size:
            yield Kind.BLOB_IMPOSSIBLE, f"{blob.size} bytes are not {blob.sealed_size} when sealed"
        if blob.sealed is not None and (
            len(blob.sealed) != blob.sealed_size or not blob.sealed.startswith(blob.header)
        ):
            yield Kind.BLOB_IMPOSSIBLE, f"its row holds {len(blob.sealed)} of {blob.sealed_size} bytes, or others"
        if blob.sealed is None:
            size = self._size(blob.id) if stored is None or stored.size != blob.sealed_size else stored.size
            if size is None:
                yield Kind.BYTES_MISSING, f"{blob.sealed_size} bytes"
            elif size != blob.sealed_size:
                yield Kind.BYTES_CUT, f"{size} instead of {blob.sealed_size} bytes"
        try:
            blob.envelope.data_key(self._keyring)
        except KeyRingError as error:
            yield Kind.KEY_MISSING, str(error)
        if not row.is_used:
            yield Kind.BLOB_UNUSED, "no revision and no preview refers to it"

    def _open(self, blob: SealedBlob, checksums: str) -> tuple[Kind, str] | None:
        """Open every segment, and compare the checksum that the client sent, if it did."""
        algorithm, _, expected = checksums.partition(":")
        digest = hashlib.new(_HASHES[algorithm], usedforsecurity=False) if algorithm in _HASHES else None
        size = 0
        try:
            for block in open_blob(blob, self._store, self._keyring, 0, blob.size):
                size += len(block)
                self._opened(len(block))
                if digest is not None:
                    digest.update(block)
        except BlobMissing:
            return Kind.BYTES_MISSING, f"{blob.sealed_size} bytes"
        except ContentDamaged:
            return Kind.BYTES_DAMAGED, f"after {size} of {blob.size} bytes"
        self._book.checked["bytes"] += size
        if digest is not None and digest.hexdigest() != expected:
            return Kind.BYTES_DAMAGED, "it opens, and is not what its client sent"
        return None

    def _look_for_strays(self, batch: list[StoredBlob]) -> None:
        found = {blob.key.rpartition("/")[2]: blob for blob in batch}
        with self._database.read() as connection:
            strays = found.keys() - _known(connection, list(found))
            # The row of a blob goes in the unit that writes the job which removes the bytes.
            strays -= _to_be_removed(connection) if strays else set()
        for blob_id in sorted(strays):
            if self._size(blob_id) is not None:
                self._stray_count += 1
                if len(self._strays) < MOST_REMOVED:
                    modified = int(found[blob_id].modified.timestamp() * SECOND)
                    self._strays.append((blob_id, found[blob_id].size, modified))

    def _size(self, blob_id: str) -> int | None:
        try:
            return self._store.size(blob_key(blob_id))
        except BlobMissing:
            return None

    def _is_there(self, blob_id: str) -> bool:
        """Whether the blob is still one: bytes go after their row."""
        with self._database.read() as connection:
            row = connection.execute(select(BlobRow.id).where(BlobRow.id == blob_id)).first()
        return row is not None


def _known(connection: Connection, blob_ids: list[str]) -> set[str]:
    """Those that an upload or a blob has. In this order: an upload that ends in between has a blob by then."""
    uploads = connection.execute(select(UploadRow.blob_id).where(UploadRow.blob_id.in_(blob_ids))).scalars().all()
    blobs = connection.execute(select(BlobRow.id).where(BlobRow.id.in_(blob_ids))).scalars().all()
    return {*uploads, *blobs}


def _to_be_removed(connection: Connection) -> set[str]:
    """Those that a job removes."""
    payloads = connection.execute(select(JobRow.payload).where(JobRow.kind == REMOVE_BLOBS)).scalars()
    return {blob_id for payload in payloads for blob_id in json.loads(payload).get("blob_ids", ())}


def _following(prefix: str) -> str:
    """What comes behind all ids with the prefix."""
    number = int(prefix or "ff", 16) + 1
    return f"{number:02x}" if number < len(PREFIXES) else "g"


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, _PAGE)):
        yield batch
