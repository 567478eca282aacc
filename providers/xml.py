"""XML in and out: bodies read within limits, answers written as text.

Answers are text because a listing of 100,000 members is, and because old clients want every DAV element under the one
prefix ``D:`` and no white space between elements (clients rule R15).
"""

import re
import threading
from collections.abc import Iterable
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from davserver.domain.clock import Micros
from davserver.domain.errors import BodyTooLarge, InvalidXml
from davserver.domain.lock import ActiveLock
from davserver.domain.paths import ResourcePath
from davserver.domain.property import DAV, PropertyName

Element = etree._Element  # noqa: SLF001 - lxml has no public name for it

CONTENT_TYPE: Final = "application/xml; charset=utf-8"
DECLARATION: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
MULTISTATUS_START: Final = DECLARATION + '<D:multistatus xmlns:D="DAV:">'
MULTISTATUS_END: Final = "</D:multistatus>"
MAX_ELEMENTS: Final = 10_000
XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"

_WHITE: Final = b" \t\r\n"
_parsers = threading.local()  # a parser serves one thread at a time


def parse(body: bytes) -> Element:
    """The root element of a body, its comments and processing instructions dropped, in whatever encoding XML allows.

    Raises `InvalidXml` when it is not well-formed, uses an undeclared prefix or has a DOCTYPE (which would bring entities);
    `BodyTooLarge` for more than `MAX_ELEMENTS` elements. How many bytes there may be is for the reader of the body to limit.
    """
    if body[:1] in _WHITE and body[1:2] != b"\0":
        body = body.lstrip(_WHITE)  # a declaration must come first; some clients send a line break before it
    try:
        root = etree.fromstring(body, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidXml("The XML body is not well-formed.") from error
    # libxml2 has met any entity by now, but expands none into text, fetches nothing and limits what they amplify to.
    docinfo: Any = root.getroottree().docinfo  # lxml-stubs does not know its attributes
    if docinfo.doctype:
        raise InvalidXml("The XML body has a DOCTYPE.")
    for count, _ in enumerate(root.iter(), start=1):
        if count > MAX_ELEMENTS:
            raise BodyTooLarge("The XML body has too many elements.")
    return root


def _parser() -> etree.XMLParser:
    parser: etree.XMLParser | None = getattr(_parsers, "parser", None)
    if parser is None:
        parser = _parsers.parser = etree.XMLParser(
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            collect_ids=False,
        )
    return parser


def name_of(element: Element) -> PropertyName:
    """The expanded name of an element."""
    tag = str(element.tag)
    if tag.startswith("{"):
        namespace, _, name = tag[1:].partition("}")
        return PropertyName(namespace, name)
    return PropertyName("", tag)


def text_of(element: Element) -> str:
    """All text in an element, without white space around it."""
    return "".join(str(t) for t in element.itertext()).strip()


def child(element: Element, name: str) -> Element | None:
    """The first child of that name in the DAV: namespace."""
    return element.find(f"{{{DAV}}}{name}")


def serialise(element: Element) -> str:
    """An element of a parsed body as a text that stands alone, to be stored and to be put into our answers.

    It brings every namespace that it uses, also those that only its text or attributes seem to speak of (QNames), and the
    xml:lang that it inherited (RFC 4918 section 4.3). DAV: gets the prefix ``D``, whatever it was (clients rule R15); other
    prefixes stay. libxml2's own writer does none of this for an element inside a document, and its namespace clean-up
    puts children without a namespace into their parent's.
    """
    spoken_of: set[str] = set()
    for node in element.iter():
        for text in (node.text, None if node is element else node.tail, *node.attrib.values()):
            spoken_of.update(_MAYBE_PREFIX.findall(str(text or "")))
    language = next((a.get(XML_LANG) for a in element.iterancestors() if XML_LANG in a.attrib), None)
    parts: list[str] = []
    _write(element, {None: ""}, spoken_of, None if XML_LANG in element.attrib else language, parts)
    return "".join(parts)


_MAYBE_PREFIX = re.compile(r"([^\W\d][\w.\-]*):")
_XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
_TEXT_ESCAPES: Final = {"\r": "&#13;"}
_ATTRIBUTE_ESCAPES: Final = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;", '"': "&quot;"}


def _write(
    element: Element, above: dict[str | None, str], spoken_of: set[str], language: str | None, parts: list[str]
) -> None:
    """Append the text of `element`. `above` is what prefixes mean where it will stand."""
    scope = dict(above)
    scope.update({p: uri for p, uri in element.nsmap.items() if p in spoken_of})
    tag = _qualified(name_of(element), element, scope)
    attributes = "" if language is None else f' xml:lang="{escape(language, _ATTRIBUTE_ESCAPES)}"'
    for key, value in element.attrib.items():
        name = _qualified_attribute(str(key), element, scope)
        attributes += f' {name}="{escape(str(value), _ATTRIBUTE_ESCAPES)}"'
    for prefix, uri in scope.items():
        if above.get(prefix) != uri:
            attributes += f' xmlns{":" + prefix if prefix else ""}="{escape(uri, _ATTRIBUTE_ESCAPES)}"'
    if not len(element) and not element.text:
        parts.append(f"<{tag}{attributes}/>")
        return
    parts.append(f"<{tag}{attributes}>{escape(element.text or '', _TEXT_ESCAPES)}")
    for member in element:
        _write(member, scope, spoken_of, None, parts)
        parts.append(escape(member.tail or "", _TEXT_ESCAPES))
    parts.append(f"</{tag}>")


def _qualified(name: PropertyName, element: Element, scope: dict[str | None, str]) -> str:
    prefix = element.prefix
    # Unless the client means something else by it here, D is DAV:.
    if name.namespace == DAV and element.nsmap.get("D", DAV) == DAV:
        prefix = "D"
    scope[prefix] = name.namespace
    return f"{prefix}:{name.name}" if prefix else name.name


def _qualified_attribute(key: str, element: Element, scope: dict[str | None, str]) -> str:
    if not key.startswith("{"):
        return key
    namespace, _, name = key[1:].partition("}")
    if namespace == _XML_NAMESPACE:
        return f"xml:{name}"
    prefix = next(p for p, uri in element.nsmap.items() if p and uri == namespace)
    scope[prefix] = namespace
    return f"{prefix}:{name}"


def empty_element(name: PropertyName) -> str:
    """A property's name as an empty element that stands alone in our answers."""
    if name.namespace == DAV:
        return f"<D:{name.name}/>"
    if not name.namespace:
        return f"<{name.name}/>"
    return f"<x:{name.name} xmlns:x={quoteattr(name.namespace)}/>"


def text_element(name: str, text: str) -> str:
    """A DAV: element with text in it."""
    return f"<D:{name}>{escape(text)}</D:{name}>"


def propstat(properties: str, status: str, condition: str | None = None) -> str:
    """A `propstat` with serialised properties; `status` such as ``200 OK``, and the condition that was not met."""
    error = f"<D:error><D:{condition}/></D:error>" if condition else ""
    return f"<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 {status}</D:status>{error}</D:propstat>"


def error_body(condition: str, hrefs: Iterable[str] = ()) -> str:
    """A `D:error` document (RFC 4918 section 16); `hrefs` are encoded paths on this server."""
    inside = "".join(text_element("href", href) for href in hrefs)
    element = f"<D:{condition}>{inside}</D:{condition}>" if inside else f"<D:{condition}/>"
    return f'{DECLARATION}<D:error xmlns:D="DAV:">{element}</D:error>'


SUPPORTED_LOCK: Final = "<D:supportedlock>{}{}</D:supportedlock>".format(
    *(
        f"<D:lockentry><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
        for scope in ("exclusive", "shared")
    )
)
"""The same for every resource (rule R46)."""


def render_active_lock(lock: ActiveLock, base: str, now: Micros) -> str:
    """An `activelock` element (RFC 4918 section 14.1). `base` is the share's path, encoded, without a slash at its end."""
    root = href_of(base, lock.root, is_collection=lock.is_on_collection)
    return (
        f"<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:{lock.scope}/></D:lockscope>"
        f"<D:depth>{'infinity' if lock.is_deep else '0'}</D:depth>{lock.owner_xml}"
        f"<D:timeout>Second-{lock.seconds_left(now)}</D:timeout>"
        f"<D:locktoken><D:href>{escape(lock.token)}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{escape(root)}</D:href></D:lockroot></D:activelock>"
    )


def render_lock_discovery(locks: Iterable[ActiveLock], base: str, now: Micros) -> str:
    """A `lockdiscovery` element with these locks, in this order."""
    inside = "".join(render_active_lock(lock, base, now) for lock in locks)
    return f"<D:lockdiscovery>{inside}</D:lockdiscovery>" if inside else "<D:lockdiscovery/>"


def lock_document(locks: Iterable[ActiveLock], base: str, now: Micros) -> bytes:
    """The body that answers LOCK (RFC 4918 section 9.10.1): a `prop` with the `lockdiscovery`."""
    return f'{DECLARATION}<D:prop xmlns:D="DAV:">{render_lock_discovery(locks, base, now)}</D:prop>'.encode()


def href_of(base: str, path: ResourcePath, *, is_collection: bool) -> str:
    """The absolute, encoded path that a client sees: collections end with a slash (rule R17)."""
    return base + path.encoded + ("/" if is_collection else "")


class Multistatus:
    """Writes a `multistatus` answer in memory (RFC 4918 section 13), for the few responses of a method other than PROPFIND."""

    def __init__(self) -> None:
        self._parts = [MULTISTATUS_START]

    def add_propstats(self, href: str, propstats: Iterable[str]) -> None:
        """A response with these `propstat` elements."""
        self._parts.append(f"<D:response>{text_element('href', href)}{''.join(propstats)}</D:response>")

    def add_status(self, href: str, status: str, condition: str | None = None) -> None:
        """A response with one status for the whole resource, and the condition that it failed."""
        error = f"<D:error><D:{condition}/></D:error>" if condition else ""
        self._parts.append(
            f"<D:response>{text_element('href', href)}<D:status>HTTP/1.1 {status}</D:status>{error}</D:response>"
        )

    def document(self) -> bytes:
        """The whole document."""
        return "".join([*self._parts, MULTISTATUS_END]).encode()
