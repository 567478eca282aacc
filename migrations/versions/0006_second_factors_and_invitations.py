"""second factors and invitations."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.add_column('users', sa.Column('totp_salt', sa.LargeBinary(), nullable=True))
    op.add_column('users', sa.Column('totp_at', BIG, nullable=True))
    op.add_column('users', sa.Column('totp_step', BIG, nullable=True))
    op.create_table('recovery_code',
    sa.Column('user_id', BIG, nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_recovery_code_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', 'hash', name=op.f('pk_recovery_code'))
    )
    op.create_table('invitation',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('expires_at', BIG, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_invitation'))
    )
    op.create_index(op.f('ix_invitation_expires_at'), 'invitation', ['expires_at'])
