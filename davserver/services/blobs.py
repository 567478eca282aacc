"""Blobs: what a row says of sealed bytes, and the way from there to what they hold. For services only."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from davserver.crypto.envelope import Envelope
from davserver.crypto.keyring import KeyRing
from davserver.crypto.segments import open_range
from davserver.domain.errors import ContentDamaged, KeyRingError, KeyUnknown, UnknownKey
from davserver.stores.base import Store, blob_key

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SealedBlob:
    """A row of the blob table, without what it belongs to."""

    envelope: Envelope
    size: int
    """Bytes of content."""
    sealed_size: int
    header: bytes = field(repr=False)
    sealed: bytes | None = field(repr=False)
    """The sealed bytes when they are kept in the row; None when they lie in the store."""

    @property
    def id(self) -> str:
        """What names it, in the database and in the store."""
        return self.envelope.blob_id


def sealed_blob(row: Any) -> SealedBlob:
    """A frozen value of a row that has the columns of the blob table."""
    envelope = Envelope(row.id, row.key_id, row.wrapped_key, row.segment_size)
    return SealedBlob(envelope, row.size, row.sealed_size, row.header, row.sealed)


def open_blob(blob: SealedBlob, store: Store, keyring: KeyRing, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes [start, stop) of what the blob holds, only ever authenticated ones.

    Raises `BlobMissing`, `ContentDamaged`, `StoreUnavailable`, `KeyUnknown`.
    """
    kept = blob.sealed

    def read_sealed(first: int, last: int) -> Iterator[bytes]:
        return store.read(blob_key(blob.id), first, last) if kept is None else iter((kept[first:last],))

    return open_range(
        read_sealed,
        blob.sealed_size,
        start,
        stop,
        data_key=_data_key(blob, keyring),
        associated_data=blob.envelope.associated_data,
        layout=blob.envelope.layout,
        header=blob.header,
    )


def _data_key(blob: SealedBlob, keyring: KeyRing) -> bytes:
    try:
        return blob.envelope.data_key(keyring)
    except UnknownKey as error:
        log.error("%s: docs/keys.md", error)  # noqa: TRY400 - a trace would say no more
        raise KeyUnknown from error
    except KeyRingError as error:
        log.error("%s", error)  # noqa: TRY400 - the same
        raise ContentDamaged from error
