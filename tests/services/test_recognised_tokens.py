"""A device token that was used a moment ago is known by one row, on either database."""

from davserver.domain.principal import Door, Origin, Principal
from davserver.services.devices import Devices, Limits
from tests.support.core import Core
from tests.support.core import path as at

HERE = Origin(Door.WEBDAV, "192.0.2.1")


def test_it_is_recognised_as_the_same_that_was_authenticated(core: Core, alice: Principal) -> None:
    devices = Devices(core.database, core.clock, core.random, b"secret")
    for name, limits in {"plain": Limits(), "limited": Limits(read_only=True, hides_trash=True)}.items():
        secret = devices.add(alice, name, limits).secret
        assert devices.recognise(secret, HERE, "alice") is None, "nobody has seen it yet"
        who = devices.authenticate(secret, HERE, "alice")
        seen = devices.recognise(secret, HERE, "Alice")
        assert seen is not None
        assert seen.principal == who
        core.put(alice, f"/{name}", b"content")
        later = devices.recognise(secret, HERE, "alice")
        assert later is not None
        assert later.stamp != seen.stamp, "the tree has changed"


def test_a_token_for_a_part_of_the_drive_is_not_recognised(core: Core, alice: Principal) -> None:
    devices = Devices(core.database, core.clock, core.random, b"secret")
    secret = devices.add(alice, "part", Limits(prefix=at("/a"))).secret
    assert devices.authenticate(secret, HERE) is not None
    assert devices.recognise(secret, HERE, "alice") is None
