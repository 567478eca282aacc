"""Counting what is in a tree: a walk over all of it. For `davserver.services.statistics` and verify."""

# ruff: noqa: S608 - constants only; values are bound

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from davserver.db.rows import FIRST_FREE_ID, ROOT_ID, TRASH_ID
from davserver.domain.clock import SECOND, Micros
from davserver.services.lookup import FOLDERS, REVISION_JOIN

DAY: Final = 86_400 * SECOND

# The whole tree is read from end to end, with a look for each resource at whether its folder counts; the trash, folder by
# folder. The plus keeps SQLite from doing the first as the second.
_COUNT: Final = (
    f"{FOLDERS} SELECT v.content_type, count(*), coalesce(sum(v.size), 0) FROM resource r {REVISION_JOIN}"
    f" WHERE r.owner_id = :owner AND r.id >= {FIRST_FREE_ID} AND %s IN (SELECT id FROM folders) GROUP BY v.content_type"
)
_IN_ALL: Final = text(_COUNT % "+r.parent_id")
_IN_TRASH: Final = text(_COUNT % "r.parent_id")
_BY_DAY: Final = text(
    f"{FOLDERS} SELECT v.created_at / {DAY} AS day, count(*), sum(v.size) FROM resource r"
    " JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"
    " WHERE r.owner_id = :owner AND +r.parent_id IN (SELECT id FROM folders)"
    f" GROUP BY v.created_at / {DAY} ORDER BY day"
)


@dataclass(frozen=True, slots=True)
class Amount:
    """So many files, of so many bytes together."""

    files: int = 0
    size: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        """Both together."""
        return Amount(self.files + other.files, self.size + other.size)


@dataclass(frozen=True, slots=True)
class Figures:
    """What there was in a tree at one moment. What is in the trash is counted there only."""

    as_of: Micros
    total: Amount
    folders: int
    """Without the root and the trash."""
    by_type: dict[str, Amount]
    trash: Amount
    trash_folders: int

    @property
    def resources(self) -> int:
        """Files and folders, those in the trash too."""
        return self.total.files + self.folders + self.trash.files + self.trash_folders


def count(connection: Connection, owner_id: int, now: Micros) -> Figures:
    """Count a tree. Two queries, which look at all of it."""
    total, folders, by_type = _count(connection.execute(_IN_ALL, {"owner": owner_id, "root": ROOT_ID}))
    trash, trash_folders, _ = _count(connection.execute(_IN_TRASH, {"owner": owner_id, "root": TRASH_ID}))
    return Figures(now, total, folders, by_type, trash, trash_folders)


def written_by_day(connection: Connection, owner_id: int) -> Iterator[tuple[int, Amount]]:
    """Day since the epoch, UTC -> what was written on it and is still there, outside of the trash. One query."""
    for day, files, size in connection.execute(_BY_DAY, {"owner": owner_id, "root": ROOT_ID}):
        yield int(day), Amount(files, int(size))


def _count(rows: Any) -> tuple[Amount, int, dict[str, Amount]]:
    by_type = {content_type: Amount(files, int(size)) for content_type, files, size in rows}
    folders = by_type.pop(None, Amount()).files
    return sum(by_type.values(), Amount()), folders, by_type
