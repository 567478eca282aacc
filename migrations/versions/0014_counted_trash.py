"""what lies in a discarded collection, counted once."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("trash_entry", sa.Column("files", BIG, nullable=True))
    op.add_column("trash_entry", sa.Column("size", BIG, nullable=True))
    op.add_column("trash_entry", sa.Column("changes", BIG, nullable=False, server_default="0"))
