"""Who asked, behind proxies: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239), as trusted proxies wrote them.

A proxy adds, at the right, whom it got the request from. So the fields are read from the right, for as long as a trusted address
wrote what is read: the first address that is not trusted is the client. What stands to its left is the client's own invention.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, NamedTuple, TypeAlias

from davserver.http.head import is_host

Network: TypeAlias = IPv4Network | IPv6Network
_Address: TypeAlias = IPv4Address | IPv6Address

X_FORWARDED: Final = "x-forwarded"
FORWARDED: Final = "forwarded"

_FOR, _PROTO, _HOST = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"
_RFC_7239: Final = "HTTP_FORWARDED"
_SCHEMES: Final = frozenset({"http", "https"})
_CACHED: Final = 4096


class _Hop(NamedTuple):
    """What one proxy said of where it got a request from; empty is nothing."""

    client: str
    scheme: str
    host: str


class Proxies:
    """The trusted proxies, and which of the two kinds of fields they write.

    It must be one kind: a proxy passes on the other kind as the client sent it.
    """

    def __init__(self, trusted: Sequence[Network], fields: str = X_FORWARDED) -> None:
        """`fields` is `X_FORWARDED` or `FORWARDED`."""
        self._trusted = tuple(trusted)
        self._fields = fields
        self._trusts = lru_cache(_CACHED)(self._is_trusted)

    def apply(self, environ: dict[str, Any]) -> None:
        """Put the client's address, scheme and host into a WSGI environment, if the peer is a trusted proxy.

        The trace that it says the request is part of is put there as well, as ``davserver.traceparent``.

        The fields are taken out once they told the client's address. So where they still are, a proxy was on the way that is
        not trusted, or one that could not say: the address is a proxy's.
        """
        if not self._trusts(environ["REMOTE_ADDR"]):
            return
        environ["davserver.traceparent"] = environ.get("HTTP_TRACEPARENT")
        keys, hops = self._hops(environ)
        for hop in hops:
            if hop.scheme.lower() in _SCHEMES:
                environ["wsgi.url_scheme"] = hop.scheme.lower()
            if hop.host and is_host(hop.host):
                environ["HTTP_HOST"] = hop.host
            address, port = read_node(hop.client)
            if address is None:
                return
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = str(address), port
            if not self._trusts(str(address)):
                break
        for key in keys:
            environ.pop(key, None)

    def _hops(self, environ: dict[str, Any]) -> tuple[tuple[str, ...], Iterator[_Hop]]:
        if self._fields == FORWARDED:
            return (_RFC_7239,), _read_forwarded(environ.get(_RFC_7239, ""))
        return (_FOR, _PROTO, _HOST), _read_x_forwarded(*(environ.get(key, "") for key in (_FOR, _PROTO, _HOST)))

    def _is_trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


def read_node(text: str) -> tuple[_Address | None, str]:
    """Address and port of ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``; None for other names."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        return _address(text[1:-1]), ""
    if host.startswith("[") and host.endswith("]"):
        return _address(host[1:-1]), port
    if colon and ":" not in host:
        return _address(host), port
    return _address(text), ""


def _address(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that listens on :: shows IPv4 peers like that.
    return getattr(address, "ipv4_mapped", None) or address


def _from_the_right(text: str) -> list[str]:
    return [part.strip() for part in reversed(text.split(","))] if text else []


def _read_x_forwarded(clients: str, schemes: str, hosts: str) -> Iterator[_Hop]:
    """The hops, the nearest first. Proxies add to the list of addresses, and replace scheme and host or add to them too."""
    told = _from_the_right(schemes), _from_the_right(hosts)
    chain = _from_the_right(clients) or [""]
    for depth, client in enumerate(chain):
        scheme, host = (values[depth] if depth < len(values) else "" for values in told)
        yield _Hop(client, scheme, host)


def _read_forwarded(text: str) -> Iterator[_Hop]:
    """The hops, the nearest first. Cut at every comma, also in quotes: what a client left open must not eat what follows."""
    for element in _from_the_right(text):
        pairs = {}
        for pair in element.split(";"):
            name, _, value = pair.strip().partition("=")
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            pairs[name.lower()] = value
        yield _Hop(pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", ""))
