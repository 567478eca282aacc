"""A request head: bytes in, a checked `Head` out. Strict, because what two programs read differently can be smuggled.

Sources: RFC 9112 (request line 3, fields 5, framing 6), RFC 9110 (Expect 10.1.1, Connection 7.6.1), PEP 3333 (environ).
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from davserver.http.config import HttpConfig

# Control characters but tab, CR and LF; those two are counted instead, so that none stands alone.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION = re.compile(r"HTTP/([0-9])\.([0-9])")
_ABSOLUTE = re.compile(r"https?://([^/?#]+)([^#]*)", re.IGNORECASE)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DIGITS = re.compile(r"[0-9]{1,18}")

UNCLEAR_PATH = "/\x00"
"""How PATH_INFO begins when the target does not decode to one clear path; the raw path follows."""

_CONTENT_LENGTH, _TRANSFER_ENCODING, _HTTP_HOST = "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_HOST"
_LONGEST_CACHED = 64
_ONCE = frozenset({_CONTENT_LENGTH, _HTTP_HOST})


class HeadRefusedError(Exception):
    """The head must be answered with `status`, and the connection closed, since its framing cannot be trusted."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        """Shown to the client. Never holds what the client sent."""


@dataclass(slots=True)
class Head:
    """What a request head says, checked. Text is bytes read as Latin-1, as PEP 3333 wants it."""

    method: str
    target: str
    """As it was sent."""
    raw_path: str
    """The path of the target, not decoded; `*` for OPTIONS *."""
    query: str
    protocol: str
    """`HTTP/1.1` or `HTTP/1.0`."""
    fields: dict[str, str]
    """By environ key: CONTENT_TYPE, CONTENT_LENGTH, HTTP_..."""
    length: int
    """Bytes of the body; 0 when there is none, or when it is chunked."""
    chunked: bool
    keep_alive: bool
    """The client's wish."""
    expects_continue: bool


def parse_head(raw: bytes, config: HttpConfig) -> Head:
    """Read a head, from the request line up to and without the empty line, or raise `HeadRefusedError`."""
    line_ends = raw.count(b"\r\n")
    if raw.count(b"\n") != line_ends or raw.count(b"\r") != line_ends or _CONTROL.search(raw):
        raise _bad("Line ends must be CRLF, and control characters are not allowed.")
    if line_ends > config.max_fields:
        raise HeadRefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "Too many header fields.")
    request_line, *lines = raw.decode("latin-1").split("\r\n")
    method, target, protocol = _request_line(request_line, config)
    fields = _fields(lines)
    raw_path, query = _split_target(method, target, fields)
    _check_host(fields, protocol)
    length, chunked = _framing(fields, protocol)
    keep_alive = _keep_alive(fields, protocol)
    expects = _expects(fields, protocol) and (chunked or length > 0)
    return Head(method, target, raw_path, query, protocol, fields, length, chunked, keep_alive, expects)


def path_info(raw_path: str) -> str:
    """PATH_INFO of an undecoded path: decoded when that is clear, else marked as unclear.

    An encoded slash or NUL and an escape that is none would make different targets look alike once decoded. For these
    the answer is "/", a NUL and the raw path: no clear path holds a NUL, so it is like no other, and whoever does not
    look at the raw path meets a name that nothing can have.
    """
    if "%" not in raw_path:
        return raw_path
    lower = raw_path.lower()
    if "%2f" in lower or "%00" in lower or _BAD_ESCAPE.search(raw_path):
        return UNCLEAR_PATH + raw_path
    return unquote_to_bytes(raw_path.encode("latin-1")).decode("latin-1")


def is_host(text: str) -> bool:
    """Whether it can stand in a Host field: a name or an address, perhaps with a port."""
    return _HOST.fullmatch(text) is not None


def _bad(reason: str) -> HeadRefusedError:
    return HeadRefusedError(HTTPStatus.BAD_REQUEST, reason)


def _request_line(line: str, config: HttpConfig) -> tuple[str, str, str]:
    parts = line.split(" ")
    if len(parts) != 3 or not parts[1] or "\t" in line:
        raise _bad("Malformed request line.")
    method, target, protocol = parts
    if len(target) > config.max_target_bytes:
        raise HeadRefusedError(HTTPStatus.REQUEST_URI_TOO_LONG, "The request target is too long.")
    if not _TOKEN.fullmatch(method):
        raise _bad("Malformed method.")
    if protocol in ("HTTP/1.1", "HTTP/1.0"):
        return method, target, protocol
    version = _VERSION.fullmatch(protocol)
    if not version:
        raise _bad("Malformed protocol version.")
    if version[1] != "1":
        raise HeadRefusedError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Only HTTP/1 is spoken here.")
    return method, target, "HTTP/1.1"


@lru_cache(maxsize=1024)
def _environ_key(name: str) -> str | None:
    """Name of a field in environ; "" for a field to be dropped; None for a name that is none."""
    if not _TOKEN.fullmatch(name):
        return None
    key = name.upper().replace("-", "_")
    # X_User and X-User have one key: only the one that a proxy can be told to set, and to strip, may pass.
    # A field named Proxy would become HTTP_PROXY, which programs take for a setting.
    if "_" in name or key == "PROXY":
        return ""
    return key if key in ("CONTENT_TYPE", _CONTENT_LENGTH) else "HTTP_" + key


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        # A folded line begins with a blank and a blank before the colon is one in the name: neither is a token.
        name, colon, value = line.partition(":")
        key = _environ_key(name) if len(name) <= _LONGEST_CACHED else _environ_key.__wrapped__(name)
        if key is None or not colon:
            raise _bad("Malformed header field.")
        if not key:
            continue
        value = value.strip(" \t")
        if key in fields:
            if key in _ONCE:
                raise _bad("A header field that may stand once stands twice.")
            value = f"{fields[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{value}"
        fields[key] = value
    return fields


def _split_target(method: str, target: str, fields: dict[str, str]) -> tuple[str, str]:
    """Path and query of a target in origin, absolute or asterisk form (RFC 9112 3.2)."""
    if "#" in target:
        raise _bad("A request target has no fragment.")
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    if target == "*" and method == "OPTIONS":
        return "*", ""
    absolute = _ABSOLUTE.fullmatch(target)
    if not absolute or method == "CONNECT":
        raise _bad("Malformed request target.")
    # RFC 9112 3.2.2: the authority of the target counts, whatever Host says.
    fields[_HTTP_HOST] = absolute[1]
    path, _, query = absolute[2].partition("?")
    return path or "/", query


def _check_host(fields: dict[str, str], protocol: str) -> None:
    host = fields.get(_HTTP_HOST)
    if host is None:
        if protocol != "HTTP/1.0":
            raise _bad("The Host field is missing.")
    elif not is_host(host):
        raise _bad("Malformed host.")


def _framing(fields: dict[str, str], protocol: str) -> tuple[int, bool]:
    """Length of the body and whether it is chunked (RFC 9112 6.3), from one clear statement or none."""
    coding, length = fields.get(_TRANSFER_ENCODING), fields.get(_CONTENT_LENGTH)
    if coding is not None:
        if length is not None or protocol == "HTTP/1.0" or coding.lower() != "chunked":
            raise _bad("The framing of the body is ambiguous or unknown.")
        return 0, True
    if length is None:
        return 0, False
    if not _DIGITS.fullmatch(length):
        raise _bad("Malformed Content-Length.")
    return int(length), False


def _keep_alive(fields: dict[str, str], protocol: str) -> bool:
    connection = fields.get("HTTP_CONNECTION")
    if connection is None:
        return protocol != "HTTP/1.0"
    options = {option.strip() for option in connection.lower().split(",")}
    return "close" not in options and (protocol != "HTTP/1.0" or "keep-alive" in options)


def _expects(fields: dict[str, str], protocol: str) -> bool:
    expect = fields.get("HTTP_EXPECT")
    if expect is None or protocol == "HTTP/1.0":
        return False
    if expect.lower() != "100-continue":
        raise HeadRefusedError(HTTPStatus.EXPECTATION_FAILED, "Only 100-continue can be expected.")
    return True
