"""The page for browsers, as bytes: no server needed."""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

import pytest

from davserver.domain.paths import ResourcePath
from davserver.domain.resource import Resource, Revision
from davserver.services.listing import Entry
from providers.listing import LISTING_HEADERS, human_size, render_listing

ROOT = ResourcePath(())
NOON = 1_700_000_000_000_000


def entry(name: str, size: int | None = None) -> Entry:
    revision = None if size is None else Revision(1, "b", size, "e", "text/plain", "", NOON)
    return Entry((name,), Resource(1, 2, 1, name, NOON, NOON, revision))


def page_of(members: Iterable[Entry], path: ResourcePath = ROOT) -> str:
    itself = Entry((), Resource(1, 1, None, path.name, NOON, NOON, None))
    return b"".join(render_listing("/dav", path, [itself, *members])).decode()


class Links(HTMLParser):
    """Collects what the page shows: the links with their text, and any tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self._href: str | None = None
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self._href, self._text = dict(attrs)["href"], ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None:
            self.links.append((self._href, self._text))
            self._href = None


def test_collections_come_first_and_each_kind_is_in_the_order_of_names() -> None:
    page = page_of([entry("b.txt", 1), entry("Zoo"), entry("A.txt", 1), entry("apes")])
    assert [text for _, text in Links(page).links] == ["Files", "apes/", "Zoo/", "A.txt", "b.txt"]


def test_the_collection_itself_is_no_row_of_its_listing() -> None:
    assert "Nothing here yet." in page_of([])


def test_breadcrumbs_lead_up_to_the_root() -> None:
    path = ResourcePath(("Fotos & Co", "2024"))
    assert Links(page_of([], path)).links == [
        ("/dav/", "Files"),
        ("/dav/Fotos%20%26%20Co/", "Fotos & Co"),
        ("/dav/Fotos%20%26%20Co/2024/", "2024"),
    ]


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("<script>alert(1)</script>", "%3Cscript%3Ealert(1)%3C"),
        ("a&b", "a%26b"),
        ("quo\"te's", "quo%22te's"),
        ("50% #1?.txt", "50%25%20%231%3F.txt"),
        ("ünï", "%C3%BCn%C3%AF"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("\u202eexe.txt", "%E2%80%AEexe.txt"),
    ],
)
def test_names_are_text_and_hrefs_are_encoded(name: str, encoded: str) -> None:
    name = name.replace("/", "")
    shown = Links(page_of([entry(name, 5)]))
    href, text = shown.links[-1]
    assert text == name
    assert href.startswith("/dav/")
    assert href.removeprefix("/dav/").startswith(encoded)
    assert "script" not in shown.tags


def test_the_policy_allows_the_pages_own_style_sheet_and_no_script() -> None:
    import hashlib
    from base64 import b64encode

    page = page_of([entry("a", 1)])
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    policy = dict(LISTING_HEADERS)["Content-Security-Policy"]
    assert f"'sha256-{b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert not re.search(r"<script|\son\w+=|\sstyle=|https?://|src=", page)


def test_a_large_listing_is_a_stream_of_pieces() -> None:
    def members() -> Iterator[Entry]:
        for n in range(10_000):
            yield entry(f"file-{n:05}.txt", n)

    itself = Entry((), Resource(1, 1, None, "", NOON, NOON, None))
    pieces = list(render_listing("/dav", ROOT, (e for e in [itself, *members()])))
    assert len(pieces) > 20
    assert max(map(len, pieces)) < 100_000
    page = b"".join(pieces).decode()
    assert page.count("<tr><td>") == 10_000
    assert "0 folders, 10000 files" in page


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (1234, "1.23 kB"), (9_994, "9.99 kB"), (9_996, "10.0 kB"),
        (99_960, "100 kB"), (999_499, "999 kB"), (999_500, "1.00 MB"), (64_000_000, "64.0 MB"), (5 * 10**9, "5.00 GB"),
        (10**18, "1.00 EB"), (10**22, "10000 EB"),
    ],
)  # fmt: skip
def test_sizes_are_for_people(size: int, shown: str) -> None:
    assert human_size(size) == shown
