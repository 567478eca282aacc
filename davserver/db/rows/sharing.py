"""What is shown besides the files: download links and previews."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from davserver.db.rows.base import Base, BigInt


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
