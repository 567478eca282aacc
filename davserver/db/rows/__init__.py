"""The tables. Rows never leave the services: doors see the frozen values of `davserver.domain`.

Everything that belongs to a tree is keyed by its owner first, ``(owner_id, id)``: a query that forgets the owner cannot use
an index and cannot pass review, one owner's rows lie together, and tables can be partitioned by owner. Ids within a tree
come from `TreeRow.next_id`, so that a whole subtree gets its ids in one statement (COPY).

Times are microseconds since the epoch, UTC. Sizes are bytes of content, before sealing, unless said otherwise.
"""

from davserver.db.rows.access import (
    ActivityRow,
    DeviceTokenRow,
    InvitationRow,
    RecoveryCodeRow,
    SessionRow,
    SigningKeyRow,
)
from davserver.db.rows.base import FIRST_FREE_ID, ROOT_ID, TRASH_ID, Base, BigInt, Bytewise
from davserver.db.rows.figures import DayStatisticsRow, StatisticsRow, TypeStatisticsRow
from davserver.db.rows.sharing import LinkRow, LinkUseRow, PreviewRow
from davserver.db.rows.tree import (
    BlobRow,
    LockRow,
    PropertyRow,
    ResourceRow,
    RevisionRow,
    TrashEntryRow,
    TreeRow,
    UploadRow,
    UserRow,
)
from davserver.db.rows.work import HoldRow, JobRow, KeyHolderRow, MasterKeyRow, RecurringRow

__all__ = [
    "FIRST_FREE_ID",
    "ROOT_ID",
    "TRASH_ID",
    "ActivityRow",
    "Base",
    "BigInt",
    "BlobRow",
    "Bytewise",
    "DayStatisticsRow",
    "DeviceTokenRow",
    "HoldRow",
    "InvitationRow",
    "JobRow",
    "KeyHolderRow",
    "LinkRow",
    "LinkUseRow",
    "LockRow",
    "MasterKeyRow",
    "PreviewRow",
    "PropertyRow",
    "RecoveryCodeRow",
    "RecurringRow",
    "ResourceRow",
    "RevisionRow",
    "SessionRow",
    "SigningKeyRow",
    "StatisticsRow",
    "TrashEntryRow",
    "TreeRow",
    "TypeStatisticsRow",
    "UploadRow",
    "UserRow",
]
