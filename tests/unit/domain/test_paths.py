"""Paths and names: what is one resource, what is refused."""

import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.domain.errors import DavserverError, InvalidName, NameTooLong, PathTooDeep
from davserver.domain.paths import ResourcePath, check_name, key_of, quote_name

NFC, NFD = "caf\u00e9", "cafe\u0301"


def names_of(raw: str) -> tuple[str, ...]:
    return ResourcePath.parse(raw).names


@pytest.mark.parametrize("raw", ["/x", "/x/", "//x", "/x//", "x"])
def test_slashes_too_many_or_too_few_make_no_other_resource(raw: str) -> None:
    assert ResourcePath.parse(raw) == ResourcePath(("x",))


@pytest.mark.parametrize("raw", ["", "/", "//"])
def test_no_name_is_the_root(raw: str) -> None:
    assert ResourcePath.parse(raw).is_root


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("/a%20b", "a b"),
        ("/a b", "a b"),
        ("/a+b", "a+b"),
        ("/a%2Bb", "a+b"),
        ("/a%2bb", "a+b"),
        ("/%7Ex", "~x"),
        ("/a%26b&c", "a&b&c"),
        ("/50%25", "50%"),
        ("/%2541", "%41"),
        ("/%252F", "%2F"),
        ("/q%3Fmark", "q?mark"),
        ("/h%23ash", "h#ash"),
        ("/s;p=1", "s;p=1"),
        ("/C:%5Cx", "C:\\x"),
        ("/%C3%BC", "ü"),
        ("/%c3%bc", "ü"),
        ("/\xc3\xbc", "ü"),  # the octets of UTF-8, not encoded, as WSGI hands them on
        ("/%F0%9F%98%80", "\U0001f600"),
        ("/...", "..."),
        ("/.hidden", ".hidden"),
        ("/%20", " "),
        ("/x.", "x."),
        ("/\u4e2d", "\u4e2d"),
    ],
)
def test_a_url_segment_is_decoded_once(raw: str, name: str) -> None:
    assert names_of(raw) == (name,)


@pytest.mark.parametrize(
    "raw",
    [
        "/x%2Fy", "/x%2fy", "/%2F", "/%00", "/a%00b", "/%", "/%4", "/%zz", "/a%2", "/100%",
        "/%FF", "/%ED%A0%80", "/%C0%AF", "/%C3", "/\xff",
        "/.", "/..", "/a/../b", "/a/./b", "/%2E%2E/x", "/%2e",
        "/%01", "/a%0Ab", "/a%0D", "/%7F", "/%C2%85", "/%C2%9F", "/%EF%BF%BE", "/%EF%BF%BF", "/a%09b",
    ],
)  # fmt: skip
def test_what_cannot_be_a_name_is_refused(raw: str) -> None:
    with pytest.raises(InvalidName):
        ResourcePath.parse(raw)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "\0", "\ud800", "\ufffe"])
def test_a_name_that_comes_without_a_url_is_checked_too(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize("letter", ["x", "ü", "中", "\U0001f600"])
def test_a_name_holds_255_bytes_of_utf8_and_not_one_more(letter: str) -> None:
    size = len(letter.encode())
    longest = letter * (255 // size) + "y" * (255 % size)
    assert len(longest.encode()) == 255
    assert check_name(longest) == longest
    with pytest.raises(NameTooLong):
        check_name(longest + "z")


def test_a_name_whose_nfc_form_is_too_long_is_too_long() -> None:
    name = "\u0958" * 85  # 255 bytes; NFC takes each apart, to twice as many
    assert len(name.encode()) == 255
    with pytest.raises(NameTooLong):
        check_name(name)


def test_the_number_of_levels_is_limited() -> None:
    assert len(ResourcePath.parse("/a" * 100).names) == 100
    with pytest.raises(PathTooDeep):
        ResourcePath.parse("/a" * 101)
    assert len(ResourcePath.parse("/a/b", max_depth=2).names) == 2
    with pytest.raises(PathTooDeep):
        ResourcePath.parse("/a/b/c", max_depth=2)


def test_both_spellings_of_a_name_are_one_key_and_each_is_shown_as_written() -> None:
    composed, decomposed = ResourcePath((NFC,)), ResourcePath((NFD,))
    assert composed.key == decomposed.key
    assert composed.keys == decomposed.keys
    assert decomposed.name == NFD
    assert decomposed.encoded == "/cafe%CC%81"


def test_names_that_only_look_alike_stay_apart() -> None:
    assert key_of("\ufb01") != key_of("fi")  # NFC, not NFKC
    assert key_of("A") != key_of("a")
    assert key_of("\u0430") != key_of("a")


def test_hrefs_are_encoded_with_upper_case_digits() -> None:
    assert quote_name('a b&c#d?e%fü"<>') == "a%20b%26c%23d%3Fe%25f%C3%BC%22%3C%3E"
    assert quote_name("-._~!$'()*+,;=:@") == "-._~!$'()*+,;=:@"


def test_a_path_is_within_itself_and_its_ancestors() -> None:
    root, a, ab, abc = (ResourcePath.parse(raw) for raw in ("/", "/a", "/ab", "/a/b"))
    assert a.is_within(root)
    assert a.is_within(a)
    assert abc.is_within(a)
    assert not ab.is_within(a)
    assert not a.is_within(abc)
    assert ResourcePath((NFD, "x")).is_within(ResourcePath((NFC,)))
    assert abc.parent == a
    assert root.parent == root


names = st.text(min_size=1, max_size=40)


@given(st.lists(names, max_size=5))
def test_what_is_shown_leads_back_to_the_same_path(given_names: list[str]) -> None:
    try:
        path = ResourcePath.of(given_names)
    except DavserverError:
        return
    assert ResourcePath.parse(path.encoded) == path
    assert ResourcePath.parse(path.encoded.lower()).names == tuple(
        unquote(p) for p in path.encoded.lower().split("/")[1:]
    )


@given(names)
def test_every_name_that_is_taken_can_be_written_in_xml(name: str) -> None:
    from lxml import etree

    try:
        check_name(name)
    except DavserverError:
        return
    element = etree.Element("x")
    element.text = name
    assert etree.fromstring(etree.tostring(element)).text == name


@given(names)
def test_no_spelling_has_another_key(name: str) -> None:
    assert key_of(unicodedata.normalize("NFD", name)) == key_of(unicodedata.normalize("NFC", name))
