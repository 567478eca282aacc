"""Dead properties: all updates of a request or none, in order, and where they go with their resource."""

import pytest

from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import Locked, NotFound
from davserver.domain.lock import LockScope
from davserver.domain.principal import Principal
from davserver.domain.property import PropertyName, PropertyUpdate
from davserver.services.listing import Depth
from davserver.services.locks import LockRequest
from tests.support.core import Core, path

A, B = PropertyName("urn:a", "p"), PropertyName("urn:b", "p")


def patch(core: Core, who: Principal, where: str, *updates: tuple[PropertyName, str | None]) -> None:
    core.properties.patch(who, path(where), [PropertyUpdate(*update) for update in updates])


def dead(core: Core, who: Principal, where: str) -> dict[PropertyName, str]:
    (entry,) = core.listing(who, where, Depth.ZERO)
    return {found.name: found.xml for found in entry.dead}


def test_updates_apply_in_order(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    patch(core, alice, "/d", (A, "<one/>"), (B, "<two/>"), (A, None), (B, None), (B, "<three/>"))
    assert dead(core, alice, "/d") == {B: "<three/>"}
    patch(core, alice, "/d", (A, "<one/>"), (B, None), (PropertyName("", "absent"), None))
    assert dead(core, alice, "/d") == {A: "<one/>"}


def test_names_are_told_apart_by_namespace_and_case(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d")
    names = [PropertyName(namespace, name) for namespace in ("", "urn:a", "URN:A") for name in ("p", "P")]
    patch(core, alice, "/d", *((name, f"<p n='{at}'/>") for at, name in enumerate(names)))
    assert dead(core, alice, "/d") == {name: f"<p n='{at}'/>" for at, name in enumerate(names)}


def test_properties_survive_put_and_move_and_go_with_what_replaces_them(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"old")
    core.put(alice, "/g", b"other")
    patch(core, alice, "/f", (A, "<one/>"))
    core.put(alice, "/f", b"new")
    assert dead(core, alice, "/f") == {A: "<one/>"}
    core.tree.move(alice, path("/f"), path("/h"), overwrite=False)
    assert dead(core, alice, "/h") == {A: "<one/>"}
    core.tree.copy(alice, path("/g"), path("/h"), overwrite=True, deep=True)
    assert dead(core, alice, "/h") == {}


def test_the_etag_stays_when_properties_change(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"x")
    etag = core.etag(alice, "/f")
    patch(core, alice, "/f", (A, "<one/>"))
    assert core.etag(alice, "/f") == etag


def test_times_can_be_set(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"x")
    core.properties.patch(alice, path("/f"), [], modified_at=5_000_000, created_at=4_000_000)
    found = core.tree.find(alice, path("/f"))
    assert (found.modified_at, found.created_at) == (5_000_000, 4_000_000)


def test_a_lock_of_ones_own_counts_as_shown_when_the_door_says_so(core: Core, alice: Principal) -> None:
    core.put(alice, "/f", b"x")
    core.locks.acquire(
        alice, path("/f"), LockRequest(LockScope.EXCLUSIVE, is_deep=False, owner_xml="", seconds=60), NO_CONDITIONS
    )
    with pytest.raises(Locked):
        patch(core, alice, "/f", (A, "<one/>"))
    core.properties.patch(alice, path("/f"), [PropertyUpdate(A, "<one/>")], lock_is_own=True)
    assert dead(core, alice, "/f") == {A: "<one/>"}


def test_a_listing_gives_each_resource_its_own(core: Core, alice: Principal) -> None:
    core.mkcol(alice, "/d", "/d/e")
    core.put(alice, "/d/f", b"x")
    for where in ("/d", "/d/e", "/d/f"):
        patch(core, alice, where, (A, f"<p>{where}</p>"), (B, "<q/>"))
    for depth in (Depth.ONE, Depth.INFINITY):
        found = {"/".join(("/d", *e.names)): {d.name: d.xml for d in e.dead} for e in core.listing(alice, "/d", depth)}
        assert found == {where: {A: f"<p>{where}</p>", B: "<q/>"} for where in ("/d", "/d/e", "/d/f")}


def test_there_are_no_properties_on_nothing(core: Core, alice: Principal) -> None:
    with pytest.raises(NotFound):
        patch(core, alice, "/none", (A, "<one/>"))
