"""The keys that wrap data keys: several 256-bit keys by id, one of them current.

A data key is wrapped with AES-256-GCM under the current key. The associated data names the wrapping key and the blob, so
that a wrapped key moved to another blob's row, or relabelled, does not unwrap. Layout: docs/sealed-content.md.
"""

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from davserver.domain.errors import KeyRingError, UnknownKey

Random = Callable[[int], bytes]
"""n -> n unpredictable bytes."""

KEY_SIZE = 32
NONCE_SIZE = 12
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONTEXT = b"davserver data key 1"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key under a key of the ring: 12 bytes nonce, 32 bytes ciphertext, 16 bytes tag."""

    key_id: str
    sealed: bytes = field(repr=False)


class KeyRing:
    """Wraps with its current key and unwraps with whichever key is named. Neither repr nor errors show a key."""

    def __init__(self, keys: Mapping[str, bytes], current: str, *, random: Random = os.urandom) -> None:
        """`keys`: id -> 32 bytes. Raises KeyRingError for an unusable id or key, or when `current` is not among them."""
        for key_id, key in keys.items():
            _check_id(key_id)
            if len(key) != KEY_SIZE:
                raise KeyRingError(f"the key {key_id!r} has {len(key)} bytes instead of {KEY_SIZE}")
        if current not in keys:
            raise KeyRingError("the key ring has no current key")
        self._ring = (current, dict(keys))
        self._random = random

    @classmethod
    def parse(cls, text: str, *, random: Random = os.urandom) -> "KeyRing":
        """Read "id:base64key,id2:base64key"; the first key is the current one. Raises KeyRingError."""
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            key_id, colon, encoded = entry.partition(":")
            if not colon:
                raise KeyRingError("a key of the key ring is not of the form id:base64")
            _check_id(key_id)
            if key_id in keys:
                raise KeyRingError(f"the key id {key_id!r} is there twice")
            keys[key_id] = decode_key(key_id, encoded)
        return cls(keys, next(iter(keys), ""), random=random)

    @classmethod
    def generate(cls, *, random: Random = os.urandom) -> "KeyRing":
        """A ring with one fresh key under a random id."""
        key_id = "k" + random(4).hex()
        return cls({key_id: random(KEY_SIZE)}, key_id, random=random)

    @property
    def current(self) -> str:
        """The id of the key that seals what is new."""
        return self.now()[0]

    @property
    def key_ids(self) -> tuple[str, ...]:
        """All ids, the current one first."""
        current, keys = self.now()
        return (current, *(key_id for key_id in keys if key_id != current))

    def now(self) -> tuple[str, dict[str, bytes]]:
        """The current id, and all keys."""
        return self._ring

    def _find(self, key_id: str) -> bytes | None:
        return self.now()[1].get(key_id)

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current!r}, key_ids={self.key_ids!r})"

    def with_new_key(self) -> "KeyRing":
        """A ring with the same keys and a fresh one, which is current: data keys wrapped earlier still unwrap."""
        ring = self.with_spare_key()
        return ring.with_current(ring.key_ids[-1])

    def with_spare_key(self) -> "KeyRing":
        """A ring with the same keys and, as the last one, a fresh one that seals nothing yet."""
        current, keys = self.now()
        key_id = "k" + self._random(4).hex()
        if key_id in keys:
            raise KeyRingError(f"the key id {key_id!r} is taken")
        return KeyRing({**keys, key_id: self._random(KEY_SIZE)}, current, random=self._random)

    def with_keys_of(self, other: "KeyRing") -> "KeyRing":
        """A ring that has the keys of both. Raises KeyRingError when they mean different keys by one id."""
        (current, keys), more = self.now(), other.now()[1]
        for key_id in keys.keys() & more.keys():
            if keys[key_id] != more[key_id]:
                raise KeyRingError(f"the key {key_id!r} is another key in the two key rings")
        return KeyRing({**keys, **more}, current, random=self._random)

    def with_current(self, key_id: str) -> "KeyRing":
        """A ring with the same keys, of which that one is current. Raises KeyRingError when it is not among them."""
        keys = self.now()[1]
        if key_id not in keys:
            raise KeyRingError(f"the key ring has no key {key_id!r}")
        return KeyRing(keys, key_id, random=self._random)

    def without(self, key_id: str) -> "KeyRing":
        """A ring without that key. Raises KeyRingError when it is the current one, or not there."""
        return self._split(key_id)[0]

    def only(self, key_id: str) -> "KeyRing":
        """A ring of that key alone. Raises KeyRingError when it is the current one, or not there."""
        return self._split(key_id)[1]

    def _split(self, key_id: str) -> tuple["KeyRing", "KeyRing"]:
        current, keys = self.now()
        if key_id not in keys or key_id == current:
            raise KeyRingError(f"the key ring has no key {key_id!r} besides its current one")
        rest = {each: key for each, key in keys.items() if each != key_id}
        return KeyRing(rest, current, random=self._random), KeyRing({key_id: keys[key_id]}, key_id)

    def reveal(self) -> str:
        """The text form that `parse` reads, with every key in clear: for a secret store, never for a log."""
        current, keys = self.now()
        ordered = (current, *(key_id for key_id in keys if key_id != current))
        return ",".join(f"{i}:{base64.b64encode(keys[i]).decode()}" for i in ordered)

    def wrap(self, data_key: bytes, blob_id: str, *, key_id: str | None = None) -> WrappedKey:
        """Wrap a 32-byte data key for that blob under the current key, or under the one named."""
        current, keys = self.now()
        wrapping = current if key_id is None else key_id
        if wrapping not in keys:
            raise UnknownKey(f"the key ring has no key {wrapping!r}")
        nonce = self._random(NONCE_SIZE)
        sealed = AESGCM(keys[wrapping]).encrypt(nonce, data_key, _binding(wrapping, blob_id))
        return WrappedKey(wrapping, nonce + sealed)

    def unwrap(self, wrapped: WrappedKey, blob_id: str) -> bytes:
        """The data key. Raises UnknownKey when the ring lacks the key, KeyRingError when the wrapping is not this blob's."""
        key = self._find(wrapped.key_id)
        if key is None:
            raise UnknownKey(f"blob {blob_id} is sealed under the key {wrapped.key_id!r}, which the key ring lacks")
        nonce, sealed = wrapped.sealed[:NONCE_SIZE], wrapped.sealed[NONCE_SIZE:]
        try:
            return AESGCM(key).decrypt(nonce, sealed, _binding(wrapped.key_id, blob_id))
        except (InvalidTag, ValueError):
            raise KeyRingError(
                f"the data key of blob {blob_id} does not unwrap: {wrapped.key_id!r} is another key, or it was altered"
            ) from None


def _binding(key_id: str, blob_id: str) -> bytes:
    """The associated data of a wrapped key. No id holds a NUL, so the parts cannot be shifted."""
    return b"\0".join((_CONTEXT, key_id.encode("ascii"), blob_id.encode("ascii")))


def _check_id(key_id: str) -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise KeyRingError("a key id has 1 to 64 letters, digits, dots, dashes or underscores")


def decode_key(key_id: str, encoded: str) -> bytes:
    """A key in standard or URL-safe base64. The text never gets into the error."""
    try:
        key = base64.b64decode(encoded.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise KeyRingError(f"the key {key_id!r} is not valid base64") from None
    if len(key) != KEY_SIZE:
        raise KeyRingError(f"the key {key_id!r} has {len(key)} bytes instead of {KEY_SIZE}")
    return key
