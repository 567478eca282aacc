"""Read-only views of resources, for those parts of WsgiDAV that ask a provider for them."""

from collections.abc import Iterator
from urllib.parse import quote

from wsgidav.dav_provider import DAVCollection, DAVNonCollection

from davserver.domain.clock import SECOND
from davserver.domain.paths import ResourcePath
from davserver.domain.resource import Resource, Revision
from davserver.services.listing import Depth, Wanted
from providers.request import DavRequest


class FileView(DAVNonCollection):
    """A file. Whatever would change it is refused by the base class."""

    def __init__(self, path: str, request: DavRequest, resource: Resource, revision: Revision) -> None:
        super().__init__(path, request.environ)
        self._request = request
        self._resource = resource
        self._revision = revision

    def get_content_length(self) -> int:
        """Bytes."""
        return self._revision.size

    def get_content_type(self) -> str:
        """As stored."""
        return self._revision.content_type

    def get_etag(self) -> str:
        """Opaque, without quotes."""
        return self._revision.etag

    def support_etag(self) -> bool:
        """Every file has one."""
        return True

    def support_ranges(self) -> bool:
        """What `get_content` gives cannot be sought."""
        return False

    def get_last_modified(self) -> float:
        """Unix seconds."""
        return self._resource.modified_at / SECOND

    def get_creation_date(self) -> float:
        """Unix seconds."""
        return self._resource.created_at / SECOND

    def get_content(self) -> "Content":
        """The bytes, to be read from the start."""
        blocks = self._request.services.content.read(self._request.principal, self._resource, 0, self._revision.size)
        return Content(blocks)


class CollectionView(DAVCollection):
    """A collection. Whatever would change it is refused by the base class."""

    def __init__(self, path: str, request: DavRequest, resource: Resource) -> None:
        super().__init__(path, request.environ)
        self._request = request
        self._resource = resource

    def get_member_names(self) -> list[str]:
        """The names, as first written."""
        path = ResourcePath.parse(quote(self.path))
        listing = self._request.services.tree.listing(self._request.principal, path, Depth.ONE, Wanted())
        return [entry.resource.name for entry in listing.entries if entry.names]

    def get_last_modified(self) -> float:
        """Unix seconds."""
        return self._resource.modified_at / SECOND

    def get_creation_date(self) -> float:
        """Unix seconds."""
        return self._resource.created_at / SECOND


View = FileView | CollectionView


def view_of(request: DavRequest, path: str) -> View:
    """The view of the resource at a decoded path below the share. Raises `NotFound`, `InvalidName`."""
    resource = request.services.tree.find(request.principal, ResourcePath.parse(quote(path)))
    if resource.revision is None:
        return CollectionView(path, request, resource)
    return FileView(path, request, resource, resource.revision)


class Content:
    """A file to read from, over blocks as they come."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all for a negative one; empty at the end. Raises what the store raises."""
        if size < 0:
            whole, self._rest = self._rest + b"".join(self._blocks), b""
            return whole
        if not self._rest:
            self._rest = next(self._blocks, b"")
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def close(self) -> None:
        """No more is wanted."""
        self._rest, self._blocks = b"", iter(())
