"""Somebody who uses a running server in every way that there is: REST, WebDAV, links."""

import json
import secrets
from typing import Any

from tests.support.davserver import ServerProcess, User
from tests.support.drive import basic
from tests.support.wire import Answer, Wire


class Person:
    """A user at one server; `wire` counts and is to be closed by who made it."""

    def __init__(self, server: ServerProcess, user: User) -> None:
        self.server = server
        self.user = user
        self.wire = Wire(server.url)
        self.access = ""
        self.refresh = ""

    @classmethod
    def registered(cls, server: ServerProcess) -> "Person":
        """Somebody new, who registers and signs in."""
        person = cls(server, User(f"story-{secrets.token_hex(4)}", secrets.token_hex(8)))
        person.rest("POST", "/accounts", {"name": person.user.name, "password": person.user.password}, status=201)
        person.sign_in()
        return person

    def sign_in(self, **more: str) -> None:
        """Open a session."""
        given = {"name": self.user.name, "password": self.user.password, **more}
        pair = self.rest("POST", "/sessions", given, status=201)
        self.access, self.refresh = pair["access_token"], pair["refresh_token"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask the API: JSON, or bytes as they are."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.access:
            sent.setdefault("Authorization", f"Bearer {self.access}")
        if body is not None and not isinstance(body, bytes):
            sent["Content-Type"], body = "application/json", json.dumps(body).encode()
        return self.wire.ask(method, f"/api/v1{path}", sent, body or b"")

    def rest(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """The same, seen to have that status; returns what the JSON says."""
        answer = self.ask(method, path, body, **headers)
        assert answer.status == status, (method, path, answer)
        return answer.json if answer.body else None

    def dav(self, method: str, path: str, body: bytes = b"", *, secret: str | None = None, **headers: str) -> Answer:
        """Ask WebDAV with the password, or with `secret` for it."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = basic(self.user.name, self.user.password if secret is None else secret)
        return self.wire.ask(method, f"/dav{path}", sent, body)

    def put(self, path: str, body: bytes, **headers: str) -> None:
        """Store a file, and see that it worked."""
        answer = self.dav("PUT", path, body, **headers)
        assert answer.status in {201, 204}, answer
