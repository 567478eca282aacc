"""Users as they are, for locust; tests/load/README.md says how to run them."""

import itertools
import os
import random
import secrets
import threading

from locust import HttpUser, between, task
from locust.clients import HttpSession

LIST = (
    '<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/><creationdate/>'
    "<displayname/></prop></propfind>"
)
QUOTA = '<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>'
LOCK = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
    "<D:owner>office</D:owner></D:lockinfo>"
)
BLOCK = random.Random(5).randbytes(1 << 20)
NAMES = itertools.count()


class Person(HttpUser):
    """Somebody with a folder of their own on the share of DAV_USER."""

    abstract = True
    wait_time = between(0.5, 2.0)

    def on_start(self) -> None:
        self.client.auth = (os.environ["DAV_USER"], os.environ["DAV_PASSWORD"])
        self.folder = f"/dav/{type(self).__name__.lower()}-{next(NAMES)}-{secrets.token_hex(4)}"
        self.dav("MKCOL", self.folder + "/", "MKCOL")
        for number in range(20):
            self.dav("PUT", f"{self.folder}/file-{number}.txt", "PUT small", data=BLOCK[: 1000 + number])

    def dav(self, method: str, path: str, name: str, *, data: bytes | str = b"", **fields: str) -> dict[str, str]:
        """Send a request; its answer's header. A status that is an error counts as a failure, in locust's figures."""
        headers = {key.replace("_", "-"): value for key, value in fields.items()}
        return dict(self.client.request(method, path, name=name, data=data, headers=headers).headers)


class Access:
    """The access token that all `Scripts` share, as the scripts of one user on one machine do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""

    def token(self, client: HttpSession, refused: str = "") -> str:
        """A token other than the one that was refused: the one that there is, or that of a new session."""
        with self._lock:
            if self._token == refused:
                asked = {"name": os.environ["DAV_USER"], "password": os.environ["DAV_PASSWORD"]}
                self._token = client.post("/api/v1/sessions", name="REST sign in", json=asked).json()["access_token"]
            return self._token


ACCESS = Access()


class Scripts(Person):
    """Scripts and pages that come over REST: list, upload, download, move, delete, look at figures and at the log."""

    weight = 1
    token = ""

    def on_start(self) -> None:
        super().on_start()
        self.client.auth = None
        self.place = self.folder.removeprefix("/dav")

    def ask(
        self, method: str, route: str, name: str, *, data: bytes | None = None, json: object = None, **query: str
    ) -> None:
        """Send a request; an access token that has run out is replaced by a new one."""
        for _ in range(2):
            self.token = self.token or ACCESS.token(self.client)
            with self.client.request(
                method, f"/api/v1/{route}", name=f"REST {name}", params=query, data=data, json=json,
                headers={"Authorization": f"Bearer {self.token}"}, catch_response=True,
            ) as answer:  # fmt: skip
                if answer.status_code != 401:
                    return
                answer.success()
                self.token = ACCESS.token(self.client, refused=self.token)

    @task(4)
    def look(self) -> None:
        self.ask("GET", "files", "list", path=self.place)

    @task(4)
    def read(self) -> None:
        self.ask("GET", "files/content", "download", path=f"{self.place}/file-{random.randrange(20)}.txt")

    @task(2)
    def push(self) -> None:
        path = f"{self.place}/{secrets.token_hex(4)}"
        self.ask("PUT", "files/content", "upload", data=BLOCK[: random.randrange(100, 90_000)], path=f"{path}.part")
        self.ask("POST", "files/move", "move", json={"source": f"{path}.part", "destination": f"{path}.bin"})
        self.ask("GET", "files/metadata", "metadata", path=f"{path}.bin")
        self.ask("DELETE", "files", "delete", path=f"{path}.bin")

    @task(1)
    def figures(self) -> None:
        self.ask("GET", "statistics", "statistics")
        self.ask("GET", "statistics/top", "statistics, top")
        self.ask("GET", "activity", "activity")
        self.ask("GET", "trash", "trash")


class Mounted(Person):
    """A mounted drive: looks around, opens files, asks for the room left."""

    weight = 5

    @task(6)
    def look(self) -> None:
        self.dav("PROPFIND", self.folder + "/", "PROPFIND 1", data=LIST, Depth="1")

    @task(4)
    def stat(self) -> None:
        self.dav("PROPFIND", f"{self.folder}/file-{random.randrange(20)}.txt", "PROPFIND 0", data=LIST, Depth="0")

    @task(4)
    def read(self) -> None:
        self.dav("GET", f"{self.folder}/file-{random.randrange(20)}.txt", "GET small")

    @task(1)
    def room(self) -> None:
        self.dav("PROPFIND", "/dav/", "PROPFIND quota", data=QUOTA, Depth="0")


class Office(Person):
    """Saves a document as an office program does: LOCK, PUT, UNLOCK."""

    weight = 2

    @task
    def save(self) -> None:
        path = f"{self.folder}/file-{random.randrange(20)}.txt"
        token = self.dav("LOCK", path, "LOCK", data=LOCK, Depth="0", Timeout="Second-300").get("Lock-Token", "")
        self.dav("GET", path, "GET small")
        self.dav("PUT", path, "PUT under a lock", data=BLOCK[: random.randrange(20_000, 200_000)], If=f"({token})")
        self.dav("UNLOCK", path, "UNLOCK", Lock_Token=token)


class Sync(Person):
    """A sync client: many small files, renamed into place, and old ones deleted."""

    weight = 2

    @task
    def push(self) -> None:
        batch = secrets.token_hex(4)
        self.dav("PROPFIND", self.folder + "/", "PROPFIND 1", data=LIST, Depth="1")
        for number in range(10):
            part, path = f"{self.folder}/{batch}-{number}.part", f"{self.folder}/{batch}-{number}"
            self.dav("PUT", part, "PUT small", data=BLOCK[: random.randrange(100, 9000)])
            self.dav("MOVE", part, "MOVE", Destination=f"{self.host}{path}")
        for number in range(10):
            self.dav("DELETE", f"{self.folder}/{batch}-{number}", "DELETE")


class Media(Person):
    """Puts a film there, and jumps about in it."""

    weight = 1

    @task
    def film(self) -> None:
        path = f"{self.folder}/film.mp4"
        self.dav("PUT", path, "PUT 8 MiB", data=BLOCK * 8)
        for _ in range(5):
            start = random.randrange(7 << 20)
            self.dav("GET", path, "GET a range of 1 MiB", Range=f"bytes={start}-{start + (1 << 20) - 1}")
