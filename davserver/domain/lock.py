"""Write locks (RFC 4918 sections 6 and 7)."""

from dataclasses import dataclass
from enum import StrEnum

from davserver.domain.clock import Micros
from davserver.domain.paths import ResourcePath


class LockScope(StrEnum):
    """RFC 4918 section 14.13."""

    EXCLUSIVE = "exclusive"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class ActiveLock:
    """A lock that is held (RFC 4918 section 14.1)."""

    token: str
    """A URI, ``urn:uuid:...``."""
    root: ResourcePath
    """The URL that was locked, below the share."""
    is_on_collection: bool
    """Whether `root` is a collection, so that its URL is written with a slash at the end."""
    scope: LockScope
    is_deep: bool
    """Depth: infinity, else 0."""
    owner_xml: str
    """The client's own `owner` element, serialised; empty when it sent none."""
    user_id: int
    """The principal that took it."""
    expires_at: Micros

    def seconds_left(self, now: Micros) -> int:
        """For the `timeout` element; never negative."""
        return max(0, (self.expires_at - now + 500_000) // 1_000_000)
