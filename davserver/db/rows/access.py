"""How people come in besides their password, and what was done."""

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from davserver.db.rows.base import Base, BigInt, Bytewise


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


class SigningKeyRow(Base):
    """A key that signs access tokens, reset links and invitations, or did; the secret that it takes besides is not here."""

    __tablename__ = "signing_key"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    """Empty for the first one, which has none."""
    made_at: Mapped[int] = mapped_column(BigInt)
    ends_at: Mapped[int | None] = mapped_column(BigInt)
    """From when on nothing that it signed is believed; None while it signs."""
