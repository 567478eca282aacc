"""What the trash knows of its members. For services only."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from davserver.db.rows import TRASH_ID, TrashEntryRow
from davserver.domain.paths import ResourcePath
from davserver.domain.resource import Resource
from davserver.domain.trash import Discarded

_ENTRY: Final = TrashEntryRow.__table__.c


def discarded_roots(connection: Connection, target: Resource) -> dict[int, Discarded]:
    """By the id of the resource: of all members when `target` is the trash, else of itself, if it is one. One query."""
    query = select(TrashEntryRow.__table__).where(_ENTRY.owner_id == target.owner_id)
    if target.id != TRASH_ID:
        query = query.where(_ENTRY.resource_id == target.id)
    return {row.resource_id: discarded_of(row) for row in connection.execute(query)}


def discarded_of(row: Row[tuple[Any, ...]]) -> Discarded:
    """A frozen value of a row of the table."""
    origin = ResourcePath.parse(row.origin, max_depth=1 << 30)
    return Discarded(origin, row.discarded_at, row.purge_at, row.replaced_id is not None)


def newest_first(resources: Sequence[Resource], discarded: Mapping[int, Discarded]) -> list[Resource]:
    """A listing of the trash with what was discarded last at the top; what lies deeper comes after, as it was."""

    def place(resource: Resource) -> tuple[int, int, int]:
        if resource.id == TRASH_ID:
            return 0, 0, 0
        entry = discarded.get(resource.id)
        # Of what was discarded in one unit, what was made last comes first.
        return (2, 0, 0) if entry is None else (1, -entry.discarded_at, -resource.id)

    return sorted(resources, key=place)
