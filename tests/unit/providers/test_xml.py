"""Reading and writing XML (RFC 4918 section 8.2, rules R13 and R15 of the clients)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from davserver.domain.errors import BodyTooLarge, InvalidXml
from davserver.domain.lock import ActiveLock, LockScope
from davserver.domain.paths import ResourcePath
from davserver.domain.property import PropertyName
from providers.xml import (
    MAX_ELEMENTS,
    Multistatus,
    empty_element,
    error_body,
    lock_document,
    name_of,
    parse,
    propstat,
    render_active_lock,
    serialise,
    text_of,
)

DAV = "{DAV:}"


def first(text: str) -> etree._Element:
    return parse(text.encode())[0]


def infoset(element: etree._Element) -> tuple[object, ...]:
    """What RFC 4918 section 4.3 wants kept of an element, however it is spelled."""
    members = [(infoset(member), member.tail or "") for member in element]
    return (element.tag, sorted(element.attrib.items()), element.text or "", members)


def meaning(text: str) -> tuple[object, ...]:
    return infoset(etree.fromstring(text))


def inside_an_answer(text: str) -> etree._Element:
    """The element as a client finds it in an answer of ours."""
    return etree.fromstring(f'<D:prop xmlns:D="DAV:">{text}</D:prop>')[0]


def test_comments_and_instructions_anywhere_are_passed_over() -> None:
    root = parse(b"<?xml version='1.0'?><!-- a --><?b c?><p>x<!-- d -->y<?e f?>z<q/><!-- g --></p><!-- h -->")
    assert text_of(root) == "xyz"
    assert [name_of(member) for member in root] == [PropertyName("", "q")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-1"])
def test_r13_every_encoding_that_the_declaration_names_is_read(encoding: str) -> None:
    declared = encoding.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    body = f'<?xml version="1.0" encoding="{declared}"?><p>größe</p>'
    assert text_of(parse(body.encode(encoding))) == "größe"


def test_white_space_before_the_declaration_is_forgiven() -> None:
    assert name_of(parse(b'\r\n <?xml version="1.0"?><p/>')) == PropertyName("", "p")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<p>",
        b"<p></q>",
        b"<x:p/>",
        b'<p xmlns:x=""/>',
        b"<p>&nbsp;</p>",
        b"<p>\x00</p>",
        b"<p>\x0b</p>",
        b"\xff\xfe<",
        b'<?xml version="1.0" encoding="klingon"?><p/>',
        b"<p>" * 300 + b"</p>" * 300,
    ],
)
def test_what_is_not_well_formed_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidXml):
        parse(body)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE p>",
        '<!DOCTYPE p SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE p [<!ENTITY e "x">]>',
        '<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY e "&b;&b;&b;&b;">]>',
    ],
)
def test_a_doctype_is_refused_because_it_brings_entities(doctype: str) -> None:
    for use in ("", "&e;" if "ENTITY" in doctype else ""):
        with pytest.raises(InvalidXml):
            parse(f"{doctype}<p>{use}</p>".encode())


def test_the_number_of_elements_is_limited() -> None:
    assert len(parse(b"<p>" + b"<q/>" * (MAX_ELEMENTS - 1) + b"</p>")) == MAX_ELEMENTS - 1
    with pytest.raises(BodyTooLarge):
        parse(b"<p>" + b"<q/>" * MAX_ELEMENTS + b"</p>")


@pytest.mark.parametrize(
    "element",
    [
        "<a/>",
        "<a>text &lt; &amp; &gt; ]]&gt; &#13;&#10;</a>",
        '<x:a xmlns:x="urn:x">mixed <x:b>content</x:b> tail <c/> more</x:a>',
        '<a xmlns="urn:x"><b xmlns=""><c xmlns="urn:y"/></b></a>',
        '<x:a xmlns:x="urn:x" x:one="1" two="&quot;&#9;&#10;&lt;&amp;"/>',
        '<D:a xmlns:D="urn:not-dav"><D:b/><y:c xmlns:y="DAV:"/></D:a>',
        '<y:a xmlns:y="DAV:"><z:b xmlns:z="DAV:" z:attribute="1"/></y:a>',
        '<a xmlns="DAV:"><b/></a>',
        '<x:a xmlns:x="urn:x&amp;y"><b xml:lang="de" xml:space="preserve"> </b></x:a>',
        "<a><![CDATA[<not & markup>]]></a>",
        '<x:a xmlns:x="urn:1"><x:b xmlns:x="urn:2"><x:c xmlns:x="urn:1"/></x:b></x:a>',
    ],
)
def test_a_serialised_element_means_the_same_inside_our_answers(element: str) -> None:
    stored = serialise(first(f'<s xmlns:unused="urn:unused">{element}tail</s>'))
    assert meaning(stored) == meaning(element)
    found = inside_an_answer(stored)
    assert infoset(found) == meaning(element)
    assert "unused" not in stored


def test_namespaces_and_language_from_outside_the_element_are_kept() -> None:
    outer = '<p:s xmlns:p="urn:p" xmlns:q="urn:q" xmlns="urn:d" xml:lang="fr"><p:h xml:lang="de"><p:a><b/></p:a></p:h></p:s>'
    stored = serialise(first(outer)[0])
    assert meaning(stored) == meaning('<p:a xmlns:p="urn:p" xml:lang="de"><b xmlns="urn:d"/></p:a>')


def test_a_language_of_its_own_wins_over_the_inherited_one() -> None:
    stored = serialise(first('<s xml:lang="fr"><a xml:lang="de"/></s>'))
    assert etree.fromstring(stored).get("{http://www.w3.org/XML/1998/namespace}lang") == "de"


def test_a_prefix_that_only_text_or_attributes_speak_of_keeps_its_meaning() -> None:
    for value in ('<a type="xs:date"/>', "<a>xs:date</a>", "<a><b>xs:date</b></a>", "<a><b/>xs:date</a>"):
        stored = serialise(first(f'<s xmlns:xs="urn:schema" xmlns:other="urn:o">{value}</s>'))
        assert inside_an_answer(stored).nsmap["xs"] == "urn:schema"
        assert "urn:o" not in stored


def test_r15_dav_elements_get_the_prefix_d_whatever_theirs_was() -> None:
    for owner in (
        '<owner xmlns="DAV:"><href>me</href></owner>',
        '<a:owner xmlns:a="DAV:"><a:href>me</a:href></a:owner>',
    ):
        assert serialise(first(f"<s>{owner}</s>")) == '<D:owner xmlns:D="DAV:"><D:href>me</D:href></D:owner>'


NAMES = st.sampled_from(["a", "b", "ünï", "x-1", "_"])
PREFIXES = st.sampled_from(["", "p", "q", "D"])
URIS = st.sampled_from(["DAV:", "urn:1", "urn:2&3", "http://x/"])
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    prefix, name, uri = draw(PREFIXES), draw(NAMES), draw(URIS)
    tag = f"{prefix}:{name}" if prefix else name
    declared = f' xmlns:{prefix}="{uri}"' if prefix else f' xmlns="{draw(st.sampled_from(["", "urn:1", "DAV:"]))}"'
    attributes = f' {tag}="1"' if prefix and draw(st.booleans()) else ""
    parts = [draw(TEXTS)]
    for _ in range(draw(st.integers(0, 2)) if depth else 0):
        parts += [draw(elements(depth=depth - 1)), draw(TEXTS)]
    escaped = [p if p.startswith("<") and p.endswith(">") and i % 2 else _escape(p) for i, p in enumerate(parts)]
    return f"<{tag}{declared.replace('&', '&amp;')}{attributes}>{''.join(escaped)}</{tag}>"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@given(elements())
def test_whatever_a_client_stores_it_reads_back_the_same(element: str) -> None:
    stored = serialise(first(f'<s xmlns:D="DAV:">{element}</s>'))
    assert meaning(stored) == meaning(element)
    assert infoset(inside_an_answer(stored)) == meaning(element)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (PropertyName("DAV:", "getetag"), "<D:getetag/>"),
        (PropertyName("", "bare"), "<bare/>"),
        (PropertyName("urn:a&b", "n"), '<x:n xmlns:x="urn:a&amp;b"/>'),
    ],
)
def test_a_name_alone_is_an_empty_element_in_its_namespace(name: PropertyName, text: str) -> None:
    assert empty_element(name) == text
    assert name_of(inside_an_answer(text)) == name


LOCK = ActiveLock(
    token="urn:uuid:1",
    root=ResourcePath(("a b", "ü&")),
    is_on_collection=True,
    scope=LockScope.SHARED,
    is_deep=True,
    owner_xml='<D:owner xmlns:D="DAV:">me &amp; you</D:owner>',
    user_id=1,
    expires_at=100_000_000,
)


def test_r38_an_active_lock_has_all_that_clients_read() -> None:
    root = etree.fromstring(lock_document([LOCK], "/dav", 40_000_000))
    active = root.find(f"{DAV}lockdiscovery/{DAV}activelock")
    assert root.tag == f"{DAV}prop"
    assert active is not None
    assert active.find(f"{DAV}locktype/{DAV}write") is not None
    assert active.find(f"{DAV}lockscope/{DAV}shared") is not None
    assert active.findtext(f"{DAV}depth") == "infinity"
    assert active.findtext(f"{DAV}owner") == "me & you"
    assert active.findtext(f"{DAV}timeout") == "Second-60"
    assert active.findtext(f"{DAV}locktoken/{DAV}href") == "urn:uuid:1"
    assert active.findtext(f"{DAV}lockroot/{DAV}href") == "/dav/a%20b/%C3%BC%26/"


def test_r15_what_we_write_has_no_white_space_between_elements() -> None:
    assert "> <" not in render_active_lock(LOCK, "/dav", 0)
    document = Multistatus()
    document.add_propstats("/dav/a", [propstat("<D:getetag/>", "404 Not Found")])
    document.add_status("/dav/b", "423 Locked", "lock-token-submitted")
    assert document.document() == (
        b'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">'
        b"<D:response><D:href>/dav/a</D:href><D:propstat><D:prop><D:getetag/></D:prop>"
        b"<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>"
        b"<D:response><D:href>/dav/b</D:href><D:status>HTTP/1.1 423 Locked</D:status>"
        b"<D:error><D:lock-token-submitted/></D:error></D:response></D:multistatus>"
    )


def test_an_error_document_names_its_condition_and_what_it_is_about() -> None:
    root = etree.fromstring(error_body("lock-token-submitted", ["/dav/a%26b"]).encode())
    assert root.tag == f"{DAV}error"
    assert root.findtext(f"{DAV}lock-token-submitted/{DAV}href") == "/dav/a%26b"
