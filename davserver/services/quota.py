"""What uploads have announced but not yet stored. For services only."""

from sqlalchemy import Connection, bindparam, func, select

from davserver.db.rows import TreeRow, UploadRow, UserRow
from davserver.db.statements import Statement

_RESERVED = Statement(
    select(func.coalesce(func.sum(UploadRow.reserved_bytes), 0)).where(UploadRow.owner_id == bindparam("b_owner"))
)
_LIMITS = Statement(
    select(UserRow.quota_bytes, TreeRow.used_bytes)
    .join(TreeRow, TreeRow.owner_id == UserRow.id)
    .where(UserRow.id == bindparam("b_owner"))
)


def reserved_bytes(connection: Connection, owner_id: int) -> int:
    """Bytes that uploads under way have reserved in the owner's quota."""
    return int(_RESERVED.one(connection, {"b_owner": owner_id})[0])


def room_left(connection: Connection, owner_id: int) -> int | None:
    """Bytes that the owner's quota has left for a new upload, perhaps negative; None without a quota."""
    quota, used = _LIMITS.one(connection, {"b_owner": owner_id})
    return None if quota is None else int(quota - used - reserved_bytes(connection, owner_id))
