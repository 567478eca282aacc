"""The whole application, WebDAV and REST, called as a server would call it; answers of REST as JSON."""

import json
from dataclasses import dataclass
from typing import Any

from davserver.bootstrap import Services
from davserver.monitoring.traced import Application
from davserver.wsgi import make_app
from tests.support.drive import Drive, MovableClock, Response, Sent, call, environ_of, new_drive


@dataclass
class Rest:
    """A client of the API: signed in as the user of a drive, or as nobody."""

    app: Application
    services: Services
    clock: MovableClock
    token: str | None = None
    drive: Drive | None = None

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        """Send JSON, or bytes as they are, to a path below ``/api/v1`` (or an absolute one); a header as ``If_Match=...``."""
        target = path if path.startswith("/api") else f"/api/v1{path}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            sent.setdefault("Content-Length", str(len(data)))
        return call(self.app, environ_of(method, target, Sent(data), sent), method)

    def json(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """The same, seen to have that status; returns what the JSON says."""
        response = self.request(method, path, body, **headers)
        assert response.status == status, (response.status, response.body)
        return json.loads(response.body) if response.body else None

    def sign_in(self, drive: Drive | None = None) -> "Rest":
        """A client for the user of a drive, or for a new user with an empty one."""
        drive = drive or new_drive(self.services, self.app, self.clock)
        pair = self.json("POST", "/sessions", {"name": drive.principal.name, "password": drive.password}, status=201)
        return Rest(self.app, self.services, self.clock, pair["access_token"], drive)

    def dav(self, method: str, path: str, token: str, body: bytes = b"", **headers: str) -> Response:
        """A WebDAV request with a device token as the password of this client's user."""
        assert self.drive is not None
        device = Drive(self.services, self.app, self.drive.principal, token, self.clock)
        return device.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})


def make_rest(services: Services, clock: MovableClock) -> Rest:
    """A client that is nobody yet."""
    return Rest(make_app(services), services, clock)
