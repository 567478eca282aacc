"""What was deleted and can still come back."""

from dataclasses import dataclass

from davserver.domain.clock import Micros
from davserver.domain.paths import ResourcePath
from davserver.domain.resource import Resource


@dataclass(frozen=True, slots=True)
class Discarded:
    """Where a member of the trash came from, and when it goes for good."""

    origin: ResourcePath
    """Where it was."""
    discarded_at: Micros
    purge_at: Micros
    is_replaced: bool
    """Whether it is older content of a file, which was not deleted but overwritten."""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A member of the trash: the root of what was discarded, with what lies below it."""

    resource: Resource
    """Its name is the one that it has in the trash, where no two have the same; see `Discarded.origin` for the one before."""
    discarded: Discarded
    files: int
    """How many files it is, or holds."""
    size: int
    """Bytes of content of all of them."""
