"""People as they are, for locust; tests/load/README.md says how to run them, and what they do."""

import base64
import heapq
import itertools
import os
import random
import secrets
import threading
from collections import defaultdict
from typing import Any, ClassVar

from locust import FastHttpUser, between, events, task
from locust.runners import WorkerRunner

LIST = (
    '<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/><creationdate/>'
    "<displayname/></prop></propfind>"
)
QUOTA = '<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>'
LOCK = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
    "<D:owner>office</D:owner></D:lockinfo>"
)
BLOCK = random.Random(5).randbytes(8 << 20)
"""What every file is the beginning of, so that its size says what must be in it."""
FILES = 20
"""Small files in everybody's folder."""


class Numbers:
    """Numbers from 0 that nobody has at the moment, the lowest first."""

    def __init__(self) -> None:
        self._next = itertools.count()
        self._free: list[int] = []

    def take(self) -> int:
        """One that is free."""
        return heapq.heappop(self._free) if self._free else next(self._next)

    def give_back(self, number: int) -> None:
        """It is free again."""
        heapq.heappush(self._free, number)


NUMBERS = Numbers()


def done(answer: Any) -> bool:
    """Whether an answer says yes. (Locust calls no answer at all ok.)"""
    return 200 <= int(answer.status_code) < 300


class Access:
    """The access token of one account, for all `Scripts` that use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""

    def token(self, person: "Person", refused: str = "") -> str:
        """A token other than the one that was refused: the one that there is, or that of a new session."""
        with self._lock:
            if self._token == refused:
                asked = {"name": person.account, "password": os.environ["DAV_PASSWORD"]}
                answer = person.client.post(
                    "/api/v1/sessions", name="REST sign in", json=asked, headers=dict(person.headers)
                )
                self._token = answer.json()["access_token"] if answer.status_code == 201 else ""
            return self._token


ACCESS: dict[str, Access] = defaultdict(Access)


class Person(FastHttpUser):
    """Somebody with a folder of their own, on the share of DAV_USER or on one of their own (DAV_ACCOUNTS)."""

    abstract = True
    here: ClassVar[set["Person"]] = set()
    """Those of this process whose folder is ready."""

    def on_start(self) -> None:
        self.number = NUMBERS.take()
        runner, processes = self.environment.runner, int(os.environ.get("LOAD_PROCESSES", "1"))
        number = self.number * processes + (runner.worker_index if isinstance(runner, WorkerRunner) else 0)
        prefix = os.environ.get("DAV_ACCOUNTS")
        self.account = f"{prefix}{number}" if prefix else os.environ["DAV_USER"]
        credentials = base64.b64encode(f"{self.account}:{os.environ['DAV_PASSWORD']}".encode()).decode()
        # Each comes from an address of their own, as far as the server trusts us for a proxy.
        self.headers = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        self.signed_in = {"Authorization": f"Basic {credentials}"}
        self.folder = f"/dav/{type(self).__name__.lower()}-{secrets.token_hex(4)}"
        self.stored: dict[str, int] = {}
        """The files that must be there, and their sizes."""
        self.dav("MKCOL", self.folder + "/", "MKCOL")
        for number in range(FILES):
            self.put(self.a_file(number), 1000 + number, "PUT small")
        self.here.add(self)

    def on_stop(self) -> None:
        """See that nothing is lost of what the server said yes to."""
        for path in [*self.stored]:
            self.get(path, "GET at the end")
        self.here.discard(self)
        NUMBERS.give_back(self.number)

    def a_file(self, number: int | None = None) -> str:
        """The path of one of the small files."""
        return f"{self.folder}/file-{random.randrange(FILES) if number is None else number}.txt"

    def dav(self, method: str, path: str, name: str, data: Any = b"", **fields: str) -> Any:
        """Send a request. A status that is an error counts as a failure, in locust's figures."""
        headers = self.headers | self.signed_in | {key.replace("_", "-"): value for key, value in fields.items()}
        return self.client.request(method, path, name=name, data=data, headers=headers)

    def get(self, path: str, name: str) -> None:
        """Download. What is not what was stored counts as a failure."""
        size = self.stored.get(path)
        headers = self.headers | self.signed_in
        with self.client.request("GET", path, name=name, headers=headers, catch_response=True) as answer:
            if answer.status_code == 200 and size is not None and answer.content != BLOCK[:size]:
                answer.failure("LOST: the content is not what was stored")

    def put(self, path: str, size: int, name: str, **fields: str) -> None:
        """Upload, and remember that it must be there from now on."""
        self.stored.pop(path, None)  # until the answer nobody knows
        if done(self.dav("PUT", path, name, BLOCK[:size], **fields)):
            self.stored[path] = size


@events.report_to_master.add_listener  # type: ignore[untyped-decorator] # locust says nothing of its types
def _report(data: dict[str, Any], **_: Any) -> None:
    data["here"] = len(Person.here)


class Scripts(Person):
    """Scripts and pages that come over REST: list, upload, download, move, delete, look at figures and at the log."""

    weight = 1
    wait_time = between(2, 6)
    token = ""

    def on_start(self) -> None:
        super().on_start()
        self.place = self.folder.removeprefix("/dav")

    def ask(self, method: str, route: str, name: str, *, data: Any = None, json: object = None, **query: str) -> bool:
        """Send a request, and say whether it was done; an access token that has run out is replaced by a new one."""
        for _ in range(2):
            self.token = self.token or ACCESS[self.account].token(self)
            with self.client.request(
                method, f"/api/v1/{route}", name=f"REST {name}", params=query, data=data, json=json,
                headers=self.headers | {"Authorization": f"Bearer {self.token}"}, catch_response=True,
            ) as answer:  # fmt: skip
                if answer.status_code != 401:
                    return done(answer)
                answer.success()
            self.token = ACCESS[self.account].token(self, refused=self.token)
        return False

    @task(4)
    def look(self) -> None:
        self.ask("GET", "files", "list", path=self.place)

    @task(4)
    def read(self) -> None:
        self.ask("GET", "files/content", "download", path=self.a_file().removeprefix("/dav"))

    @task(2)
    def push(self) -> None:
        path = f"{self.place}/{secrets.token_hex(4)}"
        size = random.randrange(100, 90_000)
        self.ask("PUT", "files/content", "upload", data=BLOCK[:size], path=f"{path}.part")
        if self.ask("POST", "files/move", "move", json={"source": f"{path}.part", "destination": f"{path}.bin"}):
            self.stored[f"/dav{path}.bin"] = size
        self.ask("GET", "files/metadata", "metadata", path=f"{path}.bin")
        self.stored.pop(f"/dav{path}.bin", None)
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
    wait_time = between(1, 6)

    @task(6)
    def look(self) -> None:
        self.dav("PROPFIND", self.folder + "/", "PROPFIND 1", LIST, Depth="1")

    @task(4)
    def stat(self) -> None:
        self.dav("PROPFIND", self.a_file(), "PROPFIND 0", LIST, Depth="0")

    @task(4)
    def read(self) -> None:
        self.get(self.a_file(), "GET small")

    @task(1)
    def room(self) -> None:
        self.dav("PROPFIND", "/dav/", "PROPFIND quota", QUOTA, Depth="0")


class Office(Person):
    """Saves a document as an office program does: LOCK, GET, PUT, UNLOCK."""

    weight = 2
    wait_time = between(10, 30)

    @task
    def save(self) -> None:
        path = self.a_file()
        locked = self.dav("LOCK", path, "LOCK", LOCK, Depth="0", Timeout="Second-300")
        if not done(locked):
            return
        token = locked.headers["Lock-Token"]
        self.get(path, "GET small")
        self.put(path, random.randrange(20_000, 200_000), "PUT under a lock", If=f"({token})")
        self.dav("UNLOCK", path, "UNLOCK", Lock_Token=token)


class Sync(Person):
    """A sync client: many small files, renamed into place, and old ones deleted."""

    weight = 2
    wait_time = between(10, 30)

    @task
    def push(self) -> None:
        batch = secrets.token_hex(4)
        self.dav("PROPFIND", self.folder + "/", "PROPFIND 1", LIST, Depth="1")
        for number in range(10):
            part, path = f"{self.folder}/{batch}-{number}.part", f"{self.folder}/{batch}-{number}"
            self.put(part, random.randrange(100, 9000), "PUT small")
            size = self.stored.pop(part, None)
            moved = self.dav("MOVE", part, "MOVE", Destination=f"{self.host}{path}")
            if done(moved) and size is not None:
                self.stored[path] = size
        for number in range(10):
            self.stored.pop(f"{self.folder}/{batch}-{number}", None)
            self.dav("DELETE", f"{self.folder}/{batch}-{number}", "DELETE")


class Media(Person):
    """Puts a film there, jumps about in it, and now and then puts another."""

    weight = 1
    wait_time = between(2, 6)

    def on_start(self) -> None:
        super().on_start()
        self.film()

    @task(1)
    def film(self) -> None:
        self.put(f"{self.folder}/film.mp4", len(BLOCK), "PUT 8 MiB")

    @task(10)
    def jump(self) -> None:
        start = random.randrange(7 << 20)
        self.dav(
            "GET", f"{self.folder}/film.mp4", "GET a range of 1 MiB", Range=f"bytes={start}-{start + (1 << 20) - 1}"
        )
