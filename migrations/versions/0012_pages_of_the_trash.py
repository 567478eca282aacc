"""the order in which the trash is listed, as an index."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_trash_entry_owner_id_discarded_at_resource_id", "trash_entry", ["owner_id", "discarded_at", "resource_id"]
    )
