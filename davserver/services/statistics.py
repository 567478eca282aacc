"""Statistics of a user's drive: how much of what, the largest files, and what was written when.

They are counted in two passes over the tree, and remembered with the tree's version: as long as nothing changes, asking again
costs one query. While a large drive keeps changing, they are counted once a minute and say of when they are.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, text

from davserver.db.rows import ROOT_ID, TRASH_ID, TreeRow
from davserver.db.statements import Statement
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.services.lookup import SUBTREE, places_of

DAY: Final = 86_400 * SECOND
TOP: Final = 10
SMALL: Final = 10_000
"""A drive of so many resources is counted whenever it has changed."""
MAX_AGE: Final = 60 * SECOND
"""A larger one that keeps changing is counted again after so long."""
_REMEMBERED: Final = 1_000

_VERSION: Final = Statement(select(TreeRow.version).where(TreeRow.owner_id == bindparam("owner")))
_COUNT: Final = text(
    f"{SUBTREE} SELECT v.content_type, v.created_at / {DAY}, count(*), coalesce(sum(v.size), 0) FROM sub"  # noqa: S608
    " JOIN resource r ON r.owner_id = :owner AND r.id = sub.id"
    " LEFT JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"
    f" WHERE sub.depth > 0 AND r.id <> {TRASH_ID} GROUP BY 1, 2"
)
_LARGEST: Final = text(
    f"{SUBTREE} SELECT r.id, v.size, v.content_type, r.modified_at FROM sub"  # noqa: S608 - constants only
    " JOIN resource r ON r.owner_id = :owner AND r.id = sub.id"
    " JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"
    f" ORDER BY v.size DESC, r.id LIMIT {TOP}"
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
class LargeFile:
    """One of the largest files."""

    path: ResourcePath
    size: int
    content_type: str
    modified_at: Micros


@dataclass(frozen=True, slots=True)
class Figures:
    """What there was in a drive at one moment. What is in the trash is counted there only."""

    as_of: Micros
    total: Amount
    folders: int
    """Without the root and the trash."""
    by_type: dict[str, Amount]
    by_day: dict[int, Amount]
    """Day since the epoch, UTC, that the content was written on -> what is still there of it."""
    trash: Amount
    trash_folders: int
    largest: tuple[LargeFile, ...]


class Statistics:
    """Use cases on figures about a user's drive."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._mutex = threading.Lock()
        self._known: OrderedDict[int, tuple[int, Figures]] = OrderedDict()

    def of(self, principal: Principal) -> Figures:
        """The figures of the principal's drive: of now, or, of one with more than `SMALL` resources, of the last minute."""
        owner_id = principal.owner_id
        known = self._known.get(owner_id)
        with self._database.read() as connection:
            # Before the count: what changes meanwhile is counted with the next version.
            version = _VERSION.one(connection, {"owner": owner_id})[0]
            if known is not None and self._is_good(known, version):
                return known[1]
            figures = _figures(connection, owner_id, self._clock())
        with self._mutex:
            self._known[owner_id] = (version, figures)
            self._known.move_to_end(owner_id)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return figures

    def _is_good(self, known: tuple[int, Figures], version: int) -> bool:
        figures = known[1]
        resources = figures.total.files + figures.folders + figures.trash.files + figures.trash_folders
        return known[0] == version or (resources > SMALL and self._clock() < figures.as_of + MAX_AGE)


def _figures(connection: Connection, owner_id: int, now: Micros) -> Figures:
    total, folders, by_type, by_day = _count(connection, owner_id, ROOT_ID)
    trash, trash_folders, _, _ = _count(connection, owner_id, TRASH_ID)
    rows = connection.execute(_LARGEST, {"owner": owner_id, "root": ROOT_ID}).all()
    places = places_of(connection, owner_id, [row.id for row in rows]) if rows else {}
    largest = tuple(
        LargeFile(places[row.id], row.size, row.content_type, row.modified_at) for row in rows if row.id in places
    )
    return Figures(now, total, folders, by_type, by_day, trash, trash_folders, largest)


def _count(
    connection: Connection, owner_id: int, root: int
) -> tuple[Amount, int, dict[str, Amount], dict[int, Amount]]:
    """Files, collections, files by type and files by day of all that is below a collection. One query."""
    total, folders = Amount(), 0
    by_type: dict[str, Amount] = {}
    by_day: dict[int, Amount] = {}
    rows: Any = connection.execute(_COUNT, {"owner": owner_id, "root": root})
    for content_type, day, count, size in rows:
        if content_type is None:
            folders += count
            continue
        amount = Amount(count, int(size))
        total += amount
        by_type[content_type] = by_type.get(content_type, Amount()) + amount
        by_day[int(day)] = by_day.get(int(day), Amount()) + amount
    return total, folders, by_type, by_day
