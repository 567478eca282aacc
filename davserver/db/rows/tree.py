"""What a drive is made of: who owns it, its tree, the content, the trash."""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from davserver.db.rows.base import FIRST_FREE_ID, Base, BigInt, Bytewise

_FOUND: Final = "verdict in ('infected', 'released')"


class UserRow(Base):
    """Who may come in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Bytewise, unique=True)
    """The name in NFKC, case folded: what sign-in matches."""
    email: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    credential_version: Mapped[int] = mapped_column(BigInt, default=1)
    """Raised with every change of password or state: what was cached under an older one is void."""
    is_admin: Mapped[bool] = mapped_column(default=False)
    disabled_at: Mapped[int | None] = mapped_column(BigInt)
    removed_at: Mapped[int | None] = mapped_column(BigInt)
    """When the user was deleted: the row stays, so that the log can name them and the id is never somebody else's."""
    quota_bytes: Mapped[int | None] = mapped_column(BigInt)
    """None: no limit but the store's."""
    quota_noticed_at: Mapped[int | None] = mapped_column(BigInt)
    """When it was seen that the quota is nearly used up; None while there is room."""
    trash_retention: Mapped[int | None] = mapped_column(BigInt)
    """Microseconds that what was deleted is kept, within the server's setting; None: as long as that says."""
    hides_trash: Mapped[bool] = mapped_column(default=False)
    """Whether the trash is left out of the root's listing. Its URL works all the same."""
    hides_quota: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether WebDAV leaves out the properties of RFC 4331."""
    time_zone: Mapped[str | None] = mapped_column(Text)
    """A name of the IANA database; None: UTC."""
    notices: Mapped[str | None] = mapped_column(Text)
    """What they want to be told of by mail: `davserver.domain.preferences.Notice`, commas between; None: the usual ones."""
    created_at: Mapped[int] = mapped_column(BigInt)
    totp_salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What the secret of the second factor is derived from, besides the deployment's; None: none was ever begun."""
    totp_at: Mapped[int | None] = mapped_column(BigInt)
    """When the second factor was switched on; None while it is off."""
    totp_step: Mapped[int | None] = mapped_column(BigInt)
    """The time step of the last code that was used: none counts twice."""


class TreeRow(Base):
    """One user's tree. Whoever changes the tree updates this row first: it is the tree's one writer's lock."""

    __tablename__ = "tree"
    __table_args__ = (CheckConstraint("used_bytes >= 0", name="used_bytes"),)

    owner_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    version: Mapped[int] = mapped_column(BigInt, default=1)
    """Raised with every change; what was cached of the tree under an older one is void."""
    next_id: Mapped[int] = mapped_column(BigInt, default=FIRST_FREE_ID)
    used_bytes: Mapped[int] = mapped_column(BigInt, default=0)
    """What the quota counts: the content of every file in the tree and in the trash."""


class BlobRow(Base):
    """Sealed bytes in the store, or, when small, in `sealed`."""

    __tablename__ = "blob"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    size: Mapped[int] = mapped_column(BigInt)
    sealed_size: Mapped[int] = mapped_column(BigInt)
    segment_size: Mapped[int] = mapped_column(BigInt)
    key_id: Mapped[str] = mapped_column(Text, index=True)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    header: Mapped[bytes] = mapped_column(LargeBinary)
    """The first bytes of the sealed stream, so that a range needs one read of the store, not two."""
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The sealed bytes themselves when the blob is small; None when they lie in the store."""
    created_at: Mapped[int] = mapped_column(BigInt)


class RevisionRow(Base):
    """One state of a file's bytes; never updated but for what is learned about it (its scan)."""

    __tablename__ = "revision"
    __table_args__ = (
        Index(None, "signature_version", "scanned_at"),
        # The largest. Not of those that are empty, and so never taken by SQLite for a question that says nothing of the size.
        Index(None, "owner_id", "size", sqlite_where=text("size > 0"), postgresql_where=text("size > 0")),
        # So few that an administrator can look at all of them.
        Index("ix_revision_found", "owner_id", "id", sqlite_where=text(_FOUND), postgresql_where=text(_FOUND)),
        CheckConstraint(
            "verdict in ('clean', 'infected', 'released', 'waiting', 'too_large', 'failed', 'no_scanner', 'empty')",
            name="verdict",
        ),
    )

    owner_id: Mapped[int] = mapped_column(ForeignKey("tree.owner_id"), primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    blob_id: Mapped[str] = mapped_column(ForeignKey("blob.id"), index=True)
    size: Mapped[int] = mapped_column(BigInt)
    etag: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(Text)
    checksums: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[int] = mapped_column(BigInt)
    verdict: Mapped[str] = mapped_column(Text, default="no_scanner")
    """`davserver.domain.verdict.Verdict`."""
    signature: Mapped[str | None] = mapped_column(Text)
    """The name of what was found, while the verdict is infected or released."""
    signature_version: Mapped[str | None] = mapped_column(Bytewise, default="")
    """What scanned it last: program and signatures. Empty before that; None when there is nothing to scan."""
    scanned_at: Mapped[int | None] = mapped_column(BigInt)


class ResourceRow(Base):
    """A collection or a file in a tree."""

    __tablename__ = "resource"
    __table_args__ = (
        UniqueConstraint("owner_id", "parent_id", "name_key"),
        ForeignKeyConstraint(["owner_id", "parent_id"], ["resource.owner_id", "resource.id"]),
        ForeignKeyConstraint(["owner_id", "revision_id"], ["revision.owner_id", "revision.id"]),
        Index(None, "owner_id", "revision_id"),
        # With the third column, which says nothing, SQLite takes it for better than the one before.
        Index(
            "ix_resource_folders",
            "owner_id",
            "parent_id",
            "revision_id",
            sqlite_where=text("revision_id IS NULL"),
            postgresql_where=text("revision_id IS NULL"),
        ),
        CheckConstraint("id <> parent_id", name="not_in_itself"),
    )

    owner_id: Mapped[int] = mapped_column(ForeignKey("tree.owner_id"), primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    parent_id: Mapped[int | None] = mapped_column(BigInt)
    """None for the root of the tree, and for the root of what is being purged and cannot be seen any more."""
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(Bytewise)
    revision_id: Mapped[int | None] = mapped_column(BigInt)
    """None for a collection."""
    created_at: Mapped[int] = mapped_column(BigInt)
    modified_at: Mapped[int] = mapped_column(BigInt)


class PropertyRow(Base):
    """A dead property."""

    __tablename__ = "property"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "resource_id"], ["resource.owner_id", "resource.id"], ondelete="CASCADE"),
    )

    owner_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    resource_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    namespace: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    name: Mapped[str] = mapped_column(Bytewise, primary_key=True)
    xml: Mapped[str] = mapped_column(Text)


class LockRow(Base):
    """A write lock. Locks do not move: what moves or is discarded loses those within, so a lock's path stays true."""

    __tablename__ = "lock"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "resource_id"], ["resource.owner_id", "resource.id"], ondelete="CASCADE"),
        Index(None, "owner_id", "path_key"),
        Index(None, "expires_at"),
        CheckConstraint("scope in ('exclusive', 'shared')", name="scope"),
    )

    token: Mapped[str] = mapped_column(Text, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInt)
    resource_id: Mapped[int] = mapped_column(BigInt)
    path: Mapped[str] = mapped_column(Text)
    """The root of the lock, percent-encoded, as the client wrote it."""
    path_key: Mapped[str] = mapped_column(Bytewise)
    """`ResourcePath.key` of the root of the lock."""
    is_on_collection: Mapped[bool]
    scope: Mapped[str] = mapped_column(Text)
    is_deep: Mapped[bool]
    owner_xml: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[int] = mapped_column(BigInt)
    expires_at: Mapped[int] = mapped_column(BigInt)


class TrashEntryRow(Base):
    """What is known of a member of the trash: the root of something discarded, with all below it as it was."""

    __tablename__ = "trash_entry"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "resource_id"], ["resource.owner_id", "resource.id"], ondelete="CASCADE"),
        Index(None, "owner_id", "name_key"),
        Index(None, "owner_id", "replaced_id"),
        Index(None, "owner_id", "discarded_at", "resource_id"),
        Index(None, "purge_at"),
    )

    owner_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    resource_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    """Its name before; in the trash a second one of the same name carries a suffix."""
    name_key: Mapped[str] = mapped_column(Bytewise)
    origin: Mapped[str] = mapped_column(Text)
    """The path that it was discarded from, percent-encoded."""
    replaced_id: Mapped[int | None] = mapped_column(BigInt)
    """The resource whose older content this is; None when it was not replaced by a PUT."""
    discarded_at: Mapped[int] = mapped_column(BigInt)
    purge_at: Mapped[int] = mapped_column(BigInt)
    files: Mapped[int | None] = mapped_column(BigInt)
    """How many files a collection holds, and `size` how many bytes; None until somebody asks, and of a file."""
    size: Mapped[int | None] = mapped_column(BigInt)
    changes: Mapped[int] = mapped_column(BigInt, default=0, server_default="0")
    """How often something was taken out of it: what was counted before that is not written."""


class UploadRow(Base):
    """Bytes on their way into the store that no revision refers to yet: room reserved, and what a crash leaves behind."""

    __tablename__ = "upload"

    blob_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    reserved_bytes: Mapped[int] = mapped_column(BigInt)
    """What the quota counts for it while it lasts: the declared length, 0 when none was declared."""
    started_at: Mapped[int] = mapped_column(BigInt)
    expires_at: Mapped[int] = mapped_column(BigInt, index=True)
    """Pushed on while bytes arrive; past it nobody is receiving any more."""
