"""What is known of the scans of an owner's files, and what follows from it. For services only."""

# ruff: noqa: S608 - constants only; values are bound

from typing import Any, Final

from sqlalchemy import Connection, select, text

from davserver.db.rows import ROOT_ID, RevisionRow
from davserver.domain.errors import Infected
from davserver.domain.resource import Resource, Revision
from davserver.domain.verdict import ScanReport, Verdict
from davserver.services.listing import Depth
from davserver.services.lookup import SUBTREE

_COLUMNS: Final = "r.id, v.verdict, v.signature, v.signature_version, v.scanned_at"
_JOIN: Final = "JOIN revision v ON v.owner_id = r.owner_id AND v.id = r.revision_id"
_OF_ONE: Final = text(f"SELECT {_COLUMNS} FROM resource r {_JOIN} WHERE r.owner_id = :owner AND r.id = :root")
_OF_MEMBERS: Final = text(
    f"SELECT {_COLUMNS} FROM resource r {_JOIN} WHERE r.owner_id = :owner AND (r.parent_id = :root OR r.id = :root)"
)
_OF_SUBTREE: Final = text(
    f"{SUBTREE} SELECT {_COLUMNS} FROM sub JOIN resource r ON r.owner_id = :owner AND r.id = sub.id {_JOIN}"
)
_QUERIES: Final = {Depth.ZERO: _OF_ONE, Depth.ONE: _OF_MEMBERS, Depth.INFINITY: _OF_SUBTREE}


def scan_reports(connection: Connection, top: Resource, depth: Depth) -> dict[int, ScanReport]:
    """By the id of the resource, of a resource and, as deep as asked, of what is below it. One query."""
    rows = connection.execute(_QUERIES[depth], {"owner": top.owner_id, "root": top.id})
    return {row[0]: ScanReport(Verdict(row[1]), row[2] or "", row[3] or "", row[4]) for row in rows}


def infected(connection: Connection, owner_id: int, revision: Revision) -> Infected:
    """The error that refuses the content of a revision, with what was found in it."""
    which = (RevisionRow.owner_id == owner_id) & (RevisionRow.id == revision.id)
    signature = connection.execute(select(RevisionRow.signature).where(which)).scalar()
    return Infected(f"A virus was found in this file ({signature}): its content is not given out. It can be deleted.")


FOUND: Final = "v.verdict in ('infected', 'released')"
"""Written as in the index over the few that it holds for, or SQLite would not use that."""

# From the infected files up, of which there are few, not from the collection down. MATERIALIZED: SQLite would go through all
# of the owner's files and ask of each.
_INFECTED_WITHIN: Final = text(
    "WITH RECURSIVE found AS MATERIALIZED (SELECT v.owner_id, v.id, v.signature FROM revision v"
    f" WHERE v.owner_id = :owner AND {FOUND} AND v.verdict = 'infected'),"
    " up(name, signature, id) AS ("
    " SELECT r.name, f.signature, r.id FROM found f"
    " JOIN resource r ON r.owner_id = f.owner_id AND r.revision_id = f.id UNION ALL"
    " SELECT up.name, up.signature, p.parent_id FROM up JOIN resource p ON p.owner_id = :owner AND p.id = up.id"
    " WHERE p.parent_id IS NOT NULL)"
    " SELECT name, signature FROM up WHERE id = :root LIMIT 1"
)


def refuse_infected(connection: Connection, target: Resource, *, deep: bool) -> None:
    """Raise `Infected` when the target is a file with a virus in it or, when `deep`, a collection with such a file below it."""
    if target.revision is not None:
        if target.revision.verdict is Verdict.INFECTED:
            raise infected(connection, target.owner_id, target.revision)
        return
    if deep:
        found = connection.execute(_INFECTED_WITHIN, {"owner": target.owner_id, "root": target.id}).first()
        if found is not None:
            raise Infected(
                f"A virus was found in {found.name!r} ({found.signature}), which lies below this collection: "
                "neither is copied. The file can be deleted."
            )


# From a file up to the root, or to nothing when it was purged but is not removed yet. Asked for row by row, so that a page asks
# of its own rows only. CROSS JOIN and the way that the condition is put keep SQLite in the index over the few.
_PLACES: Final = (
    "SELECT * FROM (SELECT v.owner_id, v.id AS revision_id, r.id AS resource_id, u.name AS owner,"
    " v.verdict, v.signature, v.signature_version, v.scanned_at, v.size,"
    " (WITH RECURSIVE up(path, above) AS (SELECT '/' || r.name, r.parent_id UNION ALL"
    " SELECT '/' || p.name || up.path, p.parent_id FROM up"
    " JOIN resource p ON p.owner_id = r.owner_id AND p.id = up.above WHERE p.parent_id IS NOT NULL)"
    f" SELECT path FROM up WHERE above = {ROOT_ID}) AS path"
    " FROM revision v CROSS JOIN resource r CROSS JOIN users u"
    " WHERE r.owner_id = v.owner_id AND r.revision_id = v.id AND u.id = v.owner_id"
    f" AND {FOUND} AND %s) AS places WHERE path IS NOT NULL %s"
)
_ALL: Final = text(_PLACES % ("true", "ORDER BY owner, path"))
_PAGE: Final = text(
    _PLACES
    % (
        "(v.owner_id, v.id) >= (:owner, :revision) AND ((v.owner_id, v.id) > (:owner, :revision) OR r.id > :resource)",
        "ORDER BY owner_id, revision_id, +resource_id LIMIT :limit",
    )
)
_ONE: Final = text(_PLACES % ("v.owner_id = :owner AND r.id = :resource", ""))


def found_places(connection: Connection) -> list[Any]:
    """Everybody's files, by their paths (not encoded), that are infected or released; those in the trash too. One query."""
    return list(connection.execute(_ALL))


def found_page(connection: Connection, after: tuple[int, int, int], limit: int) -> list[Any]:
    """Up to `limit` of these, by owner, revision and resource, behind those ids. One query, which looks at these only."""
    owner_id, revision_id, resource_id = after
    bound = {"owner": owner_id, "revision": revision_id, "resource": resource_id, "limit": limit}
    return list(connection.execute(_PAGE, bound))


def found_place(connection: Connection, owner_id: int, resource_id: int) -> Any:
    """One of these, or None. One query."""
    return connection.execute(_ONE, {"owner": owner_id, "resource": resource_id}).one_or_none()
