"""The tables. Rows never leave the services: doors see the frozen values of `davserver.domain`.

Everything that belongs to a tree is keyed by its owner first, ``(owner_id, id)``: a query that forgets the owner cannot use
an index and cannot pass review, one owner's rows lie together, and tables can be partitioned by owner. Ids within a tree
come from `TreeRow.next_id`, so that a whole subtree gets its ids in one statement (COPY).

Times are microseconds since the epoch, UTC. Sizes are bytes of content, before sealing, unless said otherwise.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import Integer

BigInt = BigInteger().with_variant(Integer, "sqlite")
"""64 bits in both; SQLite numbers rows by itself only for INTEGER."""
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, so that a range of paths is a range of the index whatever the locale."""

ROOT_ID: Final = 1
"""The id of the root collection in every tree."""
TRASH_ID: Final = 2
"""The id of the trash, a collection in the root: what was discarded are its members, with all that was below them."""
FIRST_FREE_ID: Final = 3


_FOUND: Final = "verdict in ('infected', 'released')"


class Base(DeclarativeBase):
    """All tables, with names for every constraint so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


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
    quota_bytes: Mapped[int | None] = mapped_column(BigInt)
    """None: no limit but the store's."""
    trash_retention: Mapped[int | None] = mapped_column(BigInt)
    """Microseconds that what was deleted is kept, within the server's setting; None: as long as that says."""
    hides_trash: Mapped[bool] = mapped_column(default=False)
    """Whether the trash is left out of the root's listing. Its URL works all the same."""
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


class JobRow(Base):
    """Background work to do, written by the unit that causes it. What is done has no row any more."""

    __tablename__ = "job"
    __table_args__ = (
        # What is due is found without a look at what has failed, however much that is.
        Index(None, "run_at", sqlite_where=text("state <> 'failed'"), postgresql_where=text("state <> 'failed'")),
        CheckConstraint("state in ('waiting', 'running', 'failed')", name="state"),
    )

    id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, index=True)
    payload: Mapped[str] = mapped_column(Text)
    """JSON object."""
    state: Mapped[str] = mapped_column(Text, default="waiting")
    """``failed``: it was tried often enough, and is kept to be seen."""
    attempts: Mapped[int] = mapped_column(BigInt, default=0)
    run_at: Mapped[int] = mapped_column(BigInt)
    """Not before then. While it is running: when its worker, unless it says that it lives, is taken for dead."""
    claim: Mapped[str | None] = mapped_column(Text)
    """Random, of the worker that has it: one that was taken for dead and is not cannot touch it any more."""
    last_error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[int] = mapped_column(BigInt)


class RecurringRow(Base):
    """When work that recurs is due again, so that of many processes one causes it."""

    __tablename__ = "recurring"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[int] = mapped_column(BigInt)
    caused_at: Mapped[int | None] = mapped_column(BigInt)
    """When it was caused last; None: never yet."""


class MasterKeyRow(Base):
    """What is known of a key of the key ring; never the key itself."""

    __tablename__ = "master_key"

    key_id: Mapped[str] = mapped_column(Text, primary_key=True)
    proof: Mapped[bytes] = mapped_column(LargeBinary)
    """Something sealed under it: another key of the same id is found out before it seals anything."""
    added_at: Mapped[int] = mapped_column(BigInt)
    superseded_at: Mapped[int | None] = mapped_column(BigInt)
    """When another became the current one; None while it is current, and for one that never was."""


class KeyHolderRow(Base):
    """A process that holds a key ring, so that no key seals anything before all of them know it."""

    __tablename__ = "key_holder"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(BigInt)
    source: Mapped[str] = mapped_column(Text)
    """Where its ring comes from: the file, by machine and path, which it reads again; or its own environment."""
    key_ids: Mapped[str] = mapped_column(Text)
    """Joined by commas, the current one first."""
    seen_at: Mapped[int] = mapped_column(BigInt)


class HoldRow(Base):
    """While it lasts, nothing is removed from the store: somebody copies what a snapshot of the database refers to."""

    __tablename__ = "hold"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int] = mapped_column(BigInt)


class LinkRow(Base):
    """A download link to a resource: whoever has its token may read what is there, without an account."""

    __tablename__ = "link"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "resource_id"], ["resource.owner_id", "resource.id"], ondelete="CASCADE"),
        Index(None, "owner_id", "resource_id"),
        Index(None, "expires_at"),
        CheckConstraint("uses >= 0", name="uses"),
    )

    id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    resource_id: Mapped[int] = mapped_column(BigInt)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 in hexadecimal of a token of 32 random bytes, which itself is nowhere."""
    name: Mapped[str] = mapped_column(Text, default="")
    password_hash: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[int | None] = mapped_column(BigInt)
    max_uses: Mapped[int | None] = mapped_column(BigInt)
    uses: Mapped[int] = mapped_column(BigInt, default=0)
    created_at: Mapped[int] = mapped_column(BigInt)
    used_at: Mapped[int | None] = mapped_column(BigInt)


class LinkUseRow(Base):
    """A client that has begun a download by a link: further parts of it are no further use."""

    __tablename__ = "link_use"
    __table_args__ = (Index(None, "began_at"),)

    link_id: Mapped[int] = mapped_column(ForeignKey("link.id", ondelete="CASCADE"), primary_key=True)
    client: Mapped[str] = mapped_column(String(64), primary_key=True)
    """A keyed hash of its address and what it calls itself."""
    began_at: Mapped[int] = mapped_column(BigInt)


class PreviewRow(Base):
    """The picture that stands for a revision, or what is known about why there is none.

    It has no foreign key to its revision: a release that knows nothing of previews must be able to remove revisions.
    """

    __tablename__ = "preview"
    __table_args__ = (CheckConstraint("state in ('waiting', 'ready', 'none')", name="state"),)

    owner_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    revision_id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Text)
    blob_id: Mapped[str | None] = mapped_column(ForeignKey("blob.id"), unique=True)
    """Of a picture that is ready: sealed like content, and in no quota."""
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why there is none."""
    changed_at: Mapped[int] = mapped_column(BigInt)


class SessionRow(Base):
    """Somebody who is signed in through REST, on one device. Ended sessions have no row."""

    __tablename__ = "session"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    credential_version: Mapped[int] = mapped_column(BigInt)
    """The user's, when it was opened: under another one it is void."""
    generation: Mapped[int] = mapped_column(BigInt, default=1)
    """How often its refresh token was given out: an older one that is used again was stolen."""
    refresh_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """Keyed hash of the refresh token that counts."""
    device: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInt)
    used_at: Mapped[int] = mapped_column(BigInt)
    expires_at: Mapped[int] = mapped_column(BigInt)


class DeviceTokenRow(Base):
    """A password of one device, for WebDAV. Revoked ones have no row."""

    __tablename__ = "device_token"
    __table_args__ = (UniqueConstraint("user_id", "name"), Index(None, "expires_at"))

    id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    """Keyed hash of the token."""
    prefix: Mapped[str | None] = mapped_column(Text)
    """The collection that it is limited to, percent-encoded."""
    read_only: Mapped[bool] = mapped_column(default=False)
    hides_trash: Mapped[bool] = mapped_column(default=False)
    networks: Mapped[str | None] = mapped_column(Text)
    """Networks in CIDR notation with commas between them, that it may be used from; None: any."""
    created_at: Mapped[int] = mapped_column(BigInt)
    expires_at: Mapped[int | None] = mapped_column(BigInt)
    used_at: Mapped[int | None] = mapped_column(BigInt)
    used_address: Mapped[str | None] = mapped_column(Text)


class ActivityRow(Base):
    """One thing that was done. Rows are added and, when their time is over, removed; none is ever changed.

    It refers to users without a foreign key: what was done stays known, whatever becomes of them.
    """

    __tablename__ = "activity"
    __table_args__ = (
        Index(None, "owner_id", "at", "id"),
        # What concerns access and safety is found without a look at everyday work, however much that is.
        Index("ix_activity_audit", "at", "id", sqlite_where=text("is_audit"), postgresql_where=text("is_audit")),
        Index(
            "ix_activity_audit_of", "owner_id", "at", "id",
            sqlite_where=text("is_audit"), postgresql_where=text("is_audit"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigInt, primary_key=True)
    at: Mapped[int] = mapped_column(BigInt)
    action: Mapped[str] = mapped_column(Text)
    """`davserver.domain.activity.Action`."""
    is_audit: Mapped[bool]
    owner_id: Mapped[int | None] = mapped_column(BigInt)
    """Whose drive or account; None: nobody's, such as a sign-in under a name that there is not."""
    actor_id: Mapped[int | None] = mapped_column(BigInt)
    """Who did it; None: the server by itself, or somebody unknown."""
    path: Mapped[str | None] = mapped_column(Bytewise)
    """`ResourcePath.key` as it was then; ``/`` for the root."""
    to_path: Mapped[str | None] = mapped_column(Bytewise)
    size: Mapped[int | None] = mapped_column(BigInt)
    detail: Mapped[str | None] = mapped_column(Text)
    door: Mapped[str] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    device: Mapped[str | None] = mapped_column(Text)


class RecoveryCodeRow(Base):
    """What stands in for a code of the second factor, once."""

    __tablename__ = "recovery_code"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """Keyed hash of the code."""


class InvitationRow(Base):
    """An invitation that nobody has used yet."""

    __tablename__ = "invitation"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInt, index=True)
