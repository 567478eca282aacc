"""Accounts for a load, made over REST by an administrator."""

import http.client
import json
import secrets
from concurrent.futures import ThreadPoolExecutor

from tests.load.client import Site, UnexpectedAnswer
from tests.support.davserver import User

_AT_ONCE = 4


class Accounts:
    """As many accounts as were asked for at most, `prefix` and a number from 0, all with one password."""

    def __init__(self, site: Site, chief: User) -> None:
        self._site = site
        self._chief = chief
        self._count = 0
        self.prefix = "user-"
        self.password = secrets.token_hex(8)

    def make_up_to(self, count: int) -> None:
        """Make those that are missing. Raises `UnexpectedAnswer`."""
        if count <= self._count:
            return
        asked = {"name": self._chief.name, "password": self._chief.password}
        token = self._ask("/sessions", asked)["access_token"]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            made = [pool.submit(self._make, number, token) for number in range(self._count, count)]
        for one in made:
            one.result()
        self._count = count

    def _make(self, number: int, token: str) -> None:
        self._ask("/admin/users", {"name": f"{self.prefix}{number}", "password": self.password}, token)

    def _ask(self, route: str, body: dict[str, str], token: str = "") -> dict[str, str]:
        line = http.client.HTTPConnection(*self._site.address, timeout=120)
        headers = {"Content-Type": "application/json", "X-Forwarded-For": f"192.0.2.{secrets.randbelow(250)}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            line.request("POST", f"/api/v1{route}", json.dumps(body).encode(), headers)
            answer = line.getresponse()
            said = answer.read()
        finally:
            line.close()
        if answer.status != 201:
            raise UnexpectedAnswer(f"POST {route}: {answer.status}, {said[:200]!r}")
        return dict(json.loads(said))
