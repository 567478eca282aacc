"""HTTP as bytes say it: paths go out as they are written, and every request is counted."""

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back; the names of header fields in lower case, in the order in which they came."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def field(self, name: str) -> str:
        """The value of a header field; empty when there is none."""
        return dict(self.fields).get(name, "")

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


class Wire:
    """One connection at a time to one server, opened again where it was closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)
        self.host = parts.netloc
        self.sent = 0
        """Requests until now."""

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send a request for `target`, which is not looked at."""
        self.sent += 1
        try:
            return self._exchange(method, target, headers or {}, body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()  # it was idle for too long; whoever cannot answer fails again
            return self._exchange(method, target, headers or {}, body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _exchange(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        connection = self._connection
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", self.host)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in {"PUT", "POST"}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        fields = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, fields, response.read())
