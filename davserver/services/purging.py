"""Purging: what was taken out of sight goes for good, a bounded piece a unit. Rows go before bytes do. For services only.

A purged resource has no parent any more (`changes.sever`). From there it is taken apart from the top: a unit cuts the members
off some of these, which puts them in the same state, and removes what has no members left. Each resource is touched twice
however large and deep the whole is, and a stop between two units leaves nothing that the next one does not find.
"""

from typing import Final

from sqlalchemy import delete, select, update

from davserver.db.rows import ROOT_ID, ResourceRow, RevisionRow
from davserver.services.changes import Change, release_revisions

PIECE: Final = 1_000
"""Resources that one unit cuts off, and as many that it removes."""


def purge_piece(change: Change, size: int = PIECE) -> bool:
    """Remove up to `size` resources that are out of sight, what they hold, and what they use of the quota.

    Returns False when there were none.
    """
    connection = change.unit.connection
    own = ResourceRow.owner_id == change.owner_id
    revision = (RevisionRow.owner_id == ResourceRow.owner_id) & (RevisionRow.id == ResourceRow.revision_id)
    loose = connection.execute(
        select(ResourceRow.id, ResourceRow.revision_id, RevisionRow.size)
        .outerjoin(RevisionRow, revision)
        .where(own, ResourceRow.parent_id.is_(None), ResourceRow.id != ROOT_ID)
        .limit(size)
    ).all()
    if not loose:
        return False
    collections = [row.id for row in loose if row.revision_id is None]
    still_held = _cut_off_members(change, collections, size) if collections else set()
    gone = [row for row in loose if row.id not in still_held]
    connection.execute(delete(ResourceRow).where(own, ResourceRow.id.in_([row.id for row in gone])))
    files = [row for row in gone if row.revision_id is not None]
    if files:
        release_revisions(change, {row.revision_id for row in files})
        change.use(-sum(row.size for row in files))
    return True


def _cut_off_members(change: Change, collections: list[int], size: int) -> set[int]:
    """Make up to `size` members of the collections loose. Returns the collections that have more."""
    connection = change.unit.connection
    inside = (ResourceRow.owner_id == change.owner_id) & ResourceRow.parent_id.in_(collections)
    members = connection.execute(select(ResourceRow.id).where(inside).limit(size)).scalars().all()
    if members:
        own = ResourceRow.owner_id == change.owner_id
        connection.execute(update(ResourceRow).where(own, ResourceRow.id.in_(members)).values(parent_id=None))
    if len(members) < size:
        return set()
    still = connection.execute(select(ResourceRow.parent_id).where(inside).distinct()).scalars()
    return {parent_id for parent_id in still if parent_id is not None}
