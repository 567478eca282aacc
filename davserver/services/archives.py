"""Archives: a collection as a ZIP that is made while it is sent, in the same memory whatever its size.

What is in the collection when the download begins goes in, each file as it is when its turn comes. What may not be given out,
or is gone by then, is left out, and a text file at the end of the archive says so.
"""

import logging
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from davserver.db.rows import TRASH_ID
from davserver.db.units import Database
from davserver.domain.clock import Micros
from davserver.domain.errors import ArchiveTooLarge, BadRequest, ContentDamaged, Forbidden, ScanPending
from davserver.domain.paths import ResourcePath, key_of
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource
from davserver.services.content import Content
from davserver.services.lookup import SUBTREE, resolve, resources_of

log = logging.getLogger(__name__)

MAX_ENTRIES: Final = 100_000
"""Files and collections of one archive: each costs some memory, for the directory at its end."""
NOTE: Final = "NOT IN THIS ARCHIVE.txt"
_PAGE: Final = 200
_PIECE: Final = 1 << 18
"""Bytes that are handed on at once, at least, but for the end."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
_UTF8: Final = 0x800

# ruff: noqa: S608 - constants only; values are bound
_BELOW: Final = text(
    f"{SUBTREE} SELECT r.id, r.parent_id, r.name, r.revision_id, r.modified_at FROM sub"
    " JOIN resource r ON r.owner_id = :owner AND r.id = sub.id WHERE sub.depth > 0 ORDER BY sub.depth, r.parent_id, r.name_key"
    " LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What goes into an archive."""

    names: tuple[str, ...]
    """The collection's own name first."""
    resource_id: int
    is_collection: bool
    modified_at: Micros


class Archives:
    """Use cases on collections as archives."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    def archive(self, principal: Principal, path: ResourcePath, *, top: str = "") -> Iterator[bytes]:
        """The ZIP of the collection at `path`; `top` is the folder that all lies in, its own name when empty.

        Nothing of the trash is in it. Raises `NotFound`, `BadRequest` (a file), `Forbidden` (the trash), `ArchiveTooLarge`
        before the first byte; later what goes wrong is raised by the iterator, so that the archive breaks off rather than end.
        """
        with self._database.read() as connection:
            chain = resolve(connection, principal, path)
            target = chain.must_exist()
            if not target.is_collection:
                raise BadRequest("That is a file; an archive is made of a folder.")
            if chain.is_in_trash:
                raise Forbidden("No archive is made of what is in the trash.")
            bound = {"owner": principal.owner_id, "root": target.id, "most": MAX_ENTRIES + 1}
            rows = connection.execute(_BELOW, bound).all()
        if len(rows) > MAX_ENTRIES:
            raise ArchiveTooLarge
        entries = list(_entries(target, rows, top or target.name or "Files"))
        return self._zipped(principal, entries)

    def _zipped(self, principal: Principal, entries: Sequence[_Entry]) -> Iterator[bytes]:
        sink = _Sink()
        left_out: list[str] = []
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for at in range(0, len(entries), _PAGE):
                batch = entries[at : at + _PAGE]
                with self._database.read() as connection:
                    ids = [entry.resource_id for entry in batch if not entry.is_collection]
                    found = resources_of(connection, principal.owner_id, ids)
                for entry in batch:
                    if entry.is_collection:
                        archive.writestr(_info(entry.names, entry.modified_at, is_collection=True), b"")
                        continue
                    content = self._opened(principal, found.get(entry.resource_id))
                    if isinstance(content, str):
                        left_out.append(f"{'/'.join(entry.names)}: {content}")
                        continue
                    size, blocks = content
                    info = _info(entry.names, entry.modified_at)
                    info.file_size = size  # so that ZIP64 is used for what needs it
                    with archive.open(info, "w") as file:
                        for block in blocks:
                            file.write(block)
                            if sink.size >= _PIECE:
                                yield sink.take()
                    if sink.size >= _PIECE:
                        yield sink.take()
            if left_out:
                note = _info((entries[0].names[0], _free_name(entries)), entries[0].modified_at)
                archive.writestr(note, _told(left_out))
        yield sink.take()

    def _opened(self, principal: Principal, resource: Resource | None) -> tuple[int, Iterator[bytes]] | str:
        """The size and the bytes of a file; or why it is left out."""
        if resource is None or resource.revision is None:
            return "it was removed meanwhile."
        try:
            size = resource.revision.size
            return size, self._content.read(principal, resource, 0, size)
        except (Forbidden, ScanPending, ContentDamaged) as error:
            return error.detail


class _Sink:
    """Where `zipfile` writes to: it cannot seek, and hands on what it has."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return taken


class _Info(zipfile.ZipInfo):
    """Names that are not ASCII are UTF-8 and said to be: newer Pythons would try an old code page first."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - Python's own name
        if self.filename.isascii():
            return self.filename.encode(), self.flag_bits
        return self.filename.encode(), self.flag_bits | _UTF8


def _entries(target: Resource, rows: Sequence[Any], top: str) -> Iterator[_Entry]:
    places: dict[int, tuple[str, ...]] = {target.id: (top,)}
    yield _Entry((top,), target.id, is_collection=True, modified_at=target.modified_at)
    for row in rows:
        names = (*places[row.parent_id], row.name)
        if row.revision_id is None:
            places[row.id] = names
        if row.id != TRASH_ID:
            yield _Entry(names, row.id, row.revision_id is None, row.modified_at)


def _info(names: Sequence[str], modified_at: Micros, *, is_collection: bool = False) -> zipfile.ZipInfo:
    at = (_EPOCH + timedelta(microseconds=modified_at)).timetuple()[:6]
    info = _Info("/".join(names) + "/" * is_collection, min(max(at, _FIRST), _LAST))
    info.create_system = 3  # Unix: what follows are its modes
    info.external_attr = ((0o40755 << 16) | 0x10) if is_collection else (0o100644 << 16)
    return info


def _free_name(entries: Sequence[_Entry]) -> str:
    taken = {key_of(entry.names[1]) for entry in entries if len(entry.names) > 1}
    name, number = NOTE, 2
    while name in taken:
        name = NOTE.replace(".txt", f" ({number}).txt")
        number += 1
    return name


def _told(left_out: Sequence[str]) -> str:
    lines = ["These files are not in this archive:", "", *left_out, ""]
    return "\r\n".join(lines)
