"""Listings: a resource with what is below it, as PROPFIND and its like want it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from davserver.domain.lock import ActiveLock
from davserver.domain.paths import ResourcePath, key_of
from davserver.domain.property import DeadProperty
from davserver.domain.resource import Resource, Usage
from davserver.domain.trash import Discarded
from davserver.domain.verdict import ScanReport


class Depth(StrEnum):
    """RFC 4918 section 10.2."""

    ZERO = "0"
    ONE = "1"
    INFINITY = "infinity"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listing should hold beside the resources; each costs one more query, however long the listing."""

    dead: bool = False
    locks: bool = False
    usage: bool = False
    scans: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of a listing."""

    names: tuple[str, ...]
    """Below the listed path; empty for itself."""
    resource: Resource
    dead: tuple[DeadProperty, ...] = ()
    locks: tuple[ActiveLock, ...] = ()
    """Those that cover it, inherited ones included, newest first."""
    discarded: Discarded | None = None
    """Of a member of the trash, and of nothing else."""
    scan: ScanReport | None = None
    """Of a file, when it was wanted."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A resource and, as deep as asked, what is below it."""

    entries: Iterable[Entry]
    """Itself first, a parent always before its members."""
    usage: Usage | None


def entries(
    path: ResourcePath,
    resources: Sequence[Resource],
    dead: Mapping[int, tuple[DeadProperty, ...]],
    locks: Sequence[ActiveLock],
    discarded: Mapping[int, Discarded],
    scans: Mapping[int, ScanReport],
) -> Iterator[Entry]:
    """Put together what the queries of a listing found. `resources` begin with the one at `path`; parents come first."""
    places: dict[int, tuple[str, ...]] = {resources[0].id: ()}
    covering = _Covering(path, locks)
    for resource in resources:
        names = places.get(resource.id)
        if names is None:
            names = (*places[resource.parent_id or 0], resource.name)
            if resource.is_collection:
                places[resource.id] = names
        yield Entry(
            names,
            resource,
            dead.get(resource.id, ()),
            covering.of(names) if locks else (),
            discarded.get(resource.id),
            scans.get(resource.id),
        )


class _Covering:
    """Which locks cover a resource, without comparing every resource with every lock."""

    def __init__(self, path: ResourcePath, locks: Sequence[ActiveLock]) -> None:
        self._base = path.key
        self._order = {lock.token: at for at, lock in enumerate(locks)}
        self._by_root: dict[str, list[ActiveLock]] = {}
        for lock in locks:
            self._by_root.setdefault(lock.root.key, []).append(lock)

    def of(self, names: tuple[str, ...]) -> tuple[ActiveLock, ...]:
        key = self._base + "".join("/" + key_of(name) for name in names)
        found = list(self._by_root.get(key, ()))
        while key:
            key = key.rpartition("/")[0]
            found += [lock for lock in self._by_root.get(key, ()) if lock.is_deep]
        return tuple(sorted(found, key=lambda lock: self._order[lock.token]))
