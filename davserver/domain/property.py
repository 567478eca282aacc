"""Properties (RFC 4918 section 4): their names, dead ones, and what PROPPATCH asks for."""

from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_NAMESPACE_CHARS: Final = 512
MAX_PROPERTY_NAME_CHARS: Final = 255
DAV: Final = "DAV:"


class PropertyName(NamedTuple):
    """An XML expanded name. `namespace` is empty where none was given."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class DeadProperty:
    """A property that the server keeps without understanding it."""

    name: PropertyName
    xml: str
    """The whole property element, serialised, with every namespace and xml:lang that it needs in scope."""


@dataclass(frozen=True, slots=True)
class PropertyUpdate:
    """One instruction of a PROPPATCH, in document order (RFC 4918 section 9.2): `xml` is None to remove."""

    name: PropertyName
    xml: str | None
