"""Where a resource is: the path below the share, as a value.

A name is Unicode text of at most 255 bytes of UTF-8. Two spellings of one name (NFC and NFD) are the same name: they are
matched by `key_of`, and shown as they were first written. Characters that XML 1.0 cannot carry are refused, because one of
them would break the listing of its whole collection (RFC 4918 section 9.1 answers are XML).
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, unquote_to_bytes

from davserver.domain.errors import InvalidName, NameTooLong, PathTooDeep

MAX_NAME_BYTES: Final = 255
DEFAULT_MAX_DEPTH: Final = 100

UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""C0 and C1 controls, DEL, surrogates and the two non-characters that XML refuses."""
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)
_BAD_ESCAPE = re.compile("%(?![0-9a-fA-F]{2})")
_SAFE: Final = "!$'()*+,;=:@~"
"""Besides letters, digits and ``-._~``: what may stand literally in a path segment (RFC 3986 section 3.3) but ``&``, which
old XML readers of clients stumble over when it comes as an entity (clients rule R17)."""


def key_of(name: str) -> str:
    """The form in which names are compared: Unicode NFC."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def check_name(name: str) -> str:
    """Return `name` when it can be stored; raise `InvalidName` or `NameTooLong`."""
    if not name or name in {".", ".."} or "/" in name:
        raise InvalidName("A name must not be empty, '.', '..' or hold a slash.")
    if UNFIT.search(name):
        raise InvalidName("A name must not hold control characters or non-characters.")
    if len(name.encode()) > MAX_NAME_BYTES or len(key_of(name).encode()) > MAX_NAME_BYTES:
        raise NameTooLong
    return name


def quote_name(name: str) -> str:
    """One path segment, percent-encoded with upper-case hexadecimal digits."""
    return quote(name, safe=_SAFE)


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """A path below the share: the names from the top down. Empty for the root of the tree.

    Names are kept as the client sent them (decoded); `keys` are what they are matched by.
    """

    names: tuple[str, ...]

    @classmethod
    def parse(cls, raw: str, *, max_depth: int = DEFAULT_MAX_DEPTH) -> Self:
        """Read the percent-encoded path of a URL, below the share (no query, no fragment).

        Empty segments are dropped, so that ``/x`` and ``/x/`` are one resource. Raises `InvalidName` for ``%2F``, ``%00``,
        a bad escape, what is not UTF-8, ``.`` and ``..`` segments and unfit characters; `NameTooLong`; `PathTooDeep`.
        """
        if _ENCODED_SLASH.search(raw):
            raise InvalidName("An encoded slash (%2F) cannot be part of a name.")
        if _BAD_ESCAPE.search(raw):
            raise InvalidName("The URL has a percent sign that does not start an escape.")
        try:
            # The raw path may hold UTF-8 bytes that a client did not encode: WSGI hands them on as Latin-1.
            text = unquote_to_bytes(_octets(raw)).decode()
        except UnicodeDecodeError:
            raise InvalidName("The URL is not UTF-8.") from None
        return cls.of((s for s in text.split("/") if s), max_depth=max_depth)

    @classmethod
    def of(cls, names: Iterable[str], *, max_depth: int = DEFAULT_MAX_DEPTH) -> Self:
        """A path of these names, each checked."""
        checked = tuple(check_name(n) for n in names)
        if len(checked) > max_depth:
            raise PathTooDeep(f"The path has more than {max_depth} levels.")
        return cls(checked)

    @property
    def is_root(self) -> bool:
        """Whether this is the root of the tree."""
        return not self.names

    @property
    def name(self) -> str:
        """The last name; empty for the root."""
        return self.names[-1] if self.names else ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The names as they are matched."""
        return tuple(key_of(n) for n in self.names)

    @property
    def key(self) -> str:
        """One string to match the whole path by: keys, each behind a slash. Empty for the root."""
        return "".join("/" + key_of(n) for n in self.names)

    @property
    def parent(self) -> "ResourcePath":
        """The path one level up; the root is its own parent."""
        return ResourcePath(self.names[:-1])

    def child(self, name: str) -> "ResourcePath":
        """The path of a member. The name is trusted: it comes from the tree or was checked."""
        return ResourcePath((*self.names, name))

    def is_within(self, other: "ResourcePath") -> bool:
        """Whether this is `other` or lies below it."""
        return self.keys[: len(other.names)] == other.keys

    @property
    def encoded(self) -> str:
        """The path percent-encoded, with a leading slash and none at the end; empty for the root."""
        return "".join("/" + quote_name(n) for n in self.names)


def _octets(raw: str) -> bytes:
    try:
        return raw.encode("latin-1")
    except UnicodeEncodeError:
        return raw.encode()
