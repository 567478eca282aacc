"""The key ring in a file, and the ring of a running process that follows it.

The file is JSON, ``{"current": id, "keys": {id: base64}}``, mode 0600, and is replaced as a whole, never written to.
"""

import contextlib
import fcntl
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from davserver.crypto.keyring import KeyRing, Random, decode_key
from davserver.domain.errors import KeyRingError

_log = logging.getLogger(__name__)
_Mark = tuple[int, int, int]
"""Differs when the file was replaced: inode, time of the last change, size."""


class FollowingKeyRing(KeyRing):
    """The ring in a file, as it is at each moment: whoever replaces the file changes the ring of every process that runs.

    What the process has once known it goes on to open, also after the key was taken out of the file. While the file is
    missing or spoilt, the ring stays as it was, and the log says so.
    """

    def __init__(self, path: Path, *, random: Random = os.urandom) -> None:
        """Raises FileNotFoundError, KeyRingError."""
        self._path = path
        self._mark = _mark(path)
        current, keys = load(path, random=random).now()
        super().__init__(keys, current, random=random)
        self._past: dict[str, bytes] = {}

    def now(self) -> tuple[str, dict[str, bytes]]:
        """See `KeyRing.now`; read again when the file was replaced."""
        mark = _mark(self._path)
        if mark != self._mark:
            self._mark = mark
            try:
                found = load(self._path, random=self._random).now()
            except (FileNotFoundError, KeyRingError) as error:
                _log.error("the key ring stays as it was: %s", error)
            else:
                self._past = {**self._past, **self._ring[1]}
                self._ring = found
                _log.info("the key ring was read again: %s seals what is new", found[0])
        return self._ring

    def _find(self, key_id: str) -> bytes | None:
        return self.now()[1].get(key_id) or self._past.get(key_id)


def _mark(path: Path) -> _Mark | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """For whoever reads the file, changes the ring and saves it: one at a time."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def load_or_create(path: Path, *, random: Random = os.urandom) -> FollowingKeyRing:
    """The key ring in the JSON file `path`, made with one fresh key (mode 0600, durable) when there is none.

    Of several processes that start at once, one creates the file and all return its key. Raises KeyRingError.
    """
    with contextlib.suppress(FileNotFoundError):
        return FollowingKeyRing(path, random=random)
    with contextlib.suppress(FileExistsError):
        _write(path, KeyRing.generate(random=random), random, os.link)
    return FollowingKeyRing(path, random=random)


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
    return KeyRing({i: decode_key(i, str(key)) for i, key in encoded.items()}, current, random=random)


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
