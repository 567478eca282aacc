"""what is known of keys and who holds them, and holds on the store."""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('master_key',
    sa.Column('key_id', sa.Text(), nullable=False),
    sa.Column('proof', sa.LargeBinary(), nullable=False),
    sa.Column('added_at', BIG, nullable=False),
    sa.Column('superseded_at', BIG, nullable=True),
    sa.PrimaryKeyConstraint('key_id', name=op.f('pk_master_key'))
    )
    op.create_table('key_holder',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('pid', BIG, nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('key_ids', sa.Text(), nullable=False),
    sa.Column('seen_at', BIG, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_key_holder'))
    )
    op.create_table('hold',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('expires_at', BIG, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hold'))
    )
