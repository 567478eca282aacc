"""What a setting can hold: how its text is read, what is allowed, how it is shown. Human units in, plain numbers out."""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Generic, TypeVar

T = TypeVar("T")

HIDDEN: Final = "***"


class Secret:
    """A text that no log, error or repr shows. `reveal` is the one way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


class SecretUrl(Secret):
    """A URL that may hold a password: shown without it."""

    __slots__ = ()

    @property
    def scheme(self) -> str:
        """What stands before the colon, without a driver's name: ``postgresql``."""
        return self._text.partition(":")[0].partition("+")[0].lower()

    def __repr__(self) -> str:
        # A password with an odd character must not end up before the match, so: everything up to the last @.
        shown = re.sub(r"://.*@", f"://{HIDDEN}@", self._text, flags=re.DOTALL)
        return re.sub(r"(?i)((?:password|passfile|sslpassword)=)[^&]*", rf"\1{HIDDEN}", shown)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """How a value is read from YAML or the environment."""

    allowed: str
    """What is allowed, to stand after "must be"."""
    parse: Callable[[object], T]
    """Raises ValueError for what is not allowed; the caller says which setting it was."""
    show: Callable[[T], str] = str
    none: str = ""
    """What stands for "no value", where that can be said."""


def show(kind: Kind[T], value: T | None) -> str:
    """A value as `davserver config show` prints it."""
    return kind.none if value is None else kind.show(value)


_UNITS: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4, "P": 1024**5}
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGTP]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(r"(?:(\d+)d)?\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+)s)?", re.IGNORECASE | re.ASCII)
_TRUE: Final = {"true", "yes", "on", "1"}
_FALSE: Final = {"false", "no", "off", "0"}


def parse_size(value: object) -> int:
    """Bytes from ``1048576``, ``"10G"``, ``"1.5 MiB"``. K, M, G, T and P are powers of 1024. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _not_negative(value)
    match = _SIZE.fullmatch(_text(value))
    if match is None:
        raise ValueError("not a size")
    return (
        int(float(match[1]) * _UNITS[match[2].upper()]) if "." in match[1] else int(match[1]) * _UNITS[match[2].upper()]
    )


def show_size(size: int) -> str:
    """Bytes with the largest unit that leaves a whole number."""
    for unit in ("P", "T", "G", "M", "K"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


def parse_duration(value: object) -> int:
    """Seconds from ``90``, ``"90s"``, ``"24h"``, ``"1h30m"``, ``"7d"``. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _not_negative(value)
    text = _text(value)
    if text.isascii() and text.isdigit():
        return int(text)
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError("not a duration")
    return sum(int(count or 0) * seconds for count, seconds in zip(match.groups(), _SECONDS.values(), strict=True))


def show_duration(seconds: int) -> str:
    """Seconds as days, hours, minutes and seconds."""
    parts = []
    for unit, length in _SECONDS.items():
        count, seconds = divmod(seconds, length)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def text(allowed: str = "text", pattern: str = r"[^\x00-\x1f\x7f]{1,1000}") -> Kind[str]:
    """Text that `pattern` matches as a whole."""

    def parse(value: object) -> str:
        found = _text(value)
        if not re.fullmatch(pattern, found):
            raise ValueError("no match")
        return found

    return Kind(allowed, parse)


def integer(low: int, high: int) -> Kind[int]:
    """A whole number between the two, inclusive."""
    return Kind(f"a whole number from {low} to {high}", lambda value: _between(low, _integer(value), high))


def size(low: str, high: str) -> Kind[int]:
    """Bytes between the two, inclusive."""
    bounds = parse_size(low), parse_size(high)
    allowed = f"a size from {low} to {high}, such as 10M"
    return Kind(allowed, lambda value: _between(bounds[0], parse_size(value), bounds[1]), show_size)


def duration(low: str, high: str) -> Kind[int]:
    """Seconds between the two, inclusive."""
    bounds = parse_duration(low), parse_duration(high)
    allowed = f"a duration from {low} to {high}, such as 90s, 24h or 7d"
    return Kind(allowed, lambda value: _between(bounds[0], parse_duration(value), bounds[1]), show_duration)


def choice(*words: str) -> Kind[str]:
    """One of the words."""

    def parse(value: object) -> str:
        found = _text(value).lower()
        if found not in words:
            raise ValueError("not among them")
        return found

    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", parse)


def boolean() -> Kind[bool]:
    """Yes or no, in any of the usual words."""

    def parse(value: object) -> bool:
        if isinstance(value, bool):
            return value
        found = _text(value).lower()
        if found not in _TRUE | _FALSE:
            raise ValueError("neither yes nor no")
        return found in _TRUE

    return Kind("true or false", parse, lambda value: str(value).lower())


Network = IPv4Network | IPv6Network


def networks() -> Kind[tuple[Network, ...]]:
    """Addresses and networks, in a list or with commas; ``none`` for none."""

    def parse(value: object) -> tuple[Network, ...]:
        parts = value if isinstance(value, list) else _text(value).split(",")
        found = [_text(part) for part in parts]
        if [word.lower() for word in found] == ["none"]:
            return ()
        return tuple(ip_network(word) for word in found)

    return Kind(
        "none, or addresses and networks such as 192.0.2.7, 10.0.0.0/8",
        parse,
        lambda value: ", ".join(map(_show_network, value)) or "none",
    )


def _show_network(network: Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?/?", re.ASCII)
_PORTS: Final = {"http": "80", "https": "443"}


def origins() -> Kind[tuple[str, ...]]:
    """Origins of web programs (RFC 6454), in a list or with commas; ``none`` for none. There is no word for all of them."""

    def parse(value: object) -> tuple[str, ...]:
        parts = value if isinstance(value, list) else _text(value).split(",")
        found = [_text(part).lower() for part in parts]
        return () if found == ["none"] else tuple(map(_origin, found))

    allowed = "none, or origins such as https://app.example.org, http://localhost:3000 (not *, and without a path)"
    return Kind(allowed, parse, lambda value: ", ".join(value) or "none")


def _origin(text: str) -> str:
    """As a browser writes it: without the port that the scheme has anyway."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError("not an origin")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" if port is None or port == _PORTS.get(scheme) else f"{scheme}://{host}:{port}"


def web_address() -> Kind[str]:
    """An address that people reach the server by, without a slash at its end."""
    found = text(
        "an address such as https://drive.example.org", r"https?://[A-Za-z0-9._\[\]:-]+(?:/[A-Za-z0-9._~/-]*)?"
    )
    return Kind(found.allowed, lambda value: found.parse(value).rstrip("/"))


def path() -> Kind[Path]:
    """A file or folder."""

    def parse(value: object) -> Path:
        found = _text(value)
        if not found or "\0" in found:
            raise ValueError("not a path")
        return Path(found).expanduser()

    return Kind("a path", parse)


def secret(allowed: str, least: int = 1) -> Kind[Secret]:
    """Text of at least so many characters that is never shown."""

    def parse(value: object) -> Secret:
        found = _text(value)
        if len(found) < least:
            raise ValueError("too short")
        return Secret(found)

    return Kind(allowed, parse, repr)


def url(*starts: str) -> Kind[SecretUrl]:
    """A URL that begins with one of `starts`; shown without its password."""

    def parse(value: object) -> SecretUrl:
        found = _text(value)
        if not found.lower().startswith(starts):
            raise ValueError("another scheme")
        return SecretUrl(found)

    return Kind(f"a URL that begins with {' or '.join(starts)}", parse, repr)


def or_word(kind: Kind[T], word: str) -> Kind[T | None]:
    """What `kind` allows, or the word, which stands for None."""

    def parse(value: object) -> T | None:
        return None if isinstance(value, str) and value.strip().lower() == word else kind.parse(value)

    return Kind(f"{word}, or {kind.allowed}", parse, lambda value: show(kind, value), word)


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("not text")  # noqa: TRY004 - what parsers raise
    return str(value).strip()


def _integer(value: object) -> int:
    if isinstance(value, float):
        raise ValueError("not whole")  # noqa: TRY004 - the same
    return int(_text(value))


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("negative")
    return value


def _between(low: int, value: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError("out of range")
    return value
