"""What must be remembered to open a blob: its id, its wrapped data key and its segment size.

The envelope lies in the blob's database row; the stored object is a pure Tink stream whose associated data is the blob id.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from davserver.crypto.keyring import KEY_SIZE, KeyRing, WrappedKey
from davserver.crypto.segments import DEFAULT_SEGMENT_SIZE, SegmentLayout


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything but the key ring that opening needs. Equal envelopes open the same blob."""

    blob_id: str
    """ASCII; lower-case hexadecimal by convention of the stores."""
    key_id: str
    wrapped_key: bytes = field(repr=False)
    segment_size: int = DEFAULT_SEGMENT_SIZE

    @property
    def layout(self) -> SegmentLayout:
        """The size arithmetic of this blob."""
        return SegmentLayout(self.segment_size)

    @property
    def associated_data(self) -> bytes:
        """What the stream is bound to."""
        return self.blob_id.encode("ascii")

    def data_key(self, keyring: KeyRing) -> bytes:
        """Unwrap the data key. Raises KeyRingError when the ring lacks the key or the row was altered."""
        return keyring.unwrap(WrappedKey(self.key_id, self.wrapped_key), self.blob_id)

    def rewrapped(self, keyring: KeyRing, key_id: str | None = None) -> "Envelope":
        """The same data key under the ring's current key, or the one named: the sealed bytes stay as they are."""
        wrapped = keyring.wrap(self.data_key(keyring), self.blob_id, key_id=key_id)
        return Envelope(self.blob_id, wrapped.key_id, wrapped.sealed, self.segment_size)


def new_envelope(
    keyring: KeyRing,
    blob_id: str,
    segment_size: int = DEFAULT_SEGMENT_SIZE,
    random: Callable[[int], bytes] = os.urandom,
) -> tuple[Envelope, bytes]:
    """A fresh data key (32 bytes) for one blob, and the envelope that keeps it."""
    data_key = random(KEY_SIZE)
    wrapped = keyring.wrap(data_key, blob_id)
    return Envelope(blob_id, wrapped.key_id, wrapped.sealed, segment_size), data_key
