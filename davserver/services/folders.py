"""Folders page by page, for doors that show a part at a time."""

from typing import Final

from sqlalchemy import text

from davserver.db.rows import ROOT_ID, TRASH_ID
from davserver.db.units import Database
from davserver.domain.errors import BadRequest
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.resource import Resource
from davserver.services.lookup import COLUMNS, REVISION_JOIN, resolve, resource_of

# ruff: noqa: S608 - constants only; values are bound
_PAGE: Final = text(
    f"SELECT {COLUMNS} FROM resource r {REVISION_JOIN} WHERE r.owner_id = :owner AND r.parent_id = :parent"
    " AND r.name_key > :after AND r.id <> :hidden ORDER BY r.name_key LIMIT :limit"
)


class Folders:
    """Use cases on collections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, principal: Principal, path: ResourcePath, *, after: str, limit: int) -> list[Resource]:
        """Up to `limit` members of the collection at `path`, by name, behind the name key `after` (empty: from the first).

        Two queries, each a step in an index. Raises `NotFound`, `BadRequest` (a file).
        """
        with self._database.read() as connection:
            target = resolve(connection, principal, path).must_exist()
            if not target.is_collection:
                raise BadRequest("That is a file; only folders have members.")
            hidden = TRASH_ID if target.id == ROOT_ID and principal.hides_trash else 0
            bound = {"owner": principal.owner_id, "parent": target.id, "after": after, "hidden": hidden, "limit": limit}
            return [resource_of(row) for row in connection.execute(_PAGE, bound)]
