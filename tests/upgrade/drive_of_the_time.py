"""A drive with a bit of everything, filled and looked at over WebDAV alone: any release of davserver can serve it.

`fill` is what made the dumps in `first_release/`; `look` is what was seen then, and what must be seen after every upgrade.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
from lxml import etree

ADA, BOB, EVE = ("ada", "ada's password"), ("bob", "bob's password"), ("eve", "eve's password")
"""An administrator with much, a user with a little, and one who was shut out."""
SETTINGS = {
    "DAVSERVER_HOST": "127.0.0.1",
    "DAVSERVER_PORT": "0",
    "DAVSERVER_PROCESSES": "1",
    "DAVSERVER_INLINE_LIMIT": "1K",
    "DAVSERVER_SEGMENT_SIZE": "4K",
    "DAVSERVER_TRASH_RETENTION": "3650d",
    "DAVSERVER_REPLACED_RETENTION": "3650d",
    "SECRET_KEY": "the secret key of a test, known to everybody",
    # Sealed with it: the content of the dumps. It opens nothing else.
    "DAVSERVER_MASTER_KEYS": "first:Zmlyc3QtcmVsZWFzZS1rZXktb2YtdGhlLXRlc3RzISE=",
}
NO_SCANNER_ANSWERS = {"CLAMAV_HOST": "127.0.0.1", "CLAMAV_PORT": "1"}
"""So that scans wait as jobs."""

_LIVE = (
    "resourcetype",
    "displayname",
    "getcontentlength",
    "getcontenttype",
    "getetag",
    "getlastmodified",
    "creationdate",
)
_PROPFIND = (
    '<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:allprop/><D:include><D:lockdiscovery/></D:include></D:propfind>'
)
_LOCK = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype>'
    "<D:owner><D:href>mailto:ada@example.org</D:href></D:owner></D:lockinfo>"
)
_PATCH = '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop>{}</D:prop></D:set></D:propertyupdate>'
_COLOUR = '<Z:colour xmlns:Z="urn:example:colours" xml:lang="de">türkis &amp; rosa</Z:colour>'
_NESTED = '<N:notes xmlns:N="urn:example:notes"><N:note at="1"><N:b>bold</N:b> and not</N:note><N:note/></N:notes>'
_PLAIN = '<plain xmlns=""/>'


def body(name: str, size: int) -> bytes:
    """The content of a file: bytes that its name decides."""
    return hashlib.shake_128(name.encode()).digest(size)


def client_of(url: str, user: tuple[str, str]) -> httpx.Client:
    """A client of the share at `url`."""
    return httpx.Client(base_url=url, auth=httpx.BasicAuth(user[0].encode(), user[1].encode()), timeout=60)


def fill(url: str) -> None:
    """Fill the drives of ada and bob."""
    with client_of(url, ADA) as ada:
        _fill_ada(ada)
    with client_of(url, BOB) as bob:
        _do(bob, "MKCOL", "photos")
        _put(bob, "readme.txt", 900)
        _put(bob, "photos/large.bin", 9_000)
        _do(bob, "DELETE", "readme.txt")


def _fill_ada(ada: httpx.Client) -> None:
    for folder in (
        "letters",
        "letters/2026",
        "photos",
        "photos/2025",
        "photos/2025/summer",
        "old",
        "old/deeper",
        "to move",
    ):
        _do(ada, "MKCOL", folder)
    for name, size in (
        ("readme.txt", 300), ("empty.txt", 0), ("letters/2026/Grüße 日本 & <co>.txt", 700), ("big.bin", 20_000),
        ("photos/2025/summer/beach.jpg", 12_289), ("old/deeper/small.txt", 100), ("old/large.bin", 8_192),
        ("gone.txt", 50), ("to move/one.txt", 10),
    ):  # fmt: skip
        _put(ada, name, size)
    for size in (2_000, 300, 3_000):  # two of them are replaced
        _put(ada, "report.docx", size)
    _do(ada, "COPY", "photos/2025/summer/beach.jpg", Destination=quote("/dav/photos/copy of beach.jpg"))
    _do(ada, "MOVE", "to%20move", Destination=quote("/dav/letters/moved"))
    _do(ada, "PROPPATCH", "photos", _PATCH.format(_COLOUR + _PLAIN))
    _do(ada, "PROPPATCH", "readme.txt", _PATCH.format(_NESTED))
    _do(ada, "PROPPATCH", "old/large.bin", _PATCH.format(_COLOUR))
    _do(ada, "DELETE", "old")
    _do(ada, "DELETE", "gone.txt")
    _do(ada, "LOCK", "letters", _LOCK.format(scope="exclusive"), Depth="infinity")
    _do(ada, "LOCK", "readme.txt", _LOCK.format(scope="shared"), Depth="0")


def _put(client: httpx.Client, name: str, size: int) -> None:
    client.put(quote(name), content=body(name, size)).raise_for_status()


def _do(client: httpx.Client, method: str, path: str, content: str = "", **headers: str) -> httpx.Response:
    answer = client.request(method, path, content=content.encode(), headers=headers)
    assert answer.is_success, (method, path, answer.status_code, answer.text)
    if method == "PROPPATCH":
        assert "200 OK" in answer.text, answer.text
    return answer


def look(url: str) -> dict[str, Any]:
    """What ada and bob see: each path below the share, the trash too, with content (SHA-256), properties and locks."""
    seen: dict[str, Any] = {}
    for user in (ADA, BOB):
        with client_of(url, user) as client:
            seen[user[0]] = {
                path: said for folder in ("", ".trash/") for path, said in _walk(client, urlsplit(url).path, folder)
            }
    return seen


def _walk(client: httpx.Client, base: str, folder: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    answer = client.request("PROPFIND", folder, content=_PROPFIND, headers={"Depth": "1"})
    assert answer.status_code == 207, answer.text
    for response in etree.fromstring(answer.content).findall("{DAV:}response"):
        href = (response.findtext("{DAV:}href") or "").removeprefix(base)
        if href.strip("/") == ".trash" and folder != ".trash/":
            continue
        properties = dict(_properties(response))
        if href != folder and "{DAV:}collection" in properties["resourcetype"]:
            yield from _walk(client, base, href)
            continue
        if "{DAV:}collection" not in properties["resourcetype"]:
            content = client.get(href)
            assert content.status_code == 200, (href, content.text)
            properties["sha256"] = hashlib.sha256(content.content).hexdigest()
        yield unquote(href), properties


def _properties(response: Any) -> Iterator[tuple[str, Any]]:
    """The live properties that no release may change, and all dead ones, each as canonical XML; and who holds locks."""
    for stat in response.findall("{DAV:}propstat"):
        if " 200 " not in stat.findtext("{DAV:}status"):
            continue
        for element in stat.find("{DAV:}prop"):
            name = etree.QName(element)
            if name.namespace != "DAV:":
                yield element.tag, etree.tostring(element, method="c14n", exclusive=True).decode()
            elif name.localname == "resourcetype":
                yield "resourcetype", [child.tag for child in element]
            elif name.localname in _LIVE:
                yield name.localname, element.text
            elif name.localname == "lockdiscovery":
                yield "locks", sorted(found.text for found in element.iterfind(".//{DAV:}locktoken/{DAV:}href"))
