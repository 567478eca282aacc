"""Download links, as their owner sees them."""

from dataclasses import dataclass, field

from davserver.domain.clock import Micros
from davserver.domain.paths import ResourcePath


@dataclass(frozen=True, slots=True)
class Link:
    """A way to a file or a folder for whoever has its token."""

    id: int
    name: str
    """What its owner calls it."""
    path: ResourcePath | None
    """Where what it shows is now; None while that is in the trash."""
    has_password: bool
    expires_at: Micros | None
    max_uses: int | None
    uses: int
    """Downloads that were begun."""
    created_at: Micros
    used_at: Micros | None


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link with its token, which is shown this once."""

    link: Link
    token: str = field(repr=False)
