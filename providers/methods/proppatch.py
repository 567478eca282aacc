"""PROPPATCH (RFC 4918 section 9.2)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, NamedTuple

from davserver.domain.clock import Micros
from davserver.domain.errors import Forbidden, InvalidXml, UnprocessableProperty
from davserver.domain.property import (
    DAV,
    MAX_NAMESPACE_CHARS,
    MAX_PROPERTY_NAME_CHARS,
    PropertyName,
    PropertyUpdate,
)
from providers.answer import Answer
from providers.body import RequestBody
from providers.live import OWNCLOUD, SETTABLE, WIN32, is_protected, parse_time
from providers.request import DavRequest
from providers.xml import (
    CONTENT_TYPE,
    Element,
    Multistatus,
    empty_element,
    name_of,
    parse,
    propstat,
    serialise,
    text_of,
)


class Outcome(NamedTuple):
    """What became of a property: its status in the `propstat`, and the condition that was not met."""

    status: str
    condition: str | None = None


_CHECKSUMS: Final = PropertyName(OWNCLOUD, "checksums")
_OK: Final = Outcome("200 OK")
_PROTECTED: Final = Outcome("403 Forbidden", "cannot-modify-protected-property")
_FORBIDDEN: Final = Outcome("403 Forbidden")
_UNFIT: Final = Outcome("409 Conflict")
_NOT_DONE: Final = Outcome("424 Failed Dependency")
_ORDER: Final = (_OK, _PROTECTED, _FORBIDDEN, _UNFIT, _NOT_DONE)


def proppatch(request: DavRequest) -> Answer:
    """Set and remove properties, all or none: 207 for whatever exists (rule R32), refusals are inside.

    Raises `NotFound`, `InvalidXml`, `BodyTooLarge`, `Locked`, `PreconditionFailed`.
    """
    resource = request.services.tree.find(request.principal, request.path)
    body = RequestBody(request).read_all(request.services.config.max_xml_size)
    patch = read_patch(body, resource.revision.checksums if resource.revision else "")
    if patch.refused:
        request.services.tree.check(request.principal, request.path, request.preconditions)
    else:
        try:
            _apply(request, patch)
        except Forbidden:
            patch = replace(patch, refused=dict.fromkeys(patch.names, _FORBIDDEN))
    document = Multistatus()
    document.add_propstats(request.href + ("/" if resource.is_collection else ""), patch.propstats())
    headers = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-cache")]
    return Answer(HTTPStatus.MULTI_STATUS, headers, document.document())


def _apply(request: DavRequest, patch: "Patch") -> None:
    preconditions = request.preconditions.without_cached_tags()
    request.services.properties.patch(
        request.principal,
        request.path,
        patch.dead,
        modified_at=patch.modified_at,
        created_at=patch.created_at,
        preconditions=preconditions,
        # Office sets the attributes of what it has locked without showing its token (rule R44).
        lock_is_own=not preconditions.tokens and patch.is_all_win32,
    )


@dataclass(frozen=True, slots=True)
class Patch:
    """What a PROPPATCH asks for."""

    names: tuple[PropertyName, ...]
    """All that it speaks of, once each."""
    refused: dict[PropertyName, Outcome]
    """Those that cannot be done; then nothing is."""
    dead: tuple[PropertyUpdate, ...]
    modified_at: Micros | None
    created_at: Micros | None

    @property
    def is_all_win32(self) -> bool:
        """Whether it is about the attributes and times of Windows alone."""
        return bool(self.names) and all(name.namespace == WIN32 for name in self.names)

    def propstats(self) -> Iterable[str]:
        """The `propstat` elements of the answer, successes first; one of them even when no property was named."""
        otherwise = _NOT_DONE if self.refused else _OK
        groups = {} if self.names else {_OK: ""}
        for name in self.names:
            outcome = self.refused.get(name, otherwise)
            groups[outcome] = groups.get(outcome, "") + empty_element(name)
        return [propstat(groups[outcome], *outcome) for outcome in _ORDER if outcome in groups]


def read_patch(body: bytes, checksums: str = "") -> Patch:
    """Read the body of a PROPPATCH; what is unknown in it is ignored. Raises `InvalidXml`, `BodyTooLarge`.

    `checksums` are those of the content that the properties are about, as ``SHA1:<hex>``.
    """
    root = parse(body)
    if name_of(root) != PropertyName(DAV, "propertyupdate"):
        raise InvalidXml("The body of PROPPATCH must be a propertyupdate element.")
    names: dict[PropertyName, None] = {}
    refused: dict[PropertyName, Outcome] = {}
    dead: list[PropertyUpdate] = []
    times: dict[str, Micros] = {}
    for is_set, element in _instructions(root):
        name = name_of(element)
        names[name] = None
        if name == _CHECKSUMS and is_set:
            # rclone repeats the sum that it knows whenever it sets a time. What is true already is set without a change.
            if not set(" ".join(map(str, element.itertext())).upper().split()) <= set(checksums.upper().split()):
                refused[name] = _UNFIT
            continue
        refusal = _refusal(name, is_set=is_set)
        if refusal is not None:
            refused[name] = refusal
        elif name in SETTABLE:
            if is_set:
                try:
                    times[SETTABLE[name]] = parse_time(text_of(element))
                except UnprocessableProperty:
                    refused[name] = _UNFIT
        else:
            dead.append(PropertyUpdate(name, serialise(element) if is_set else None))
    return Patch(tuple(names), refused, tuple(dead), times.get("modified_at"), times.get("created_at"))


def _instructions(root: Element) -> Iterable[tuple[bool, Element]]:
    """The properties to set (True) and to remove (False), in document order."""
    for instruction in root:
        kind = name_of(instruction)
        if kind in {PropertyName(DAV, "set"), PropertyName(DAV, "remove")}:
            for holder in instruction.iterchildren(f"{{{DAV}}}prop"):
                for element in holder:
                    yield kind.name == "set", element


def _refusal(name: PropertyName, *, is_set: bool) -> Outcome | None:
    """Why a property cannot be set or removed, whatever the value; None when it can."""
    if is_protected(name):
        return _PROTECTED
    if not is_set and name in {PropertyName(DAV, "getlastmodified"), PropertyName(DAV, "creationdate")}:
        return _PROTECTED  # a resource always has its times; what Windows and rclone call them may be "removed"
    if len(name.namespace) > MAX_NAMESPACE_CHARS or len(name.name) > MAX_PROPERTY_NAME_CHARS:
        return _UNFIT
    return None
