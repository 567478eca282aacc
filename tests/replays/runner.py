"""Sends what a `.replay` file says over a plain socket, reads the answers and checks them.

No HTTP library: it would put header fields in order, change their case and close connections by its own rules, and these are
what the clients differ in.
"""

import base64
import contextlib
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from lxml import etree

from tests.replays.script import Given, Script, Step, fill

SECONDS = 20.0
"""A server that does not answer for so long has failed the step."""
SHOWN = 3000
"""Bytes of each direction that an error shows."""
NAMESPACES = {
    "D": "DAV:",
    "Z": "urn:schemas-microsoft-com:",
    "A": "http://apache.org/dav/props/",
    "S": "SAR:",
    "oc": "http://owncloud.org/ns",
    "u": "http://ucb.openoffice.org/dav/props/",
    "re": "http://exslt.org/regular-expressions",
}
"""What XPath checks may use; `re:test(text, pattern)` is a regular expression."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ReplayError(AssertionError):
    """A step that the server did not answer as its client needs it."""


@dataclass
class Reply:
    """One answer, and its bytes as they came."""

    status: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    raw: bytes = b""

    def header(self, name: str) -> str | None:
        """A header field, by its name in any case."""
        return next((value for given, value in self.fields if given.lower() == name.lower()), None)

    @property
    def xml(self) -> Any:
        """The root of the body. Raises `ReplayError`."""
        try:
            return etree.fromstring(self.body)
        except etree.XMLSyntaxError as error:
            raise ReplayError(f"the body is no XML: {error}") from None

    def ends_connection(self) -> bool:
        """Whether the server says that it closes."""
        return "close" in (self.header("Connection") or "").lower()


class Wire:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=SECONDS)
        self._unread = b""
        self.seen = b""
        """All that came since the last request."""

    def send(self, data: bytes) -> None:
        """Send all of it, and begin to remember what comes. An error is not raised: the server may answer early."""
        self.seen = self._unread
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer tells why
            self._socket.sendall(data)

    def close(self) -> None:
        """Break it off."""
        self._socket.close()

    def read_reply(self, *, has_body: bool) -> Reply:
        """Read one whole answer. Raises `ReplayError` when it is none, or ends early."""
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) .*", lines[0])
        if found is None:
            raise ReplayError(f"this is no status line: {lines[0]!r}")
        pairs = [line.partition(":") for line in lines[1:] if line]
        reply = Reply(int(found[1]), [(name, value.strip()) for name, _, value in pairs])
        if has_body and reply.status not in {204, 304}:
            reply.body = self._read_body(reply)
        reply.raw = self.seen
        return reply

    def read_exactly(self, size: int) -> bytes:
        """Read so many bytes. Raises `ReplayError` when there are fewer."""
        while len(self._unread) < size:
            self._more()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def expect_end(self) -> None:
        """See that the server closes without another byte. Raises `ReplayError`."""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            if not self._unread and not self._socket.recv(1):
                return
        raise ReplayError("the client asked for the connection to be closed; it was not")

    def _read_body(self, reply: Reply) -> bytes:
        length = reply.header("Content-Length")
        if length is not None:
            return self.read_exactly(int(length))
        if (reply.header("Transfer-Encoding") or "").lower() == "chunked":
            return self._read_chunks()
        if reply.ends_connection():
            return self._read_rest()
        raise ReplayError("nothing tells where the body ends")

    def _read_rest(self) -> bytes:
        try:
            while True:
                self._more()
        except ReplayError:
            rest, self._unread = self._unread, b""
            return rest

    def _read_chunks(self) -> bytes:
        parts = []
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            parts.append(self.read_exactly(size))
            if self.read_exactly(2) != b"\r\n":
                raise ReplayError("a chunk does not end where it says")
            if size == 0:
                return b"".join(parts)

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._more()
        data, _, self._unread = self._unread.partition(mark)
        return data

    def _more(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            raise ReplayError(f"no byte came for {SECONDS:.0f} s") from None
        except ConnectionResetError:
            data = b""
        if not data:
            raise ReplayError("the connection was closed before the answer was whole")
        self._unread += data
        self.seen += data


class Replay:
    """A script against one user's drive. `values` is what stands in braces in it."""

    def __init__(self, script: Script, url: str, user: tuple[str, str]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        base = parts.path.rstrip("/")
        self.script = script
        self._address = parts.hostname, parts.port
        self._wires: dict[str, Wire] = {}
        self.values = {
            "B": base,
            "PARENT": base.rpartition("/")[0] + "/",
            "H": parts.netloc,
            "AUTH": basic(user[0], user[1]),
            "MACHINE_AUTH": basic(f"DESKTOP-ABC\\{user[0]}", user[1]),
            "USER": user[0],
            "PASSWORD": user[1],
        }

    def __enter__(self) -> Self:
        for given in self.script.given:
            self._prepare(given)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for wire in self._wires.values():
            wire.close()

    def run(self) -> int:
        """Run all steps, and return how many. Raises `ReplayError` at the first that fails."""
        for step in self.script.steps:
            self.run_step(step)
        return len(self.script.steps)

    def run_step(self, step: Step) -> None:
        """Run one step. Raises `ReplayError`, with the bytes of both directions."""
        head, body = self.request_of(step)
        wire = self._wires.get(step.connection) or self._wires.setdefault(step.connection, Wire(self._address))
        try:
            if step.cut_after is not None:
                wire.send(head + body[: step.cut_after])
                self._drop(step.connection)
                return
            reply = self._exchange(wire, step, head, body)
            check(step, reply, self.values)
            if _asks_to_close(step):
                wire.expect_end()
        except ReplayError as error:
            raise ReplayError(self._told(step, str(error), head + body, wire.seen)) from None
        if reply.ends_connection() or _asks_to_close(step):
            self._drop(step.connection)

    def request_of(self, step: Step) -> tuple[bytes, bytes]:
        """The bytes of head and body."""
        lines = [fill(line, self.values) for line in step.body or ()]
        body = "\r\n".join(lines + [""] * (step.is_chunked and bool(lines))).encode()
        values = {**self.values, "LENGTH": str(len(body))}
        head = "".join(fill(line, values) + "\r\n" for line in step.head) + "\r\n"
        return head.encode(), body

    def _exchange(self, wire: Wire, step: Step, head: bytes, body: bytes) -> Reply:
        if step.waits_for_continue:
            wire.send(head)
            interim = wire.read_exactly(len(CONTINUE))
            if interim != CONTINUE:
                raise ReplayError("a bare 100 Continue must come before the body")
            wire.send(body)
        else:
            wire.send(head + body)
        return wire.read_reply(has_body=not step.head[0].startswith("HEAD "))

    def _drop(self, connection: str) -> None:
        self._wires.pop(connection).close()

    def _prepare(self, given: Given) -> None:
        method = "MKCOL" if given.content is None else "PUT"
        lines = [
            f"{method} {{B}}/{given.path} HTTP/1.1",
            "Host: {H}",
            "Authorization: Basic {AUTH}",
            "Content-Length: {LENGTH}",
        ]
        body = [] if given.content is None else [given.content]
        self.run_step(Step("given", given.path, 0, head=lines, body=body, statuses=(201,)))

    def _told(self, step: Step, problem: str, sent: bytes, received: bytes) -> str:
        text = (
            f"{self.script.name}.replay:{step.line}: step {step.id} ({step.title}), rules {' '.join(step.rules)}: {problem}\n"
            f"--- sent, {len(sent)} bytes\n{_shown(sent)}\n--- received, {len(received)} bytes\n{_shown(received)}"
        )
        for name in ("AUTH", "MACHINE_AUTH", "PASSWORD"):
            text = text.replace(self.values[name], f"{{{name}}}")
        return text


def basic(name: str, password: str) -> str:
    """The credentials of HTTP Basic authentication, in base64."""
    return base64.b64encode(f"{name}:{password}".encode()).decode()


def check(step: Step, reply: Reply, values: dict[str, str]) -> None:
    """See that the answer is what the step says, and what every client needs; take what is to be taken. Raises `ReplayError`."""
    if reply.status not in step.statuses:
        raise ReplayError(f"status {reply.status}, not {' or '.join(map(str, step.statuses))}")
    check_always(step, reply, values)
    for one in step.checks:
        for pattern, apply in _CHECKS:
            if found := pattern.fullmatch(one.text):
                apply(reply, found, values)
                break
        else:
            raise ReplayError(f"line {one.line}: no such check: {one.text}")


def check_always(step: Step, reply: Reply, values: Mapping[str, str]) -> None:
    """What no client may meet, in any answer. Raises `ReplayError`."""
    if reply.header("Date") is None:
        raise ReplayError("every answer needs a Date")
    if 300 <= reply.status < 400 and reply.status != 304:
        raise ReplayError("a redirect (R25)")
    if "iis" in (reply.header("Server") or "").lower() or reply.header("X-MSDAVEXT") is not None:
        raise ReplayError("what is told of the server turns on work-arounds (R4)")
    if reply.status == 207:
        method, target, _ = fill(step.head[0], values).split(" ")
        _check_multistatus(reply, target if method == "PROPFIND" else None)


def _check_multistatus(reply: Reply, asked: str | None) -> None:
    """Rules R15 to R18: what parsers of clients rely on."""
    if not re.match(r"(application|text)/xml\b", reply.header("Content-Type") or ""):
        raise ReplayError("a multistatus is XML (R15)")
    root = reply.xml
    stray = [e.tag for e in root.iter("{DAV:}*") if e.prefix != "D"]
    if root.tag != "{DAV:}multistatus" or stray:
        raise ReplayError(f"every DAV element has the prefix D: (R15): {stray[:3]}")
    for response in root.findall("D:response", NAMESPACES):
        href = response[0].text if response[0].tag == "{DAV:}href" else None
        if not href or not href.startswith("/"):
            raise ReplayError("D:href comes first, as an absolute path (R16, R17)")
        if asked is not None and not _same(href).startswith(_same(asked)):
            raise ReplayError(f"{href} is not below what was asked for (R17)")
        is_collection = response.find(".//D:resourcetype/D:collection", NAMESPACES) is not None
        if response.find(".//D:resourcetype", NAMESPACES) is not None and is_collection != href.endswith("/"):
            raise ReplayError(f"collections end in a slash, and files do not (R17): {href}")
        for status in response.findall("D:propstat/D:status", NAMESPACES):
            if not re.fullmatch(r"HTTP/1\.1 \d{3} .+", status.text or ""):
                raise ReplayError(f"a propstat's status is {status.text!r} (R16)")


def _same(path: str) -> str:
    return normalize("NFC", unquote(urlsplit(path).path)).rstrip("/")


Apply = Callable[[Reply, re.Match[str], dict[str, str]], None]


def _header(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    given = reply.header(found["field"])
    if given is None:
        raise ReplayError(f"there is no header field {found['field']}")
    if found["value"] is not None and given != fill(found["value"], values):
        raise ReplayError(f"{found['field']} is {given!r}, not {fill(found['value'], values)!r}")
    if found["pattern"] is not None and not re.search(fill(found["pattern"], values, re.escape), given):
        raise ReplayError(f"{found['field']} is {given!r}, which does not match {found['pattern']}")


def _no_header(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    if reply.header(found["field"]) is not None:
        raise ReplayError(f"there is a header field {found['field']}: {reply.header(found['field'])!r}")


def _body(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    wanted = fill(found["text"], values).encode()
    if reply.body != wanted:
        raise ReplayError(f"the body of {len(reply.body)} bytes is not the {len(wanted)} bytes that it should be")


def _body_size(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    if len(reply.body) != int(found["size"]):
        raise ReplayError(f"the body has {len(reply.body)} bytes, not {found['size']}")


def _lacks(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    if fill(found["text"], values).encode() in reply.body:
        raise ReplayError(f"the body holds {found['text']!r}")


def _xpath(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    expression = fill(found["expression"], values)
    if not reply.xml.xpath(expression, namespaces=NAMESPACES):
        raise ReplayError(f"this does not hold: {expression}")


def _take_header(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    given = reply.header(found["field"])
    match = re.search(found["pattern"] or "(.+)", given or "")
    if match is None:
        raise ReplayError(f"{found['name']} cannot be taken from {found['field']}: {given!r}")
    values[found["name"]] = match[1]


def _take_xpath(reply: Reply, found: re.Match[str], values: dict[str, str]) -> None:
    value = reply.xml.xpath(f"string({found['expression']})", namespaces=NAMESPACES)
    if not value:
        raise ReplayError(f"{found['name']} cannot be taken: {found['expression']} is empty")
    values[found["name"]] = value


_CHECKS: tuple[tuple[re.Pattern[str], Apply], ...] = (
    (re.compile(r"header (?P<field>[\w-]+)(?:: (?P<value>.*)| ~ (?P<pattern>.*))?"), _header),
    (re.compile(r"no header (?P<field>[\w-]+)"), _no_header),
    (re.compile(r"body of (?P<size>\d+) bytes"), _body_size),
    (re.compile(r"body is (?P<text>.*)"), _body),
    (re.compile(r"body lacks (?P<text>.+)"), _lacks),
    (re.compile(r"xpath (?P<expression>.+)"), _xpath),
    (re.compile(r"take (?P<name>[A-Z][A-Z0-9_]*) header (?P<field>[\w-]+)(?: ~ (?P<pattern>.+))?"), _take_header),
    (re.compile(r"take (?P<name>[A-Z][A-Z0-9_]*) xpath (?P<expression>.+)"), _take_xpath),
)


def _asks_to_close(step: Step) -> bool:
    return any(re.fullmatch(r"connection:\s*close", line, re.IGNORECASE) for line in step.head)


def _shown(data: bytes) -> str:
    text = data[:SHOWN].decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return text + (f"\n... {len(data) - SHOWN} more bytes" if len(data) > SHOWN else "")
