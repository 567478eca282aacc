"""Dead properties, and the live ones that a client may set (RFC 4918 sections 4 and 9.2)."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, text, update

from davserver.db.rows import PropertyRow, ResourceRow
from davserver.db.statements import Statement
from davserver.db.units import Database
from davserver.domain.clock import Clock, Micros
from davserver.domain.conditions import NO_CONDITIONS, Preconditions
from davserver.domain.errors import Forbidden
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.property import DeadProperty, PropertyName, PropertyUpdate
from davserver.domain.resource import Resource
from davserver.services.changes import Change, open_change
from davserver.services.guards import Touch, check_change
from davserver.services.listing import Depth
from davserver.services.lookup import SUBTREE, resolve


class Properties:
    """Use cases on properties."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def patch(
        self,
        principal: Principal,
        path: ResourcePath,
        updates: Sequence[PropertyUpdate],
        *,
        modified_at: Micros | None = None,
        created_at: Micros | None = None,
        preconditions: Preconditions = NO_CONDITIONS,
        lock_is_own: bool = False,
    ) -> None:
        """PROPPATCH: apply all updates in order, or none (RFC 4918 section 9.2).

        Raises `NotFound`, `Locked`, `PreconditionFailed`, `Forbidden` (in the trash). With `lock_is_own` a lock of the principal
        counts as submitted (clients rule R44).
        """
        with self._database.write() as unit:
            change = open_change(unit, principal, self._clock())
            chain = resolve(unit.connection, principal, path)
            target = chain.must_exist()
            if chain.is_in_trash:
                raise Forbidden("Properties are not changed in the trash.")
            touches = [Touch(chain)]
            check_change(unit.connection, principal, touches, preconditions, change.now, lock_is_own=lock_is_own)
            _apply(change, target, updates)
            times = {"modified_at": modified_at, "created_at": created_at}
            given = {name: value for name, value in times.items() if value is not None}
            if given:
                here = (ResourceRow.owner_id == change.owner_id) & (ResourceRow.id == target.id)
                unit.connection.execute(update(ResourceRow).where(here).values(**given))


def _apply(change: Change, target: Resource, updates: Sequence[PropertyUpdate]) -> None:
    # The last instruction for a name is what counts; each name is then written once.
    final = {instruction.name: instruction.xml for instruction in updates}
    connection = change.unit.connection
    key = {"owner_id": change.owner_id, "resource_id": target.id}
    for name in final:
        connection.execute(
            delete(PropertyRow).where(
                PropertyRow.owner_id == change.owner_id,
                PropertyRow.resource_id == target.id,
                PropertyRow.namespace == name.namespace,
                PropertyRow.name == name.name,
            )
        )
    rows = [
        {**key, "namespace": n.namespace, "name": n.name, "xml": xml} for n, xml in final.items() if xml is not None
    ]
    if rows:
        connection.execute(insert(PropertyRow), rows)


_OF_ONE = text(
    "SELECT resource_id, namespace, name, xml FROM property WHERE owner_id = :owner AND resource_id = :root"
    " ORDER BY resource_id, namespace, name"
)
_OF_MEMBERS = text(
    "SELECT d.resource_id, d.namespace, d.name, d.xml FROM property d"
    " JOIN resource r ON r.owner_id = d.owner_id AND r.id = d.resource_id"
    " WHERE d.owner_id = :owner AND (r.parent_id = :root OR r.id = :root) ORDER BY d.resource_id, d.namespace, d.name"
)
_OF_SUBTREE = text(
    f"{SUBTREE} SELECT d.resource_id, d.namespace, d.name, d.xml FROM sub"
    " JOIN property d ON d.owner_id = :owner AND d.resource_id = sub.id ORDER BY d.resource_id, d.namespace, d.name"
)
_QUERIES = {
    Depth.ZERO: Statement(_OF_ONE),
    Depth.ONE: Statement(_OF_MEMBERS),
    Depth.INFINITY: Statement(_OF_SUBTREE),
}


def dead_properties(connection: Connection, top: Resource, depth: Depth) -> dict[int, tuple[DeadProperty, ...]]:
    """The dead properties of a resource and, as deep as asked, of what is below it, by the id of the resource. One query."""
    found: dict[int, tuple[DeadProperty, ...]] = {}
    rows = _QUERIES[depth].rows(connection, {"owner": top.owner_id, "root": top.id})
    for resource_id, namespace, name, xml in rows:
        found[resource_id] = (*found.get(resource_id, ()), DeadProperty(PropertyName(namespace, name), xml))
    return found
