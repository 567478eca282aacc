"""What uploads have announced but not yet stored. For services only."""

from sqlalchemy import Connection, func, select

from davserver.db.rows import TreeRow, UploadRow, UserRow


def reserved_bytes(connection: Connection, owner_id: int) -> int:
    """Bytes that uploads under way have reserved in the owner's quota."""
    query = select(func.coalesce(func.sum(UploadRow.reserved_bytes), 0)).where(UploadRow.owner_id == owner_id)
    return int(connection.execute(query).scalar_one())


def room_left(connection: Connection, owner_id: int) -> int | None:
    """Bytes that the owner's quota has left for a new upload, perhaps negative; None without a quota."""
    row = connection.execute(
        select(UserRow.quota_bytes, TreeRow.used_bytes)
        .join(TreeRow, TreeRow.owner_id == UserRow.id)
        .where(UserRow.id == owner_id)
    ).one()
    if row.quota_bytes is None:
        return None
    return int(row.quota_bytes - row.used_bytes - reserved_bytes(connection, owner_id))
