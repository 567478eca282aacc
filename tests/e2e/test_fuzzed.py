"""Odd requests by the thousand, against a real server: bodies, headers, paths,
    If expressions and ranges that make no sense.

Whatever is sent: an answer comes, it is no 500, a 207 is well-formed, the log holds no trace,
    memory stays where it was, and
`davserver verify` finds nothing afterwards. DAVSERVER_PROVE=1 sends fifty times as many.
"""

import base64
import os
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.support.davserver import resident
from tests.support.fixtures_davserver import Drive

FULL = bool(os.environ.get("DAVSERVER_PROVE"))
REQUESTS = 50_000 if FULL else 1_000
WAIT_SECONDS = 30.0
GROWTH = 48 << 20
"""Bytes that the two processes together may grow by, once they have answered a first round: caches fill."""

T = TypeVar("T")
NAMES = [
    "a",
    "b",
    "c.txt",
    ".trash",
    "%C3%A9",
    "e%CC%81",
    "x" * 255,
    "x" * 300,
    "..",
    ".",
    "%2e%2e",
    "%2F",
    "%00",
    "%0a",
    "%",
    "%zz",
    "%ff%fe",
    "%ef%bf%be",
    "a b",
    "a%20b",
    "&lt;",
    "<",
    '"',
    "'",
    ";",
    "a?b",
    "%3f",
    "%23",
    "*",
    "|",
    "con",
    "a.",
    "%5c",
    "\\",
    "%F0%9F%99%82",
    "%ed%a0%80",
    "%u0041",
    "+",
    "~",
    "desktop.ini",
    "._a",
    ".DS_Store",
]
name = st.sampled_from(NAMES) | st.text("ab%2F0.é", max_size=6).map(lambda text: text.encode().decode("latin-1"))
strange_path = st.lists(name, max_size=4).map(lambda names: "/dav/" + "/".join(names)) | st.sampled_from(
    ["/", "/dav", "//dav//a", "/dav/" + "a/" * 150, "/DAV/a", "/other/a", "*", "/dav/../etc/passwd", "/dav/a;p=1"]
)
plain_path = st.sampled_from(
    ["/dav/", "/dav/a/", "/dav/a", "/dav/a/b", "/dav/c.txt", "/dav/d", "/dav/a/d/", "/dav/.trash/", "/dav/.trash/b"]
)


def mostly(usual: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Three times out of four the first. (`|` draws from each alike, however often it is named.)"""
    return st.sampled_from([usual, usual, usual, odd]).flatmap(lambda one: one)


path = mostly(plain_path, strange_path)
token = st.sampled_from(
    [
        "<urn:uuid:0>",
        "<opaquelocktoken:a>",
        "<>",
        "<DAV:no-lock>",
        "<a",
        "a>",
        "Not <urn:x:1>",
        '["e"]',
        '[W/"e"]',
        "[",
        "]",
        '["',
        "()",
    ]
)
condition = st.lists(token, max_size=4).map(lambda tokens: "(" + " ".join(tokens) + ")")
if_header = st.lists(
    condition | st.sampled_from(["</dav/a>", "<http://h/dav/b>", "<", ">", "(", "Not", ",", "\t"]), max_size=6
).map(" ".join) | st.text('()<>[]"Not W/:;ab ', max_size=40)
etag = st.sampled_from(["*", '"a"', 'W/"a"', '"a", "b"', "a", '"', ",", '"a', "", "*, *", '"' + "x" * 3000 + '"'])
byte_range = st.sampled_from(
    [
        "bytes=0-0",
        "bytes=-1",
        "bytes=5-2",
        "bytes=0-",
        "bytes=-0",
        "bytes=",
        "bytes=0-0,-1",
        "bits=0-1",
        "bytes=a-b",
        "bytes=0-" + "9" * 40,
        "bytes=" + ",".join(["0-0"] * 500),
        "bytes = 0-1",
        "bytes=0-1;q=1",
        "BYTES=0-1",
        "bytes=--1",
    ]
)
address = (
    path
    | path.map(lambda p: "http://127.0.0.1" + p)
    | st.sampled_from(
        [
            "",
            "http://",
            "http://[::1/dav/a",
            "ftp://h/dav/a",
            "//h/dav/a",
            "dav/a",
            "http://h:99999/dav/a",
            "http://h/dav/%",
            "é",
        ]
    )
)
date = st.sampled_from(
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "yesterday",
        "",
        "0",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
    ]
)
number = st.sampled_from(
    ["0", "-1", "1", "1.5", "1e400", "nan", "9" * 30, "", " ", "0x10", "\u0661", "1700000000", "-99999999999999999"]
)
FIELDS = {
    "Depth": st.sampled_from(["0", "1", "infinity", "Infinity", "2", "-1", "", "0,1", "one", "1, noroot", "noroot"]),
    "Destination": address,
    "Overwrite": st.sampled_from(["T", "F", "t", "", "X", "TF"]),
    "If": if_header,
    "If-Match": etag,
    "If-None-Match": etag,
    "If-Range": etag | date,
    "If-Modified-Since": date,
    "If-Unmodified-Since": date,
    "Range": byte_range,
    "Lock-Token": token,
    "Timeout": st.sampled_from(
        ["Second-10", "Infinite", "Second-", "Second--1", "Infinite, Second-4100000000", "Second-" + "9" * 50, "", "x"]
    ),
    "Content-Type": st.sampled_from(
        ["text/xml", "application/xml; charset=utf-16", "application/json", "", "a/b;c", "multipart/byteranges"]
    ),
    "Content-Range": byte_range.map(lambda text: text.replace("=", " ") + "/*"),
    "Content-Encoding": st.sampled_from(["gzip", "identity", "x", ""]),
    "OC-Checksum": st.sampled_from(
        ["MD5:0", "SHA1:", "x", "", ":", "ADLER32:1", "SHA256:" + "0" * 64, "MD5:d41d8cd98f00b204e9800998ecf8427e"]
    ),
    "X-OC-Mtime": number,
    "X-Expected-Entity-Length": number,
    "OC-Total-Length": number,
    "Translate": st.sampled_from(["f", "t", ""]),
    "Expect": st.sampled_from(["100-continue", "", "x"]),
    "User-Agent": st.sampled_from(
        [
            "WebDAVFS/3.0.0 (03008000) Darwin/24.4.0 (arm64)",
            "Microsoft-WebDAV-MiniRedir/10.0",
            "WebDAVFS/ Darwin/9999999999999999999",
        ]
    ),
    "Accept-Encoding": st.sampled_from(["gzip", "*;q=0", "identity;q=0"]),
    "Origin": st.sampled_from(["null", "http://h", ""]),
    "X-Request-ID": st.sampled_from(["a", "a b", "é", "x" * 5000, "<script>", ""]),
    "X-Forwarded-For": st.sampled_from(["1.2.3.4", "::1", "x", ",,,", "1.2.3.4, " * 100]),
    "X-Forwarded-Proto": st.sampled_from(["https", "x", ""]),
    "Host": st.just("h"),
}
field = st.sampled_from(sorted(FIELDS)).flatmap(lambda key: FIELDS[key].map(lambda value: (key, value)))

names = st.sampled_from(
    [
        "D:getetag",
        "D:resourcetype",
        "D:lockdiscovery",
        "D:displayname",
        "D:getlastmodified",
        "D:quota-used-bytes",
        "T:colour",
        "T:é",
        "colour",
        "D:",
        ":a",
        "a:b:c",
        "D:creationdate",
        "Z:Win32LastModifiedTime",
        "D:allprop",
        "D:include",
        "D:set",
        "D:remove",
        "xml:lang",
    ]
)
text = st.sampled_from(
    ["", "x", "&amp;", "&#0;", "&lt;", "<![CDATA[<]]>", "<!-- -->", "<?p i?>", "é", "\ud7ff", "]]>", "&e;", "x" * 5000]
)
element = st.builds(
    lambda n, t, closed: f"<{n}>{t}</{n if closed else 'D:x'}>", names, text, st.sampled_from([True] * 9 + [False])
)
spaces = ' xmlns:D="DAV:" xmlns:T="urn:test" xmlns:Z="urn:schemas-microsoft-com:"'
ROOTS = {
    "D:propfind": ["D:prop", "D:allprop", "D:propname", "D:include", "D:x"],
    "D:propertyupdate": ["D:set><D:prop", "D:remove><D:prop", "D:set", "D:x"],
    "D:lockinfo": ["D:lockscope", "D:locktype", "D:owner", "D:exclusive", "D:write"],
    "D:x": ["D:y"],
}


@st.composite
def xml(draw: st.DrawFn) -> bytes:
    root = draw(st.sampled_from(sorted(ROOTS)))
    inner = ""
    for opened in draw(st.lists(st.sampled_from(ROOTS[root]), max_size=3)):
        tags = opened.split("><")
        content = "".join(draw(st.lists(element, max_size=4)))
        inner += f"<{opened}>{content}" + "".join(f"</{tag}>" for tag in reversed(tags))
    head = draw(
        st.sampled_from(
            [
                "",
                '<?xml version="1.0"?>',
                '<?xml version="1.0" encoding="utf-16"?>',
                '<!DOCTYPE a [<!ENTITY e "x">]>',
                "\ufeff",
            ]
        )
    )
    return f"{head}<{root}{spaces}>{inner}</{root}>".encode("utf-8", "surrogatepass")


LOCK = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>'
)
deep = st.integers(1, 300).map(
    lambda n: b'<D:propfind xmlns:D="DAV:">' + b"<D:a>" * n + b"</D:a>" * n + b"</D:propfind>"
)
broken = st.tuples(xml(), st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
body = st.just(b"") | xml() | broken | st.just(LOCK) | deep | st.binary(max_size=200) | st.just(b"x" * 90_000)
PROPFIND = b"".join(
    [b'<D:propfind xmlns:D="DAV:" xmlns:T="urn:test"><D:prop><D:getetag/><D:lockdiscovery/><T:colour/>',
     b"<D:quota-available-bytes/></D:prop></D:propfind>"]
)  # fmt: skip
PROPPATCH = (
    b'<D:propertyupdate xmlns:D="DAV:" xmlns:T="urn:test"><D:set><D:prop><T:colour>red</T:colour></D:prop></D:set>'
    b"</D:propertyupdate>"
)
USUAL = {"PROPFIND": [b"", PROPFIND], "PROPPATCH": [PROPPATCH], "LOCK": [LOCK], "PUT": [b"", b"hello", b"x" * 90_000]}
"""The bodies that make sense."""
KNOWN = ["GET", "HEAD", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "OPTIONS"]
UNKNOWN = ["POST", "PATCH", "REPORT", "SEARCH", "ACL", "BIND", "TRACE", "M" * 30]
method = st.sampled_from(KNOWN * 5 + UNKNOWN)


@dataclass(frozen=True)
class Asked:
    """A request, as bytes without its credentials."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def wire(self, credentials: str) -> bytes:
        fields = dict(self.fields)
        fields.setdefault("Host", "127.0.0.1")
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            f"Authorization: Basic {credentials}",
            f"Content-Length: {len(self.body)}",
            "Connection: close",
        ]
        lines += [f"{key}: {value}" for key, value in fields.items()]
        return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + self.body


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Mostly something that could be meant, with some of it wrong."""
    verb = draw(method)
    usual = st.sampled_from(USUAL.get(verb, [b""]))
    fields = dict([draw(field) for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3])))])
    if verb in {"COPY", "MOVE"} and draw(st.booleans()):
        fields["Destination"] = draw(plain_path)
    return Asked(verb, draw(path), tuple(fields.items()), draw(mostly(usual, body)))


def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    with socket.create_connection(address, timeout=WAIT_SECONDS) as connection:
        connection.sendall(sent)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def look_at(request: Asked, answer: bytes) -> None:
    """Fail unless this is an answer that any request may get."""
    while answer.startswith(b"HTTP/1.1 100"):
        answer = answer.partition(b"\r\n\r\n")[2]
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), (request, answer[:200])
    status = int(head[9:12])
    assert 200 <= status < 600, (request, answer[:200])
    # 501 and 502 have their meaning; 503 and 507 cannot be: nothing is away, and nothing is full.
    assert status not in {500, 503, 504, 507}, (request, answer[:2000])
    if status == 207 and request.method != "HEAD" and b"chunked" not in head:
        etree.fromstring(content)


def send_many(count: int, send: Callable[[Asked], None]) -> None:
    @settings(
        max_examples=count,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(asked())
    def each(request: Asked) -> None:
        send(request)

    each()


def furnish(address: tuple[str, int], credentials: str) -> None:
    """Make what the usual paths name, if it is not there."""
    for place, content in (("a/", b""), ("a/b", b"hello"), ("c.txt", b"x" * 90_000)):
        exchange(address, Asked("PUT" if content else "MKCOL", f"/dav/{place}", (), content).wire(credentials))


def test_no_request_brings_the_server_out_of_step(drive: Drive) -> None:
    credentials = base64.b64encode(f"{drive.user.name}:{drive.user.password}".encode()).decode()
    address = drive.server.address
    met: Counter[bytes] = Counter()

    def send(request: Asked) -> None:
        answer = exchange(address, request.wire(credentials))
        look_at(request, answer)
        met[answer[9:12]] += 1
        if token_given := re.search(rb"\r\nLock-Token: (<[^>]+>)", answer):
            unlock = Asked("UNLOCK", request.path, (("Lock-Token", token_given[1].decode()),), b"")
            exchange(address, unlock.wire(credentials))
        if met.total() % 25 == 1:
            furnish(address, credentials)

    log_before = len(drive.server.log)
    send_many(REQUESTS // 4, send)
    before = resident(drive.server.pid)
    send_many(REQUESTS, send)
    grown = resident(drive.server.pid) - before
    print(f"{met.total()} requests, {grown >> 20} MiB more, {dict(met)}")
    assert grown < GROWTH, f"{grown >> 20} MiB more"
    assert met[b"207"] > REQUESTS // 50, "too few of them mean anything"
    assert "Traceback" not in drive.server.log[log_before:]
    done: subprocess.CompletedProcess[str] = drive.deployment.run("verify", check=False)
    assert done.returncode == 0, done.stdout
