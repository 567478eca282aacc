"""What a URL shows: resources and the state of their content (RFC 4918 section 5)."""

from dataclasses import dataclass

from davserver.domain.clock import Micros
from davserver.domain.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Revision:
    """One state of a file's bytes. Never changed: a PUT makes a new one, a COPY shares it."""

    id: int
    blob_id: str
    size: int
    """Bytes of content, before sealing."""
    etag: str
    """Opaque tag without quotes; strong (RFC 9110 section 8.8.3)."""
    content_type: str
    checksums: str
    """As clients of ownCloud's kind write them: ``SHA1:<hex> MD5:<hex>``; empty when none is known."""
    created_at: Micros
    verdict: Verdict = Verdict.NO_SCANNER
    """What is known of viruses in it; the one thing that changes."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection (no revision) or a file (with one) in somebody's tree."""

    owner_id: int
    id: int
    parent_id: int | None
    """None for the root of the tree."""
    name: str
    """As first written; empty for the root of the tree."""
    created_at: Micros
    modified_at: Micros
    revision: Revision | None

    @property
    def is_collection(self) -> bool:
        """Whether this has members rather than content."""
        return self.revision is None


@dataclass(frozen=True, slots=True)
class Usage:
    """What quota says (RFC 4331), in bytes. `available` is None without a limit anywhere."""

    used: int
    available: int | None
    is_hidden: bool = False
    """Whether the owner wants WebDAV not to tell."""
