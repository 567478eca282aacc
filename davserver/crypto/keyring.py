"""The keys that wrap data keys: several 256-bit keys by id, one of them current.

A data key is wrapped with AES-256-GCM under the current key. The associated data names the wrapping key and the blob, so
that a wrapped key moved to another blob's row, or relabelled, does not unwrap. Layout: docs/sealed-content.md.
"""

import base64
import binascii
import contextlib
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from davserver.domain.errors import KeyRingError

Random = Callable[[int], bytes]
"""n -> n unpredictable bytes."""

KEY_SIZE = 32
NONCE_SIZE = 12
_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONTEXT = b"davserver data key 1"
_log = logging.getLogger(__name__)


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
        self.current = current
        self._keys = dict(keys)
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
            keys[key_id] = _decode(key_id, encoded)
        return cls(keys, next(iter(keys), ""), random=random)

    @classmethod
    def generate(cls, *, random: Random = os.urandom) -> "KeyRing":
        """A ring with one fresh key under a random id."""
        key_id = "k" + random(4).hex()
        return cls({key_id: random(KEY_SIZE)}, key_id, random=random)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """All ids, the current one first."""
        return (self.current, *(key_id for key_id in self._keys if key_id != self.current))

    def __repr__(self) -> str:
        return f"KeyRing(current={self.current!r}, key_ids={self.key_ids!r})"

    def with_new_key(self) -> "KeyRing":
        """A ring with the same keys and a fresh one, which is current: data keys wrapped earlier still unwrap."""
        key_id = "k" + self._random(4).hex()
        if key_id in self._keys:
            raise KeyRingError(f"the key id {key_id!r} is taken")
        return KeyRing({**self._keys, key_id: self._random(KEY_SIZE)}, key_id, random=self._random)

    def reveal(self) -> str:
        """The text form that `parse` reads, with every key in clear: for a secret store, never for a log."""
        return ",".join(f"{i}:{base64.b64encode(self._keys[i]).decode()}" for i in self.key_ids)

    def wrap(self, data_key: bytes, blob_id: str) -> WrappedKey:
        """Wrap a 32-byte data key for that blob under the current key."""
        nonce = self._random(NONCE_SIZE)
        aead = AESGCM(self._keys[self.current])
        return WrappedKey(self.current, nonce + aead.encrypt(nonce, data_key, _binding(self.current, blob_id)))

    def unwrap(self, wrapped: WrappedKey, blob_id: str) -> bytes:
        """The data key. Raises KeyRingError when the ring lacks the key, or the wrapping is not this blob's."""
        key = self._keys.get(wrapped.key_id)
        if key is None:
            raise KeyRingError(f"blob {blob_id} is sealed under the key {wrapped.key_id!r}, which the key ring lacks")
        nonce, sealed = wrapped.sealed[:NONCE_SIZE], wrapped.sealed[NONCE_SIZE:]
        try:
            return AESGCM(key).decrypt(nonce, sealed, _binding(wrapped.key_id, blob_id))
        except (InvalidTag, ValueError):
            raise KeyRingError(
                f"the data key of blob {blob_id} does not unwrap: {wrapped.key_id!r} is another key, or it was altered"
            ) from None


def load_or_create(path: Path, *, random: Random = os.urandom) -> KeyRing:
    """The key ring in the JSON file `path`, made with one fresh key (mode 0600, durable) when there is none.

    Of several processes that start at once, one creates the file and all return its key. Raises KeyRingError.
    """
    with contextlib.suppress(FileNotFoundError):
        return load(path, random=random)
    with contextlib.suppress(FileExistsError):
        _write(path, KeyRing.generate(random=random), random, os.link)
    return load(path, random=random)


def load(path: Path, *, random: Random = os.urandom) -> KeyRing:
    """Read the key ring in `path`. Raises FileNotFoundError, or KeyRingError when it cannot be read or used."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            _log.warning("the key file %s can be read by other users: chmod 600 it", path)
        text = path.read_text("ascii")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRingError(f"the key file {path} cannot be read: {type(error).__name__}") from None
    try:
        content = json.loads(text)
        encoded, current = dict(content["keys"]), str(content["current"])
    except (ValueError, KeyError, TypeError):
        raise KeyRingError(f"the key file {path} is not a key ring") from None
    return KeyRing({i: _decode(i, str(key)) for i, key in encoded.items()}, current, random=random)


def save(path: Path, ring: KeyRing, *, random: Random = os.urandom) -> None:
    """Replace the key file atomically and durably, for instance by a ring `with_new_key`. Raises KeyRingError."""
    _write(path, ring, random, os.replace)


def _write(path: Path, ring: KeyRing, random: Random, publish: Callable[[Path, Path], None]) -> None:
    """Write beside `path`, fsync, and `publish`: os.link refuses to replace (FileExistsError), os.replace does it."""
    keys = dict(entry.split(":", 1) for entry in ring.reveal().split(","))
    content = json.dumps({"current": ring.current, "keys": keys}, indent=2) + "\n"
    draft = path.with_name(f".{path.name}.{random(8).hex()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(draft, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        raise
    except OSError as error:
        raise KeyRingError(f"the key file {path} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _binding(key_id: str, blob_id: str) -> bytes:
    """The associated data of a wrapped key. No id holds a NUL, so the parts cannot be shifted."""
    return b"\0".join((_CONTEXT, key_id.encode("ascii"), blob_id.encode("ascii")))


def _check_id(key_id: str) -> None:
    if not _KEY_ID.fullmatch(key_id):
        raise KeyRingError("a key id has 1 to 64 letters, digits, dots, dashes or underscores")


def _decode(key_id: str, encoded: str) -> bytes:
    """Standard or URL-safe base64. The text never gets into the error."""
    try:
        key = base64.b64decode(encoded.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise KeyRingError(f"the key {key_id!r} is not valid base64") from None
    if len(key) != KEY_SIZE:
        raise KeyRingError(f"the key {key_id!r} has {len(key)} bytes instead of {KEY_SIZE}")
    return key
