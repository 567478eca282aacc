"""statistics that are counted by a job, and the sizes of revisions in an index."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    filled = sa.text("size > 0")
    op.create_index(
        "ix_revision_owner_id_size", "revision", ["owner_id", "size"], sqlite_where=filled, postgresql_where=filled
    )
    op.create_table(
        "statistics",
        sa.Column("owner_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("as_of", _BIG, nullable=False),
        sa.Column("files", _BIG, nullable=False),
        sa.Column("folders", _BIG, nullable=False),
        sa.Column("size", _BIG, nullable=False),
        sa.Column("trash_files", _BIG, nullable=False),
        sa.Column("trash_folders", _BIG, nullable=False),
        sa.Column("trash_size", _BIG, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_statistics_owner_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", name="pk_statistics"),
    )
    op.create_table(
        "statistics_type",
        sa.Column("owner_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("files", _BIG, nullable=False),
        sa.Column("size", _BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["statistics.owner_id"], name="fk_statistics_type_owner_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "content_type", name="pk_statistics_type"),
    )
    op.create_table(
        "statistics_day",
        sa.Column("owner_id", _BIG, autoincrement=False, nullable=False),
        sa.Column("day", _BIG, autoincrement=False, nullable=False),
        sa.Column("files", _BIG, nullable=False),
        sa.Column("size", _BIG, nullable=False),
        sa.Column("trash_size", _BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["statistics.owner_id"], name="fk_statistics_day_owner_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "day", name="pk_statistics_day"),
    )
