"""From a path to rows: how the services find resources. For services only."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from davserver.db.rows import ROOT_ID, TRASH_ID
from davserver.db.statements import Statement
from davserver.domain.errors import NotFound
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource, Revision
from davserver.domain.verdict import Verdict

COLUMNS: Final = (
    "r.owner_id, r.id, r.parent_id, r.name, r.created_at, r.modified_at,"
    " v.id, v.blob_id, v.size, v.etag, v.content_type, v.checksums, v.created_at, v.verdict"
)
"""What `resource_of` reads, in order."""
_VERDICTS: Final = {verdict.value: verdict for verdict in Verdict}
REVISION_JOIN: Final = "LEFT JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"


def resource_of(row: Sequence[Any]) -> Resource:
    """A frozen value of the first columns of `row`, which are `COLUMNS`."""
    revision = None
    if row[6] is not None:
        revision = Revision(row[6], row[7], row[8], row[9], row[10], row[11], row[12], _VERDICTS[row[13]])
    return Resource(row[0], row[1], row[2], row[3], row[4], row[5], revision)


@dataclass(frozen=True, slots=True)
class Chain:
    """What exists of a path: the resources from the root of the tree down, as far as they go."""

    path: ResourcePath
    found: tuple[Resource, ...]

    @property
    def target(self) -> Resource | None:
        """The resource at the path, if there is one."""
        return self.found[-1] if len(self.found) == len(self.path.names) + 1 else None

    @property
    def parent(self) -> Resource | None:
        """The collection that the path's resource is, or would be, a member of. None for the root, and when missing."""
        depth = len(self.path.names)
        if depth == 0 or len(self.found) < depth or not self.found[depth - 1].is_collection:
            return None
        return self.found[depth - 1]

    @property
    def is_in_trash(self) -> bool:
        """Whether the path leads to the trash or into it."""
        return len(self.found) > 1 and self.found[1].id == TRASH_ID

    @property
    def is_trash(self) -> bool:
        """Whether the path is the trash itself."""
        return self.is_in_trash and len(self.path.names) == 1

    def must_exist(self) -> Resource:
        """The resource at the path; raises `NotFound`."""
        if self.target is None:
            raise NotFound
        return self.target


_MEMBER: Final = "m.owner_id = :owner AND m.parent_id = w.id AND m.name_key = {}"
_ITSELF: Final = "r.owner_id = :owner AND r.id = w.id"


def _each(dialect: str, alias: str, condition: str) -> str:
    """A join with the resource that meets the condition, looked up by itself for each row so far.

    Before PostgreSQL has looked at a table that grows, it takes an owner for one of few rows, and would read all of them for each
    step: 2.7 ms instead of 0.1 with 2,600 resources. What has an OFFSET is not joined in any other way.
    """
    if dialect != "postgresql":
        return f"JOIN resource {alias} ON {condition}"
    return f"CROSS JOIN LATERAL (SELECT * FROM resource {alias} WHERE {condition} OFFSET 0) {alias}"


@cache
def _walk_statement(dialect: str) -> Statement:
    # One recursive query whatever the depth; the names come as one JSON array, which both databases read.
    name = (
        "CAST(:keys AS jsonb) ->> w.depth" if dialect == "postgresql" else "json_extract(:keys, '$[' || w.depth || ']')"
    )
    sql = (
        f"WITH RECURSIVE w(depth, id) AS (SELECT 0, CAST({ROOT_ID} AS bigint) UNION ALL"
        f" SELECT w.depth + 1, m.id FROM w {_each(dialect, 'm', _MEMBER.format(name))})"
        f" SELECT {COLUMNS} FROM w {_each(dialect, 'r', _ITSELF)} {REVISION_JOIN} ORDER BY w.depth"
    )
    return Statement(text(sql))


def resolve(connection: Connection, whose: Principal | int, path: ResourcePath) -> Chain:
    """Find as much of `path` as exists, in one query: as somebody, or, by the id of the owner, as the server itself.

    Raises `OutsidePrefix` for what their token does not open, whether it exists or not.
    """
    if isinstance(whose, Principal):
        whose.check_reach(path)
        owner_id = whose.owner_id
    else:
        owner_id = whose
    names = json.dumps(path.keys, ensure_ascii=False)
    rows = _walk_statement(connection.dialect.name).rows(connection, {"owner": owner_id, "keys": names})
    return Chain(path, tuple(map(resource_of, rows)))


@cache
def _walks_statement(dialect: str) -> Statement:
    # The same for many paths at once, each numbered.
    if dialect == "postgresql":
        numbers = (
            "SELECT n, 0, CAST(1 AS bigint) FROM generate_series(0, jsonb_array_length(CAST(:keys AS jsonb)) - 1) n"
        )
        name = "CAST(:keys AS jsonb) -> w.n ->> w.depth"
    else:
        numbers = "SELECT key, 0, 1 FROM json_each(:keys)"
        name = "json_extract(:keys, '$[' || w.n || '][' || w.depth || ']')"
    sql = (
        f"WITH RECURSIVE w(n, depth, id) AS ({numbers} UNION ALL"
        f" SELECT w.n, w.depth + 1, m.id FROM w {_each(dialect, 'm', _MEMBER.format(name))})"
        f" SELECT {COLUMNS}, w.n FROM w {_each(dialect, 'r', _ITSELF)} {REVISION_JOIN}"
        " ORDER BY w.n, w.depth"
    )
    return Statement(text(sql))


def ask_for_all(connection: Connection, owner_id: int, paths: Sequence[ResourcePath]) -> Callable[[], list[Chain]]:
    """Ask for as much as exists of each path, in one query, as the server itself. Call what is returned to wait for them."""
    keys = json.dumps([path.keys for path in paths], ensure_ascii=False)
    asked = _walks_statement(connection.dialect.name).ask(connection, {"owner": owner_id, "keys": keys})

    def chains() -> list[Chain]:
        seen: dict[int, Resource] = {}  # most paths have their beginning in common
        found: list[list[Resource]] = [[] for _ in paths]
        for row in asked.rows():
            resource = seen.get(row[1])
            if resource is None:
                resource = seen[row[1]] = resource_of(row)
            found[row[-1]].append(resource)
        return [Chain(path, tuple(resources)) for path, resources in zip(paths, found, strict=True)]

    return chains


_MEMBERS = Statement(
    text(
        f"SELECT {COLUMNS} FROM resource r {REVISION_JOIN}"
        " WHERE r.owner_id = :owner AND r.parent_id = :parent ORDER BY r.name_key"
    )
)

SUBTREE: Final = (
    "WITH RECURSIVE sub(id, depth) AS (SELECT CAST(:root AS bigint), 0 UNION ALL"
    " SELECT m.id, sub.depth + 1 FROM sub JOIN resource m ON m.owner_id = :owner AND m.parent_id = sub.id"
    f" WHERE m.id <> {TRASH_ID})"
)
"""The resource `:root` and all below it; the trash is not below the root."""

FOLDERS: Final = (
    "WITH RECURSIVE folders(id) AS (SELECT CAST(:root AS bigint) UNION ALL"
    " SELECT m.id FROM folders f JOIN resource m ON m.owner_id = :owner AND m.parent_id = f.id"
    f" WHERE m.revision_id IS NULL AND m.id <> {TRASH_ID})"
)
"""The collection `:root` and all collections below it, through an index over collections; the trash is not below the root."""

_DESCENDANTS = text(
    f"{SUBTREE} SELECT {COLUMNS} FROM sub JOIN resource r ON r.owner_id = :owner AND r.id = sub.id"
    f" {REVISION_JOIN} WHERE sub.depth > 0 ORDER BY sub.depth, r.parent_id, r.name_key"
)


def members_of(connection: Connection, collection: Resource) -> Iterable[Resource]:
    """The members of a collection, in the order of their names."""
    return map(resource_of, _MEMBERS.rows(connection, {"owner": collection.owner_id, "parent": collection.id}))


def descendants_of(connection: Connection, collection: Resource) -> Iterable[Resource]:
    """All below a collection, nearer ones first, so that a parent always comes before its members."""
    return map(resource_of, connection.execute(_DESCENDANTS, {"owner": collection.owner_id, "root": collection.id}))


# The plus keeps SQLite from the index of revisions, through which it would look at all files of the owner. An order and a
# limit instead of EXISTS keep PostgreSQL from looking at them all, too.
_HEIGHT = text(
    "WITH RECURSIVE sub(id, depth) AS (SELECT CAST(:root AS bigint), 0 UNION ALL"
    " SELECT m.id, sub.depth + 1 FROM sub JOIN resource m ON m.owner_id = :owner AND m.parent_id = sub.id"
    f" WHERE +m.revision_id IS NULL AND m.id <> {TRASH_ID})"
    " SELECT max(sub.depth + coalesce((SELECT 1 FROM resource f WHERE f.owner_id = :owner AND f.parent_id = sub.id"
    " AND +f.revision_id IS NOT NULL ORDER BY f.parent_id, f.name_key LIMIT 1), 0)) FROM sub"
)


def height_of(connection: Connection, owner_id: int, resource_id: int) -> int:
    """How many levels there are below a resource: 0 for a file or an empty collection."""
    return int(connection.execute(_HEIGHT, {"owner": owner_id, "root": resource_id}).scalar_one())


_PLACES: Final = text(
    "WITH RECURSIVE up(start, id, parent_id, name, depth) AS ("
    " SELECT r.id, r.id, r.parent_id, r.name, 0 FROM resource r WHERE r.owner_id = :owner AND r.id IN :ids UNION ALL"
    " SELECT up.start, p.id, p.parent_id, p.name, up.depth + 1 FROM up"
    " JOIN resource p ON p.owner_id = :owner AND p.id = up.parent_id)"
    " SELECT start, id, name FROM up ORDER BY start, depth DESC"
).bindparams(bindparam("ids", expanding=True))


def places_of(connection: Connection, owner_id: int, ids: Collection[int]) -> dict[int, ResourcePath]:
    """By id, where resources are; what is in the trash or out of sight is nowhere. One query."""
    ways: dict[int, list[tuple[int, str]]] = {}
    for start, resource_id, name in connection.execute(_PLACES, {"owner": owner_id, "ids": list(ids)}):
        ways.setdefault(start, []).append((resource_id, name))
    return {
        start: ResourcePath(tuple(name for _, name in way[1:]))
        for start, way in ways.items()
        if way[0][0] == ROOT_ID and all(resource_id != TRASH_ID for resource_id, _ in way)
    }


_BY_IDS: Final = text(
    f"SELECT {COLUMNS} FROM resource r {REVISION_JOIN} WHERE r.owner_id = :owner AND r.id IN :ids"
).bindparams(bindparam("ids", expanding=True))


def resources_of(connection: Connection, owner_id: int, ids: Collection[int]) -> dict[int, Resource]:
    """By id, resources wherever they are. One query."""
    rows = connection.execute(_BY_IDS, {"owner": owner_id, "ids": list(ids)})
    return {row[1]: resource_of(row) for row in rows}


_UP = text(
    "WITH RECURSIVE up(depth, name, above) AS ("
    " SELECT 0, r.name, r.parent_id FROM (SELECT name, parent_id FROM resource"
    " WHERE owner_id = :owner AND revision_id = :revision ORDER BY id LIMIT 1) r UNION ALL"
    " SELECT up.depth + 1, p.name, p.parent_id FROM up JOIN resource p ON p.owner_id = :owner AND p.id = up.above"
    " WHERE p.parent_id IS NOT NULL) SELECT name FROM up ORDER BY depth DESC"
)


def path_of_revision(connection: Connection, owner_id: int, revision_id: int) -> ResourcePath | None:
    """Where a file of this revision is, the oldest of its copies; None when there is none any more."""
    names = connection.execute(_UP, {"owner": owner_id, "revision": revision_id}).scalars().all()
    return ResourcePath(tuple(names)) if names else None
