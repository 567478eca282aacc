"""download links, who uses them, and previews."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('link',
    sa.Column('id', BIG, nullable=False),
    sa.Column('owner_id', BIG, nullable=False),
    sa.Column('resource_id', BIG, nullable=False),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=True),
    sa.Column('expires_at', BIG, nullable=True),
    sa.Column('max_uses', BIG, nullable=True),
    sa.Column('uses', BIG, nullable=False),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('used_at', BIG, nullable=True),
    sa.CheckConstraint('uses >= 0', name=op.f('ck_link_uses')),
    sa.ForeignKeyConstraint(['owner_id', 'resource_id'], ['resource.owner_id', 'resource.id'], name=op.f('fk_link_owner_id_resource_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_link_owner_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_link')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_link_token_hash'))
    )
    op.create_index(op.f('ix_link_owner_id_resource_id'), 'link', ['owner_id', 'resource_id'], unique=False)
    op.create_index(op.f('ix_link_expires_at'), 'link', ['expires_at'], unique=False)
    op.create_table('link_use',
    sa.Column('link_id', BIG, nullable=False),
    sa.Column('client', sa.String(length=64), nullable=False),
    sa.Column('began_at', BIG, nullable=False),
    sa.ForeignKeyConstraint(['link_id'], ['link.id'], name=op.f('fk_link_use_link_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('link_id', 'client', name=op.f('pk_link_use'))
    )
    op.create_index(op.f('ix_link_use_began_at'), 'link_use', ['began_at'], unique=False)
    op.create_table('preview',
    sa.Column('owner_id', BIG, autoincrement=False, nullable=False),
    sa.Column('revision_id', BIG, autoincrement=False, nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('blob_id', sa.String(length=32), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('changed_at', BIG, nullable=False),
    sa.CheckConstraint("state in ('waiting', 'ready', 'none')", name=op.f('ck_preview_state')),
    sa.ForeignKeyConstraint(['blob_id'], ['blob.id'], name=op.f('fk_preview_blob_id')),
    sa.ForeignKeyConstraint(['owner_id'], ['users.id'], name=op.f('fk_preview_owner_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('owner_id', 'revision_id', name=op.f('pk_preview')),
    sa.UniqueConstraint('blob_id', name=op.f('uq_preview_blob_id'))
    )
