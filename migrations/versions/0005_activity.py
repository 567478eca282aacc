"""the activity log."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_AUDIT = sa.text("is_audit")


def upgrade() -> None:
    op.create_table(
        "activity",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("is_audit", sa.Boolean(), nullable=False),
        sa.Column("owner_id", _BIG, nullable=True),
        sa.Column("actor_id", _BIG, nullable=True),
        sa.Column("path", _BYTEWISE, nullable=True),
        sa.Column("to_path", _BYTEWISE, nullable=True),
        sa.Column("size", _BIG, nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_activity"),
    )
    op.create_index("ix_activity_owner_id_at_id", "activity", ["owner_id", "at", "id"])
    op.create_index("ix_activity_audit", "activity", ["at", "id"], sqlite_where=_AUDIT, postgresql_where=_AUDIT)
    op.create_index("ix_activity_audit_of", "activity", ["owner_id", "at", "id"], sqlite_where=_AUDIT, postgresql_where=_AUDIT)


def downgrade() -> None:
    op.drop_table("activity")
