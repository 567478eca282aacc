"""an index over folders, for what looks at all that is below one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

FOLDERS = sa.text('revision_id IS NULL')


def upgrade() -> None:
    op.create_index(
        'ix_resource_folders', 'resource', ['owner_id', 'parent_id', 'revision_id'],
        sqlite_where=FOLDERS, postgresql_where=FOLDERS,
    )
