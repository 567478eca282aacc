"""signing keys."""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('signing_key',
    sa.Column('id', sa.String(length=8), nullable=False),
    sa.Column('salt', sa.LargeBinary(), nullable=False),
    sa.Column('made_at', BIG, nullable=False),
    sa.Column('ends_at', BIG, nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_signing_key'))
    )
