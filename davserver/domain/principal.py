"""Who acts: the first argument of every service method."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from davserver.domain.errors import OutsidePrefix, ReadOnlyToken
from davserver.domain.paths import ResourcePath


class Door(StrEnum):
    """The ways in."""

    WEBDAV = "webdav"
    REST = "rest"
    LINK = "link"
    CLI = "cli"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class Origin:
    """Through which door somebody came, from where, and with what: for the activity log. The one decision that hangs on it:
    the command line changes the drive of a user who is disabled, others do not."""

    door: Door
    address: str | None = None
    """The client's IP address; None for what began on this machine."""
    device: str | None = None
    """The name of the device token or of the session; None for the account's password."""


UNKNOWN_ORIGIN: Final = Origin(Door.WEBDAV)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user, through whichever door. `owner_id` is the tree that they see: their own."""

    user_id: int
    name: str
    is_admin: bool = False
    hides_trash: bool = False
    """Whether listings of the root leave out the trash, so that no sync client empties it by mistake."""
    read_only: bool = False
    """Whether they came with a token that may change nothing."""
    prefix: ResourcePath | None = None
    """The collection that their token is limited to; None: the whole tree."""
    origin: Origin = UNKNOWN_ORIGIN
    token_id: int | None = None
    """The device token that they came with: asked for again where a change commits."""
    session_id: str | None = None
    """The session that they came with; the same."""

    @property
    def owner_id(self) -> int:
        """The id of the tree's owner. Each user sees only their own tree."""
        return self.user_id

    def check_reach(self, path: ResourcePath) -> None:
        """Raise `OutsidePrefix` for a path that their token does not open, whatever is there."""
        if self.prefix is not None and not path.is_within(self.prefix):
            raise OutsidePrefix(f"This token opens {self.prefix.encoded}/ only.")

    def check_write(self) -> None:
        """Raise `ReadOnlyToken` when their token may change nothing."""
        if self.read_only:
            raise ReadOnlyToken
