"""COPY of a subtree: a handful of statements whatever its size, and no content is moved. For services only."""

from typing import Any, Final

from sqlalchemy import text

from davserver.db.rows import TRASH_ID
from davserver.domain.paths import key_of
from davserver.domain.resource import Resource
from davserver.services.changes import Change

_SUBTREE: Final = (
    "WITH RECURSIVE sub(id, above) AS (SELECT CAST(:root AS bigint), CAST(NULL AS bigint) UNION ALL"
    " SELECT m.id, sub.id FROM sub JOIN resource m ON m.owner_id = :owner AND m.parent_id = sub.id"
    f" WHERE :deep = 1 AND m.id <> {TRASH_ID})"
)
_MAPPED: Final = f"{_SUBTREE}, map AS (SELECT id, :first + row_number() OVER (ORDER BY id) - 1 AS new_id FROM sub)"

_COUNT = text(
    f"{_SUBTREE} SELECT count(*), coalesce(sum(v.size), 0) FROM sub"
    " JOIN resource r ON r.owner_id = :owner AND r.id = sub.id"
    " LEFT JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"
)
# The new id of a parent is known by its place among all ids, without a join of the map with itself, which nothing indexes: each
# resource stands there twice, as itself and under its parent.
_RESOURCES = text(
    "INSERT INTO resource (owner_id, id, parent_id, name, name_key, revision_id, created_at, modified_at)"
    f" {_SUBTREE},"
    " places AS (SELECT id AS place, 0 AS is_below, id FROM sub"
    " UNION ALL SELECT above, 1, id FROM sub WHERE above IS NOT NULL),"
    " ranked AS (SELECT id, is_below, :first - 1 + count(*) FILTER (WHERE is_below = 0) OVER (ORDER BY place, is_below) AS new_id"
    " FROM places),"
    " map AS (SELECT id, max(new_id) FILTER (WHERE is_below = 0) AS new_id,"
    " max(new_id) FILTER (WHERE is_below = 1) AS new_parent_id FROM ranked GROUP BY id)"
    " SELECT r.owner_id, m.new_id, coalesce(m.new_parent_id, CAST(:parent AS bigint)),"
    " CASE WHEN r.id = :root THEN :name ELSE r.name END, CASE WHEN r.id = :root THEN :name_key ELSE r.name_key END,"
    " r.revision_id, CAST(:now AS bigint), r.modified_at"
    " FROM map m JOIN resource r ON r.owner_id = :owner AND r.id = m.id"
)
_PROPERTIES = text(
    "INSERT INTO property (owner_id, resource_id, namespace, name, xml)"
    f" {_MAPPED} SELECT d.owner_id, m.new_id, d.namespace, d.name, d.xml"
    " FROM map m JOIN property d ON d.owner_id = :owner AND d.resource_id = m.id"
)


def copy_subtree(change: Change, source: Resource, parent: Resource, name: str, *, deep: bool) -> None:
    """Make `name` in `parent` a copy of `source`, its dead properties included; of what is below it too when `deep`.

    Modification times are kept, creation times are now. Raises `QuotaExceeded`.
    """
    connection = change.unit.connection
    subtree: dict[str, Any] = {"root": source.id, "owner": change.owner_id, "deep": int(deep)}
    count, size = connection.execute(_COUNT, subtree).one()
    change.use(int(size))
    mapped = {**subtree, "first": change.take_ids(count)}
    placed = {**mapped, "parent": parent.id, "name": name, "name_key": key_of(name), "now": change.now}
    connection.execute(_RESOURCES, placed)
    connection.execute(_PROPERTIES, mapped)
