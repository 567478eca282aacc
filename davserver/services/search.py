"""Search: files and folders of a drive by name, type, size, time and place.

A page is one walk over the owner's resources from the newest down, which ends when the page is full, with a look for each
that fits at whether its folder is among those searched. See docs/performance.md for what that costs.
"""

from typing import Any, Final

from sqlalchemy import Connection, text

from davserver.db.patterns import fits
from davserver.db.rows import FIRST_FREE_ID
from davserver.db.units import Database
from davserver.domain.errors import BadRequest
from davserver.domain.media import UNKNOWN, extensions
from davserver.domain.paging import DEFAULT_PAGE, Page, check_limit, make_cursor, read_cursor
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.search import FileFilter, FoundFile, name_pattern, type_fits, type_patterns
from davserver.services.lookup import COLUMNS, FOLDERS, REVISION_JOIN, places_of, resolve, resource_of

_RANGES: Final = (
    ("min_size", "v.size >= :min_size"),
    ("max_size", "v.size <= :max_size"),
    ("since", "r.modified_at >= :since"),
    ("until", "r.modified_at < :until"),
)
_ALL: Final = 1 << 62


class Search:
    """Use cases on finding things in a drive."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(
        self, principal: Principal, wanted: FileFilter, *, after: str | None = None, limit: int = DEFAULT_PAGE
    ) -> Page[FoundFile]:
        """What fits, the last made first, never out of the trash. Three queries.

        Raises `BadRequest` (the filter, the cursor, the limit), `NotFound` and `OutsidePrefix` (the place).
        """
        check_limit(limit)
        place = wanted.path or principal.prefix or ResourcePath(())
        with self._database.read() as connection:
            bound: dict[str, Any] = {"owner": principal.owner_id, "limit": limit + 1}
            bound["after"] = _ALL if after is None else read_cursor(after, 1)[0]
            bound["root"] = _folder(connection, principal, place)
            conditions = [*_ranges(wanted, bound), *_patterns(connection, wanted, bound)]
            rows = connection.execute(text(_query(conditions)), bound).all()
            resources = [resource_of(row) for row in rows[:limit]]
            places = places_of(connection, principal.owner_id, [one.id for one in resources]) if resources else {}
        # What was moved to the trash between the two queries has no place any more.
        items = tuple(FoundFile(places[one.id], one) for one in resources if one.id in places)
        return Page(items, make_cursor(resources[-1].id) if len(rows) > limit else None)


def _folder(connection: Connection, principal: Principal, place: ResourcePath) -> int:
    chain = resolve(connection, principal, place)
    if chain.is_in_trash:
        raise BadRequest("The trash is not searched; GET /api/v1/trash lists it.")
    folder = chain.must_exist()
    if not folder.is_collection:
        raise BadRequest("That is a file; only below folders something can be found.")
    return folder.id


def _query(conditions: list[str]) -> str:
    # The root and the trash have the lowest ids, and are not among what is found. The plus keeps SQLite from going through
    # the folders one by one: it shall stop when the page is full.
    return (
        f"{FOLDERS} SELECT {COLUMNS} FROM resource r {REVISION_JOIN}"  # noqa: S608 - constants only; values are bound
        f" WHERE r.owner_id = :owner AND r.id < :after AND r.id >= {FIRST_FREE_ID}"
        f"{''.join(f' AND {one}' for one in conditions)}"
        " AND +r.parent_id IN (SELECT id FROM folders) ORDER BY r.id DESC LIMIT :limit"
    )


def _ranges(wanted: FileFilter, bound: dict[str, Any]) -> list[str]:
    given = [(name, sql) for name, sql in _RANGES if getattr(wanted, name) is not None]
    bound.update((name, getattr(wanted, name)) for name, _ in given)
    return [sql for _, sql in given]


def _patterns(connection: Connection, wanted: FileFilter, bound: dict[str, Any]) -> list[str]:
    found = []
    if wanted.name is not None:
        sql, values = fits(connection, "r.name_key", "name", [name_pattern(wanted.name)])
        bound.update(values)
        found.append(sql)
    if wanted.content_type is not None:
        found.append(_type(connection, wanted.content_type, bound))
    return found


def _type(connection: Connection, wanted: str, bound: dict[str, Any]) -> str:
    """As the type is shown: where none was said, the extension of the name stands for it (`media.type_to_show`)."""
    stored, values = fits(connection, "v.content_type", "type", type_patterns(wanted))
    bound.update(values)
    is_unknown_wanted = type_fits(wanted, UNKNOWN)
    wanted_ones = extensions(lambda known: type_fits(wanted, known) is not is_unknown_wanted)
    # At least one character stands before the dot of an extension.
    by_name, values = fits(connection, "substr(r.name_key, 2)", "ext", [f"*{one}" for one in wanted_ones])
    bound.update(values)
    unknown = f"v.content_type IN ('', '{UNKNOWN}')"
    named = f"NOT {by_name}" if is_unknown_wanted else by_name
    return f"(({stored} AND NOT {unknown}) OR ({unknown} AND {named}))"
