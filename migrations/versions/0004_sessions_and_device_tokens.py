"""sessions and device tokens."""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('session',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('user_id', BIG, nullable=False),
    sa.Column('credential_version', BIG, nullable=False),
    sa.Column('generation', BIG, nullable=False),
    sa.Column('refresh_hash', sa.LargeBinary(), nullable=False),
    sa.Column('device', sa.Text(), nullable=False),
    sa.Column('address', sa.Text(), nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('used_at', BIG, nullable=False),
    sa.Column('expires_at', BIG, nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_session_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_session'))
    )
    op.create_index(op.f('ix_session_user_id'), 'session', ['user_id'])
    op.create_index(op.f('ix_session_expires_at'), 'session', ['expires_at'])
    op.create_table('device_token',
    sa.Column('id', BIG, nullable=False),
    sa.Column('user_id', BIG, nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.Column('prefix', sa.Text(), nullable=True),
    sa.Column('read_only', sa.Boolean(), nullable=False),
    sa.Column('hides_trash', sa.Boolean(), nullable=False),
    sa.Column('networks', sa.Text(), nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('expires_at', BIG, nullable=True),
    sa.Column('used_at', BIG, nullable=True),
    sa.Column('used_address', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_device_token_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_device_token')),
    sa.UniqueConstraint('hash', name=op.f('uq_device_token_hash')),
    sa.UniqueConstraint('user_id', 'name', name=op.f('uq_device_token_user_id_name'))
    )
    op.create_index(op.f('ix_device_token_expires_at'), 'device_token', ['expires_at'])
