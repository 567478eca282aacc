"""The format of a backup; docs/backup.md describes it. Rows as compressed JSON lines, blobs under their ids, checksums of all.

For services only.
"""

import base64
import fcntl
import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from davserver.domain.errors import ConfigError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
BLOBS: Final = "blobs"
SETS: Final = "sets"
DRAFT: Final = ".partial"
_LOCK: Final = "lock"
_NAME: Final = "%Y%m%dT%H%M%S.%fZ"
LEFT_OUT: Final = frozenset({"hold", "key_holder"})
"""Tables of what runs at the moment: it does not run where a set is restored."""
_LINE_LIMIT: Final = 64 * 1024**2


class Lines(Protocol):
    """Takes values, one a line."""

    def add(self, value: Any) -> None:
        """Write a line."""


class _Writer:
    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file

    def add(self, value: Any) -> None:
        self._file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode() + b"\n")


def _plain(value: object) -> object:
    """Bytes are an object with one key, as no column holds an object."""
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"a backup cannot hold a {type(value).__name__}")


@contextmanager
def writing(path: Path) -> Iterator[Lines]:
    """A file of lines."""
    with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as file:
        yield _Writer(file)


def lines(path: Path) -> Iterator[Any]:
    """The values in a file of lines."""
    with gzip.open(path, "rb") as file:
        while line := file.readline(_LINE_LIMIT):
            yield json.loads(line, object_hook=_bytes)


def _bytes(found: dict[str, Any]) -> Any:
    return base64.b64decode(found["base64"]) if found.keys() == {"base64"} else found


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sets_of(folder: Path) -> Sequence[Path]:
    """The sets that are whole, the oldest first."""
    found = (folder / SETS).glob(f"*/{MANIFEST}")
    return sorted(path.parent for path in found if not path.parent.name.endswith(DRAFT))


def name_of(moment: datetime) -> str:
    """The name of the set that shows that moment (aware, UTC)."""
    return f"{moment:{_NAME}}"


def moment_of(folder: Path) -> datetime:
    """The moment that a set shows. Raises `ConfigError` for a folder that is named otherwise."""
    try:
        return datetime.strptime(folder.name, _NAME).replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"{folder} is not named as a set is: move it elsewhere.") from None


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """While this is entered nobody else makes or removes sets in the folder. Raises `ConfigError` when somebody does."""
    with (target / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"Another davserver backup is at work in {target}.") from None
        yield


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a set says of itself. Raises `ConfigError` for one that is none, or of a later format."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        found = int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{folder / MANIFEST} is not the manifest of a backup.") from None
    if found != FORMAT:
        raise ConfigError(f"{folder} has format {found}; this release reads format {FORMAT}: use a newer davserver.")
    return manifest
