from ipaddress import ip_network

import pytest

from davserver.http.forwarded import Proxies
from tests.http.conftest import Echo, Serve

PEER = "10.0.0.2"
CLIENT = "192.0.2.9"
TRUSTED = ("10.0.0.0/8", "2001:db8::/32", "127.0.0.1")


def told(peer: str = PEER, fields: str = "x-forwarded", **headers: str) -> tuple[str, str, str]:
    """Address, scheme and host of a request with these header fields from this peer."""
    proxies = Proxies([ip_network(network) for network in TRUSTED], fields)
    environ = {
        "REMOTE_ADDR": peer, "REMOTE_PORT": "1", "wsgi.url_scheme": "http", "HTTP_HOST": "inside:8080",
        **{"HTTP_" + name.upper(): value for name, value in headers.items()},
    }  # fmt: skip
    proxies.apply(environ)
    return environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]


def test_what_a_trusted_proxy_says_is_believed() -> None:
    said = told(x_forwarded_for=CLIENT, x_forwarded_proto="https", x_forwarded_host="drive.example:8443")
    assert said == (CLIENT, "https", "drive.example:8443")


def test_what_anybody_else_says_is_not() -> None:
    said = told("192.0.2.66", x_forwarded_for=CLIENT, x_forwarded_proto="https", x_forwarded_host="evil.example")
    assert said == ("192.0.2.66", "http", "inside:8080")


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (CLIENT, CLIENT),
        (f"1.1.1.1, {CLIENT}", CLIENT),
        (f"127.0.0.1,{CLIENT}", CLIENT),
        (f"1.1.1.1, {CLIENT}, 10.1.1.1", CLIENT),
        (f"{CLIENT},10.1.1.1 , 2001:db8::7", CLIENT),
        ("10.3.3.3, 10.1.1.1", "10.3.3.3"),
        (f"{CLIENT}:4711", CLIENT),
        ("[2001:beef::1]:4711", "2001:beef::1"),
        ("[2001:beef::1]", "2001:beef::1"),
        ("2001:BEEF::1", "2001:beef::1"),
        (f"::ffff:{CLIENT}", CLIENT),
        (f"{CLIENT}, ::ffff:10.1.1.1", CLIENT),
        ("unknown", PEER),
        (f"{CLIENT}, unknown", PEER),
        (f"{CLIENT}, unknown, 10.1.1.1", "10.1.1.1"),
        (f"{CLIENT},", PEER),
        ("", PEER),
        ("1.2.3.4.5", PEER),
        ("1:2:3", PEER),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_not_trusted(chain: str, address: str) -> None:
    assert told(x_forwarded_for=chain)[0] == address


@pytest.mark.parametrize(
    ("fields", "scheme", "host"),
    [
        ({"x_forwarded_proto": "HTTPS"}, "https", "inside:8080"),
        ({"x_forwarded_proto": "gopher", "x_forwarded_host": "a b"}, "http", "inside:8080"),
        ({"x_forwarded_proto": "http, https"}, "https", "inside:8080"),
        ({"x_forwarded_host": "evil.example, drive.example"}, "http", "drive.example"),
        ({"x_forwarded_host": 'a"><script>'}, "http", "inside:8080"),
        ({"x_forwarded_host": "[2001:db8::1]:443"}, "http", "[2001:db8::1]:443"),
    ],
)
def test_scheme_and_host_are_those_of_the_nearest_proxy_if_they_can_be(
    fields: dict[str, str], scheme: str, host: str
) -> None:
    assert told(x_forwarded_for=CLIENT, **fields) == (CLIENT, scheme, host)


def test_of_two_proxies_that_add_to_each_list_the_outer_one_met_the_client() -> None:
    said = told(
        x_forwarded_for=f"6.6.6.6, {CLIENT}, 10.1.1.1",
        x_forwarded_proto="http, https, http",
        x_forwarded_host="evil.example, drive.example, middle.example",
    )
    assert said == (CLIENT, "https", "drive.example")


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (f"for={CLIENT};proto=https;host=drive.example", (CLIENT, "https", "drive.example")),
        (f'For="{CLIENT}:80"; Proto=HTTPS ;Host="drive.example:8443"', (CLIENT, "https", "drive.example:8443")),
        ('for="[2001:beef::1]:4711"', ("2001:beef::1", "http", "inside:8080")),
        (f"for=6.6.6.6;proto=http, for={CLIENT};proto=https, for=10.1.1.1", (CLIENT, "https", "inside:8080")),
        (f'for="6.6.6.6, for={CLIENT};proto=https', (CLIENT, "https", "inside:8080")),
        ("for=_hidden;proto=https", (PEER, "https", "inside:8080")),
        ("for=unknown", (PEER, "http", "inside:8080")),
        ("proto=https", (PEER, "https", "inside:8080")),
        (";;=,", (PEER, "http", "inside:8080")),
        (f"by=10.0.0.2;for={CLIENT};x=y", (CLIENT, "http", "inside:8080")),
    ],
)
def test_the_standard_field_is_read_likewise(field: str, said: tuple[str, str, str]) -> None:
    assert told(fields="forwarded", forwarded=field) == said


def test_the_kind_of_fields_that_the_proxies_do_not_write_is_the_client_s_invention() -> None:
    assert told(x_forwarded_for=CLIENT, forwarded="for=6.6.6.6;proto=https")[:2] == (CLIENT, "http")
    assert told(fields="forwarded", forwarded=f"for={CLIENT}", x_forwarded_for="6.6.6.6")[0] == CLIENT


def test_the_fields_stay_only_where_the_address_is_a_proxy_s() -> None:
    proxies = Proxies([ip_network(network) for network in TRUSTED])

    def left(peer: str, chain: str) -> bool:
        environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": chain, "HTTP_HOST": "h"}
        proxies.apply(environ)
        return "HTTP_X_FORWARDED_FOR" in environ

    assert not left(PEER, CLIENT)
    assert not left(PEER, "10.1.1.1")
    assert left(PEER, "unknown")
    assert left("192.0.2.66", CLIENT)


REQUEST = b"GET / HTTP/1.1\r\nHost: inside\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\n\r\n"


def test_a_server_believes_its_proxies_and_by_default_nobody(serve: Serve, echo: Echo) -> None:
    serve(echo).ask(REQUEST)
    serve(echo, trusted_proxies=(ip_network("127.0.0.0/8"),)).ask(REQUEST)
    serve(echo, trusted_proxies=(ip_network("192.0.2.0/24"),)).ask(REQUEST)
    seen = [(environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) for environ in echo.environs]
    assert seen == [("127.0.0.1", "http"), ("192.0.2.9", "https"), ("127.0.0.1", "http")]
