"""Where a request goes: paths as they came, below a share (rules R24 and R34 of the clients)."""

from typing import Any

import pytest

from davserver.domain.errors import BadRequest, DavserverError, DestinationElsewhere, InvalidName, Unauthenticated
from davserver.services.listing import Depth
from providers.request import DavRequest, below_base, raw_path
from tests.support.drive import Sent, environ_of


class Settings:
    class config:  # noqa: N801
        max_depth = 5


def request(target: str = "/dav/", base: str = "/dav", **headers: str) -> DavRequest:
    environ = environ_of("MOVE", target, Sent(b""), {name.replace("_", "-"): value for name, value in headers.items()})
    services: Any = Settings
    return DavRequest(environ, services, base)


@pytest.mark.parametrize(
    ("raw", "base", "below"),
    [
        ("/dav", "/dav", ""),
        ("/dav/", "/dav", "/"),
        ("/dav/a/b", "/dav", "/a/b"),
        ("/dav/a%2Fb", "/dav", "/a%2Fb"),
        ("/%64av/a", "/dav", "/a"),
        ("//dav/a", "/dav", "/a"),
        ("/davx", "/dav", None),
        ("/Dav/a", "/dav", None),
        ("/dav%2Fa", "/dav", None),
        ("/", "/dav", None),
        ("/x/y/a", "/x/y", "/a"),
        ("/x", "/x/y", None),
        ("/my%20files/a", "/my%20files", "/a"),
        ("/a", "", "/a"),
        ("/", "", "/"),
    ],
)
def test_what_is_below_a_share_is_found_by_the_path_as_it_came(raw: str, base: str, below: str | None) -> None:
    assert below_base(raw, base) == below


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"davserver.raw_path": "/a%2Fb", "REQUEST_URI": "/x"}, "/a%2Fb"),
        ({"REQUEST_URI": "/a%2Fb?q#f"}, "/a%2Fb"),
        ({"REQUEST_URI": "http://host:1/a%3Fb?q"}, "/a%3Fb"),
        ({"REQUEST_URI": "//a/b"}, "//a/b"),
        ({"RAW_URI": "/r"}, "/r"),
        ({"SCRIPT_NAME": "/s", "PATH_INFO": "/ü".encode().decode("latin-1")}, "/s/%C3%BC"),
    ],
)
def test_the_path_is_taken_as_it_came_where_a_server_tells_it(environ: dict[str, Any], path: str) -> None:
    assert raw_path(environ) == path


@pytest.mark.parametrize(
    "destination",
    [
        "/dav/a%20b",
        "http://localhost/dav/a%20b",
        "https://other.example:8443/dav/a%20b",
        "webdav://host/dav/a%20b",
        "http://user:p%40ss@host/dav/a%20b",
        "HTTP://HOST/dav/a%20b",
        "//host/dav/a%20b",
        " /dav/a%20b ",
        "/dav/a%20b/",
        "/dav/a%20b?query#fragment",
        "http://host/dav/a b",
    ],
)
def test_r34_of_a_destination_its_path_alone_counts(destination: str) -> None:
    assert request(Destination=destination).destination.names == ("a b",)


@pytest.mark.parametrize(
    ("destination", "names"),
    [
        ("/dav/a%3Fb", ("a?b",)),
        ("/dav/a;b", ("a;b",)),
        ("/dav/a%23b", ("a#b",)),
        ("/dav/a+b", ("a+b",)),
        ("/dav/x://y", ("x:", "y")),
    ],
)
def test_punctuation_in_a_destination_belongs_to_its_name(destination: str, names: tuple[str, ...]) -> None:
    assert request(Destination=destination).destination.names == names


@pytest.mark.parametrize(
    ("destination", "error"),
    [
        ("", BadRequest),
        ("relative", BadRequest),
        ("/elsewhere/a", DestinationElsewhere),
        ("http://host", DestinationElsewhere),
        ("/dav/../x", InvalidName),
        ("/dav/a%2Fb", InvalidName),
        ("/dav/%FF", InvalidName),
    ],
)
def test_a_destination_that_cannot_be_is_refused(destination: str, error: type[DavserverError]) -> None:
    with pytest.raises(error):
        _ = request(Destination=destination).destination


def test_a_request_has_a_principal_or_says_that_it_has_none() -> None:
    with pytest.raises(Unauthenticated):
        _ = request().principal


@pytest.mark.parametrize(
    ("sent", "depth"),
    [
        ("0", Depth.ZERO),
        ("1", Depth.ONE),
        ("Infinity", Depth.INFINITY),
        ("1,noroot", Depth.ONE),
        ("", Depth.ONE),
        (" 0 ", Depth.ZERO),
    ],
)
def test_r14_depth_is_read_with_its_odd_spellings(sent: str, depth: Depth) -> None:
    assert request(Depth=sent).depth(Depth.ONE) is depth


def test_overwrite_is_t_unless_it_says_f() -> None:
    assert request().overwrite
    assert request(Overwrite="t").overwrite
    assert not request(Overwrite="f").overwrite
    with pytest.raises(BadRequest):
        _ = request(Overwrite="maybe").overwrite


def test_r43_a_tagged_list_names_a_path_whatever_the_host() -> None:
    header = "<http://other:1/dav/a> (<urn:x>) </dav/b> (Not <urn:y>) <http://other/elsewhere> (<urn:z>)"
    lists = request(If=header).preconditions.if_lists
    assert [lst.path.names if lst.path else None for lst in lists] == [("a",), ("b",), None]
    assert [lst.elsewhere for lst in lists] == [False, False, True]
