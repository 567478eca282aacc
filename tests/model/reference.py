"""What a drive should do, as plain dictionaries: the model that the real one is compared with."""

from dataclasses import dataclass, field

Path = tuple[str, ...]


@dataclass
class Node:
    """A collection (`body` is None) or a file."""

    body: bytes | None = None
    etag: str = ""
    colour: str = ""
    """The value of the one dead property that the model knows."""

    @property
    def is_collection(self) -> bool:
        return self.body is None

    def copy(self) -> "Node":
        return Node(self.body, self.etag, self.colour)


@dataclass
class Held:
    """An exclusive lock."""

    token: str
    path: Path
    is_deep: bool

    def covers(self, path: Path) -> bool:
        return path == self.path or (self.is_deep and path[: len(self.path)] == self.path)

    def is_within(self, path: Path) -> bool:
        return self.path[: len(path)] == path


Subtree = dict[Path, Node]
"""Nodes by their path below its root, which is ``()``."""


@dataclass
class Model:
    """One user's drive. Each method returns the status to expect and, when that is a success, does the change."""

    live: Subtree = field(default_factory=lambda: {(): Node()})
    trash: dict[str, Subtree] = field(default_factory=dict)
    locks: list[Held] = field(default_factory=list)
    discarded: list[Subtree] = field(default_factory=list)
    """What the last change put into the trash, whose names there only the server knows."""

    def subtree(self, path: Path) -> Subtree:
        return {p[len(path) :]: node for p, node in self.live.items() if p[: len(path)] == path}

    def is_blocked(self, path: Path, tokens: set[str], *, membership: bool = False, subtree: bool = False) -> bool:
        return any(
            lock.token not in tokens
            and (
                lock.covers(path)
                or (membership and bool(path) and lock.path == path[:-1])
                or (subtree and lock.is_within(path))
            )
            for lock in self.locks
        )

    def has_parent(self, path: Path) -> bool:
        parent = self.live.get(path[:-1])
        return parent is not None and parent.is_collection

    def put(self, path: Path, body: bytes, tokens: set[str]) -> int:
        node = self.live.get(path)
        if node is not None and node.is_collection:
            return 405
        if not self.has_parent(path):
            return 409
        if self.is_blocked(path, tokens, membership=node is None):
            return 423
        if node is None:
            self.live[path] = Node(body)
            return 201
        if node.body:
            self.discarded.append({(): Node(node.body, node.etag)})
        self.live[path] = Node(body, colour=node.colour)
        return 204

    def mkcol(self, path: Path, tokens: set[str]) -> int:
        if path in self.live:
            return 405
        if not self.has_parent(path):
            return 409
        if self.is_blocked(path, tokens, membership=True):
            return 423
        self.live[path] = Node()
        return 201

    def delete(self, path: Path, tokens: set[str]) -> int:
        if path not in self.live:
            return 404
        if self.is_blocked(path, tokens, membership=True, subtree=True):
            return 423
        self.discard(path)
        return 204

    def discard(self, path: Path) -> None:
        self.discarded.append(self.remove(path))

    def remove(self, path: Path) -> Subtree:
        taken = self.subtree(path)
        for below in taken:
            del self.live[path + below]
        self.locks = [lock for lock in self.locks if not lock.is_within(path)]
        return taken

    def transfer(
        self, source: Path, destination: Path, tokens: set[str], *, overwrite: bool, deep: bool, moving: bool
    ) -> int:
        """COPY and MOVE within the drive."""
        node = self.live.get(source)
        if node is None:
            return 404
        is_inside = destination[: len(source)] == source
        if is_inside and (moving or destination == source or (deep and node.is_collection)):
            return 403
        if source[: len(destination)] == destination:
            return 403
        status = self._clear_the_way(destination, tokens, overwrite=overwrite, source=source if moving else None)
        if status >= 400:
            return status
        taken = self.subtree(source)
        if destination in self.live:
            self.discard(destination)
        if moving:
            self.remove(source)
        self._place(destination, taken if deep or moving else {(): taken[()]})
        return status

    def bring_back(self, name: str, destination: Path, tokens: set[str], *, overwrite: bool, moving: bool) -> int:
        """COPY and MOVE out of the trash."""
        status = self._clear_the_way(destination, tokens, overwrite=overwrite, source=None)
        if status >= 400:
            return status
        if destination in self.live:
            self.discard(destination)
        self._place(destination, self.trash[name])
        if moving:
            del self.trash[name]
        return status

    def _clear_the_way(self, destination: Path, tokens: set[str], *, overwrite: bool, source: Path | None) -> int:
        exists = destination in self.live
        if exists and not overwrite:
            return 412
        if not self.has_parent(destination):
            return 409
        if source is not None and self.is_blocked(source, tokens, membership=True, subtree=True):
            return 423
        if self.is_blocked(destination, tokens, membership=not exists, subtree=exists):
            return 423
        return 204 if exists else 201

    def _place(self, destination: Path, subtree: Subtree) -> None:
        for below, node in subtree.items():
            self.live[destination + below] = node.copy()

    def lock(self, path: Path, tokens: set[str], *, deep: bool) -> int:
        if any(lock.covers(path) or (deep and lock.is_within(path)) for lock in self.locks):
            return 423
        if path in self.live:
            return 200
        if not self.has_parent(path):
            return 409
        if self.is_blocked(path, tokens, membership=True):
            return 423
        self.live[path] = Node(b"")
        return 201

    def proppatch(self, path: Path, colour: str, tokens: set[str]) -> int:
        if path not in self.live:
            return 404
        if self.is_blocked(path, tokens):
            return 423
        self.live[path].colour = colour
        return 207

    @property
    def used_bytes(self) -> int:
        trees = [self.live, *self.trash.values()]
        return sum(len(node.body or b"") for tree in trees for node in tree.values())
