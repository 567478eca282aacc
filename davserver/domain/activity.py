"""The words of the activity log: who did what, when, to which path, from where, through which door and with what."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from davserver.domain.clock import Micros
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Door, Origin


class Action(StrEnum):
    """What can be done. The values are what is stored and shown; they never change their meaning."""

    UPLOADED = "uploaded"
    REPLACED = "replaced"
    COLLECTION_MADE = "collection_made"
    COPIED = "copied"
    MOVED = "moved"
    DELETED = "deleted"
    RESTORED = "restored"
    PURGED = "purged"
    TRASH_EMPTIED = "trash_emptied"
    TRASH_EXPIRED = "trash_expired"

    INFECTED = "infected"
    RELEASED = "released"
    RESCANNED = "rescanned"

    LINK_CREATED = "link_created"
    LINK_CHANGED = "link_changed"
    LINK_REVOKED = "link_revoked"
    LINK_OPENED = "link_opened"

    REGISTERED = "registered"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    SESSION_ENDED = "session_ended"
    SESSION_REUSED = "session_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of what happened
    PASSWORD_RESET_SENT = "password_reset_sent"  # noqa: S105 - the same
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the same
    TOKEN_CREATED = "token_created"  # noqa: S105 - the same
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - the same
    SECOND_FACTOR_ON = "second_factor_on"
    SECOND_FACTOR_OFF = "second_factor_off"
    SETTINGS_CHANGED = "settings_changed"

    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    USER_REMOVED = "user_removed"
    INVITED = "invited"
    JOB_RETRIED = "job_retried"
    JOB_FORGOTTEN = "job_forgotten"
    SIGNING_KEY_ROTATED = "signing_key_rotated"

    @property
    def is_audit(self) -> bool:
        """Whether it is about access and safety rather than everyday work on files."""
        return self not in _EVERYDAY


_EVERYDAY: Final = frozenset(
    {Action.UPLOADED, Action.REPLACED, Action.COLLECTION_MADE, Action.COPIED, Action.MOVED, Action.DELETED}
)


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One thing that was done."""

    id: int
    at: Micros
    action: Action
    owner: str | None
    """The name of the user whose drive or account it was done to; None when there is none of that name."""
    actor: str | None
    """The name of who did it; None when nobody did, as with what the server does by itself, or nobody knows."""
    path: str | None
    """Where, not encoded, as it was then."""
    to_path: str | None
    """Where to, of what was copied, moved or restored."""
    size: int | None
    """Bytes, of what was uploaded."""
    detail: str | None
    """More, in a few words: the name of a token, of a virus."""
    origin: Origin


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """Which entries are wanted: those that all of these hold for; None asks for nothing."""

    actions: frozenset[Action] | None = None
    path: ResourcePath | None = None
    """At this path or below it, or brought there."""
    since: Micros | None = None
    """At this time or later."""
    until: Micros | None = None
    """Before this time."""
    door: Door | None = None
    device: str | None = None
    address: str | None = None
    user: str | None = None
    """The name of whose drive or account it is, or of who did it."""
    audit_only: bool = False
