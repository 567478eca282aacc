"""Background work, and the keys that content is sealed under."""

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from davserver.db.rows.base import Base, BigInt


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
