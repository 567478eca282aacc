"""What a drive is, in plain dictionaries: the model that the real one is compared with.

Written from RFC 4918 and the documents, not from the services. It knows nothing of tables, revisions or blobs. For every
request it tells which refusals are right; with none, the request must succeed. Where several things are wrong at once any of
them may be told. Names in the trash are not predicted but taken over, as long as they are readable.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from davserver.domain import errors
from davserver.domain.errors import DavserverError

Path = tuple[str, ...]
Refusals = set[type[DavserverError]]
TRASH = ".trash"


def key(path: Path) -> Path:
    """What a path is matched by."""
    return tuple(unicodedata.normalize("NFC", name) for name in path)


def is_within(path: Path, other: Path) -> bool:
    """Whether `path` is `other` or lies below it."""
    return key(path)[: len(other)] == key(other)


@dataclass(eq=False)
class Node:
    """A file (no members) or a collection. Its identity stays when it is moved."""

    members: "dict[str, tuple[str, Node]] | None" = None
    """By the key of the name: the name as first written, and what it names."""
    content: bytes = b""
    etag: str = ""
    dead: dict[str, str] = field(default_factory=dict)

    @property
    def is_collection(self) -> bool:
        return self.members is not None

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, "Node"]]:
        """Itself and all below it."""
        yield path, self
        for name, node in (self.members or {}).values():
            yield from node.walk((*path, name))

    @property
    def size(self) -> int:
        """Bytes of content of itself and all below it."""
        return sum(len(node.content) for _, node in self.walk())

    def copy(self, *, deep: bool) -> "Node":
        """Another one that looks the same."""
        members = None
        if self.members is not None:
            members = {k: (name, node.copy(deep=True)) for k, (name, node) in self.members.items()} if deep else {}
        return Node(members, self.content, self.etag, dict(self.dead))


@dataclass(eq=False)
class Lock:
    token: str
    root: Path
    is_exclusive: bool
    is_deep: bool
    ends: int

    def covers(self, path: Path) -> bool:
        return key(self.root) == key(path) or (self.is_deep and is_within(path, self.root))


@dataclass(eq=False)
class Discarded:
    """A member of the trash."""

    node: Node
    origin: Path
    purge_at: int
    replaced: Node | None = None
    """The file whose older content this is."""


@dataclass
class DriveModel:
    """One user's drive. `keep`: how many older contents of a file the trash keeps."""

    quota: int | None
    keep: int
    retention: int
    root: Node = field(default_factory=lambda: Node({}))
    trash: dict[str, Discarded] = field(default_factory=dict)
    """By name in the trash, oldest first."""
    locks: list[Lock] = field(default_factory=list)
    arriving: list[Discarded] = field(default_factory=list)
    """Members of the trash whose names there are not known yet."""

    @property
    def used(self) -> int:
        """What the quota counts."""
        return self.root.size + sum(entry.node.size for entry in self.trash.values())

    def find(self, path: Path) -> Node | None:
        """What is at the path, in the tree or in the trash."""
        node, rest = self.root, path
        if path and path[0] == TRASH:
            node = Node({unicodedata.normalize("NFC", n): (n, entry.node) for n, entry in self.trash.items()})
            rest = path[1:]
        for name in key(rest):
            if node.members is None or name not in node.members:
                return None
            node = node.members[name][1]
        return node

    def parent(self, path: Path) -> Node | None:
        """The collection that the path is, or would be, a member of."""
        found = self.find(path[:-1]) if path else None
        return found if found is not None and found.is_collection else None

    def end_locks(self, now: int) -> None:
        """Forget locks whose time is over."""
        self.locks = [lock for lock in self.locks if lock.ends > now]

    # What stands in the way.

    def locked(self, path: Path, tokens: Iterable[str], *, membership: bool = False, subtree: bool = False) -> Refusals:
        """`Locked`, unless for each URL that is locked and in the way one of its tokens is shown (RFC 4918 section 7)."""
        in_the_way = [
            lock
            for lock in self.locks
            if lock.covers(path)
            or (membership and path and key(lock.root) == key(path[:-1]))
            or (subtree and is_within(lock.root, path))
        ]
        opened = {key(lock.root) for lock in in_the_way if lock.token in tokens}
        return {errors.Locked} if any(key(lock.root) not in opened for lock in in_the_way) else set()

    def no_place(self, path: Path) -> Refusals:
        """Why nothing new can be at the path."""
        if not path or path[0] == TRASH:
            return {errors.Forbidden}
        return set() if self.parent(path) is not None else {errors.ParentMissing}

    def no_room(self, size: int) -> Refusals:
        return (
            {errors.QuotaExceeded} if self.quota is not None and size > 0 and self.used + size > self.quota else set()
        )

    # What changes.

    def mkcol(self, path: Path, tokens: Iterable[str]) -> Refusals:
        if self.find(path) is not None:
            return {errors.AlreadyExists}
        refusals = self.no_place(path) | self.locked(path, tokens, membership=True)
        if not refusals:
            self.place(path, Node({}))
        return refusals

    def put(self, path: Path, content: bytes, tokens: Iterable[str], now: int) -> tuple[Refusals, Refusals]:
        """Refusals that are right, and such that may be given besides."""
        target = self.find(path)
        if target is not None and target.is_collection:
            return {errors.IsCollection}, {errors.Forbidden}
        refusals = self.no_place(path) | self.locked(path, tokens, membership=target is None)
        might = self.no_room(len(content))
        dropped = self.too_many(target) if target is not None and target.content else []
        freed = sum(len(self.trash[name].node.content) for name in dropped)
        refusals |= self.no_room(len(content) - freed) if len(content) > freed else set()
        return refusals, might

    def did_put(self, path: Path, content: bytes, etag: str, now: int) -> None:
        target = self.find(path)
        if target is None:
            self.place(path, Node(None, content, etag))
            return
        if target.content:
            for name in self.too_many(target):
                del self.trash[name]
            kept = Node(None, target.content, target.etag)
            self.arriving.append(Discarded(kept, path, now + self.retention, target))
        target.content, target.etag = content, etag

    def too_many(self, file: Node) -> list[str]:
        """The older contents that go when one more comes."""
        kept = [name for name, entry in self.trash.items() if entry.replaced is file]
        return kept[: max(0, len(kept) + 1 - self.keep)]

    def discard(self, path: Path, tokens: Iterable[str], now: int) -> Refusals:
        target = self.find(path)
        if target is None:
            return {errors.NotFound}
        if not path:
            return {errors.Forbidden}
        is_trash = path == (TRASH,)
        refusals = self.locked(path, tokens, membership=not is_trash, subtree=True)
        if refusals:
            return refusals
        if is_trash:
            self.trash.clear()
        elif path[0] == TRASH:
            self.remove(path)
        else:
            self.to_trash(path, now)
        return set()

    def copy(
        self, source: Path, destination: Path, tokens: Iterable[str], now: int, *, overwrite: bool, deep: bool
    ) -> Refusals:
        node = self.find(source)
        if node is None:
            return {errors.NotFound}
        refusals = self._no_goal(source, node, destination, tokens, overwrite=overwrite)
        if deep and node.is_collection and is_within(destination, source):
            refusals |= {errors.DestinationInsideSource, errors.SameResource}
        refusals |= self.no_room(node.size if deep or not node.is_collection else 0)
        if not refusals:
            made = node.copy(deep=deep)
            if self.find(destination) is not None:
                self.to_trash(destination, now)
            self.place(destination, made)
        return refusals

    def move(self, source: Path, destination: Path, tokens: Iterable[str], now: int, *, overwrite: bool) -> Refusals:
        node = self.find(source)
        if node is None:
            return {errors.NotFound}
        if not source or source == (TRASH,):
            return {errors.Forbidden}
        origin = self.locked(source, tokens, membership=True, subtree=True)
        if destination[:1] == (TRASH,):
            if source[0] == TRASH or len(destination) > 2:
                return origin | {errors.Forbidden}
            if not origin:
                self.to_trash(source, now)
            return origin
        refusals = origin | self._no_goal(source, node, destination, tokens, overwrite=overwrite)
        if is_within(destination, source):
            refusals |= {errors.DestinationInsideSource, errors.SameResource}
        if not refusals:
            if self.find(destination) is not None:
                self.to_trash(destination, now)
            self.drop_locks(source)
            self.remove(source)
            self.place(destination, node)
        return refusals

    def _no_goal(
        self, source: Path, node: Node, destination: Path, tokens: Iterable[str], *, overwrite: bool
    ) -> Refusals:
        target = self.find(destination)
        refusals = self.no_place(destination)
        refusals |= self.locked(destination, tokens, membership=target is None, subtree=target is not None)
        if target is node:
            refusals |= {errors.SameResource}
        if is_within(source, destination):
            refusals |= {errors.DestinationHoldsSource}
        if target is not None and not overwrite:
            refusals |= {errors.PreconditionFailed}
        return refusals

    def restore(self, name: str, now: int, *, overwrite: bool) -> Refusals:
        """Back to where it was, making collections that are missing on the way."""
        entry = self.trash.get(name)
        if entry is None:
            return {errors.NotFound}
        path = entry.origin
        target = self.find(path)
        if target is not None:
            refusals: Refusals = set() if overwrite else {errors.Conflict}
            refusals |= self.locked(path, (), subtree=True)
        else:
            there = max(depth for depth in range(len(path)) if self.find(path[:depth]) is not None)
            found = self.find(path[:there])
            refusals = set() if found is not None and found.is_collection else {errors.Conflict}
            refusals |= self.locked(path[: there + 1], (), membership=True)
        if refusals:
            return refusals
        if target is not None and target is entry.replaced:
            self._swap(name, entry, target, now)
            return set()
        if target is not None:
            self.to_trash(path, now)
        for depth in range(1, len(path)):
            if self.find(path[:depth]) is None:
                self.place(path[:depth], Node({}))
        del self.trash[name]
        self.place(path, entry.node)
        return set()

    def _swap(self, name: str, entry: Discarded, file: Node, now: int) -> None:
        kept = entry.node
        file.content, kept.content = kept.content, file.content
        file.etag, kept.etag = kept.etag, file.etag
        entry.purge_at = now + self.retention
        self.trash[name] = self.trash.pop(name)  # it is the youngest now

    def lock(self, path: Path, tokens: Iterable[str], *, exclusive: bool, deep: bool) -> Refusals:
        target = self.find(path)
        refusals: Refusals = {errors.Forbidden} if path[:1] == (TRASH,) else set()
        for lock in self.locks:
            near = lock.covers(path) or (deep and is_within(lock.root, path))
            if near and (exclusive or lock.is_exclusive):
                refusals |= {errors.LockConflict}
        if target is None:
            refusals |= self.no_place(path) | self.locked(path, tokens, membership=True)
        return refusals

    def did_lock(self, path: Path, token: str, etag: str, ends: int, *, exclusive: bool, deep: bool) -> None:
        target = self.find(path)
        if target is None:
            target = Node(None, b"", etag)
            self.place(path, target)
        self.locks.append(Lock(token, path, exclusive, deep and target.is_collection, ends))

    def unlock(self, path: Path, token: str) -> Refusals:
        if self.find(path) is None:
            return {errors.NotFound}
        for lock in self.locks:
            if lock.token == token and lock.covers(path):
                self.locks.remove(lock)
                return set()
        return {errors.LockTokenMismatch}

    def patch(self, path: Path, changes: dict[str, str | None], tokens: Iterable[str]) -> Refusals:
        target = self.find(path)
        if target is None:
            return {errors.NotFound}
        refusals: Refusals = {errors.Forbidden} if path[:1] == (TRASH,) else set()
        refusals |= self.locked(path, tokens)
        if not refusals:
            for name, value in changes.items():
                target.dead.pop(name, None)
                if value is not None:
                    target.dead[name] = value
        return refusals

    def purge_expired(self, now: int) -> None:
        self.trash = {name: entry for name, entry in self.trash.items() if entry.purge_at > now}

    # The pieces of a change.

    def place(self, path: Path, node: Node) -> None:
        parent = self.parent(path)
        assert parent is not None
        assert parent.members is not None
        parent.members[key(path)[-1]] = (path[-1], node)

    def remove(self, path: Path) -> Node:
        if path[0] == TRASH and len(path) == 2:
            return self.trash.pop(next(n for n in self.trash if key((n,)) == key(path[1:]))).node
        parent = self.parent(path)
        assert parent is not None
        assert parent.members is not None
        return parent.members.pop(key(path)[-1])[1]

    def to_trash(self, path: Path, now: int) -> None:
        self.drop_locks(path)
        self.arriving.append(Discarded(self.remove(path), path, now + self.retention))

    def drop_locks(self, path: Path) -> None:
        self.locks = [lock for lock in self.locks if not is_within(lock.root, path)]

    def arrived(self, names: Iterable[str]) -> None:
        """Take over the names that what was discarded has got in the trash."""
        new = [name for name in names if name not in self.trash]
        assert len(new) == len(self.arriving), f"{new} came into the trash, not {len(self.arriving)}"
        for entry, name in zip(self.arriving, new, strict=True):
            was, now = key((entry.origin[-1], name))
            stem, dot, extension = was.rpartition(".")
            stem, extension = (stem, dot + extension) if stem else (was, "")
            assert now.startswith(stem), f"{name} was {was}"
            assert now.endswith(extension), f"{name} was {was}"
            self.trash[name] = entry
        self.arriving = []
