"""Clients that never stop, and a server that is killed under them: what a crash loop is made of.

Each client has a folder of its own, does one thing after the other in it, and remembers what the server has said yes to. When
the server dies under a request, nobody knows whether that was done; all else must be there afterwards, to the byte, and nothing
else. The client then looks, takes what it finds if it is one of the two, and goes on.
"""

import base64
import http.client
import random
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from tests.support.davserver import Deployment, ServerProcess, User

ANSWER_SECONDS = 60.0
SIZES = ((0, 40), (1, 60), (64 * 1024, 50), (65 * 1024, 20), (200_000, 20), (3_000_000, 2))
"""Upper bounds of file sizes, and how often each is drawn: kept in a row up to 64 KiB, in the store above."""
MANY = 25
"""Files in a client's folder, from which on it rather removes some."""
PROPFIND = b'<propfind xmlns="DAV:"><prop><resourcetype/><getetag/><getcontentlength/><mark xmlns="urn:crash"/></prop></propfind>'


@dataclass(frozen=True)
class Node:
    """A file, by what makes its bytes, or a collection (no seed); `mark` is a dead property."""

    seed: int | None = None
    size: int = 0
    mark: str = ""

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        assert self.seed is not None
        return random.Random(self.seed).randbytes(self.size)


Model = dict[str, Node]
"""What is in a client's folder, by path below it, such as ``a/b``."""


@dataclass(frozen=True)
class Step:
    """Something that a client does: the request, and what is there when it was done."""

    method: str
    path: str
    after: Model
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Refused(Exception):
    """The server said: not now."""


class Fleet:
    """The server of a deployment, again and again.

    `is_patient`: broken connections are to be expected though nobody kills it, because what it needs is away, for up to
    `patience` seconds.
    """

    def __init__(self, deployment: Deployment, *, is_patient: bool = False, patience: float = 90.0) -> None:
        self.deployment = deployment
        self.is_patient = is_patient
        self.patience = patience
        self.generation = 0
        """How many servers there have been."""
        self.up = threading.Event()
        self.server: ServerProcess = deployment.start()
        self.came_up()

    def came_up(self) -> None:
        """Let the clients in."""
        self.generation += 1
        self.up.set()

    def kill(self) -> None:
        """End all processes of the server with SIGKILL, and start it anew."""
        self.up.clear()
        self.server.kill()
        self.deployment.servers.remove(self.server)
        self.server = self.deployment.start()
        self.came_up()


class Client(threading.Thread):
    """One client in a folder of its own. `failure` is what it found wrong."""

    def __init__(self, fleet: Fleet, user: User, folder: str, seed: int) -> None:
        super().__init__(name=folder, daemon=True)
        self.fleet = fleet
        self.folder = folder
        self.random = random.Random(seed)
        self.model: Model = {}
        self.pending: Step | None = None
        self.settled = 0
        """The last server on which all was seen to be as it should."""
        self.done = 0
        self.uncertain = 0
        self.refused = 0
        """Answers that said: try again."""
        self.away_since: float | None = None
        self.failure: str = ""
        self.stopping = threading.Event()
        token = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Work until told to stop, or something is wrong."""
        try:
            self.send("MKCOL", "")
            while not self.stopping.is_set() and not self.failure:
                if self.fleet.up.wait(1.0):
                    self.turn()
        except Exception as error:
            self.failure = f"{self.folder}: {type(error).__name__}: {error}"
            raise
        finally:
            self.hang_up()

    def turn(self) -> None:
        """Settle what is uncertain, or take the next step."""
        generation = self.fleet.generation
        if self.settled != generation:
            self.hang_up()  # what is left of a connection to the last one
        try:
            if self.settled != generation or self.pending is not None:
                self.settle()
                self.settled = generation
                return
            self.pending = self.next_step()
            status = self.send(self.pending.method, self.pending.path, self.pending.headers, self.pending.body)[0]
        except Refused as error:
            self.refuse(error)
        except (OSError, http.client.HTTPException) as error:
            self.hang_up()
            self.uncertain += self.pending is not None
            if self.fleet.is_patient:
                self.refuse(error)
            else:
                self.wait_for_the_next(generation, error)
        else:
            self.away_since = None
            if 200 <= status < 300:
                self.model, self.pending = self.pending.after, None
                self.done += 1
            else:
                self.failure = f"{self.folder}: {self.pending.method} {self.pending.path} was answered {status}"

    def refuse(self, error: Exception) -> None:
        """What the server needs is away; it must come back."""
        self.refused += 1
        now = time.monotonic()
        self.away_since = self.away_since or now
        if now - self.away_since > self.fleet.patience:
            self.failure = f"{self.folder}: refused for {self.fleet.patience:.0f} s: {error}"
        time.sleep(0.1)

    def wait_for_the_next(self, generation: int, error: Exception) -> None:
        """A connection broke: the server was killed, or else something is wrong."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.fleet.generation == generation and not self.stopping.is_set():
            if time.monotonic() > deadline:
                self.failure = f"{self.folder}: a connection broke, and nobody killed the server: {error!r}"
                return
            time.sleep(0.02)

    def settle(self) -> None:
        """See that what is there is what the server said yes to, with or without what was under way."""
        listed = self.listed()
        allowed = [self.model] if self.pending is None else [self.model, self.pending.after]
        wrong: list[str] = []  # of one that fits by its sizes; another may be of the same sizes and fit by its bytes
        for model in allowed:
            if listed == {path: (None if node.seed is None else node.size, node.mark) for path, node in model.items()}:
                wrong = [path for path, node in model.items() if node.seed is not None and not self.holds(path, node)]
                if not wrong:
                    self.model, self.pending = model, None
                    return
        if wrong:
            self.failure = f"{self.folder}: not the bytes that were put: {wrong}"
        step = self.pending and f"{self.pending.method} {self.pending.path} {self.pending.headers}"
        self.failure = (
            self.failure or f"{self.folder}: {sorted(listed)} is neither {sorted(self.model)} nor that after {step}"
        )

    def holds(self, path: str, node: Node) -> bool:
        """Whether a file has the bytes that were put."""
        status, body = self.send("GET", path)
        return status == 200 and body == node.data

    def listed(self) -> dict[str, tuple[int | None, str]]:
        """What the server lists below the folder: size (None for a collection) and mark."""
        status, body = self.send("PROPFIND", "", {"Depth": "infinity"}, PROPFIND)
        if status != 207:
            self.failure = f"{self.folder}: PROPFIND was answered {status}"
        found: dict[str, tuple[int | None, str]] = {}
        for response in ET.fromstring(body).iterfind("{DAV:}response"):
            href = unquote(urlsplit(response.findtext("{DAV:}href", "")).path)
            path = href.partition(f"/{self.folder}/")[2].strip("/")
            is_collection = response.find(".//{DAV:}collection") is not None
            size = None if is_collection else int(response.findtext(".//{DAV:}getcontentlength", "-1"))
            if path:
                found[path] = (size, response.findtext(".//{urn:crash}mark") or "")
        return found

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """One request and its whole answer. Raises `Refused` for 503 and 507; another status of 5xx is a failure."""
        base = urlsplit(self.fleet.server.url)
        if self._connection is None:
            self._connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=ANSWER_SECONDS)
        target = f"{base.path}{quote(self.folder)}/{quote(path)}" if path != ".trash" else f"{base.path}.trash"
        self._connection.request(method, target, body or None, self._headers | (headers or {}))
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status in {503, 507}:
            raise Refused(f"{method} {target} was answered {answer.status}: {content[:200]!r}")
        if answer.status >= 500:
            self.failure = f"{self.folder}: {method} {target} was answered {answer.status}: {content[:500]!r}"
        return answer.status, content

    def hang_up(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None

    # What to do next.

    def next_step(self) -> Step:
        """Something that the server must say yes to."""
        files = [path for path, node in self.model.items() if node.seed is not None]
        kinds: list[tuple[Callable[[], Step], int]] = [(self.put, 8), (self.mkcol, 1)]
        if self.model:
            kinds += [(self.move, 3), (self.copy, 2), (self.mark, 2), (self.delete, 1 if len(files) < MANY else 20)]
        if self.random.random() < 0.02:
            return Step("DELETE", ".trash", self.model)
        choices, weights = zip(*kinds, strict=True)
        chosen: Callable[[], Step] = self.random.choices(choices, weights)[0]
        return chosen()

    def put(self) -> Step:
        path = self.somewhere() if self.random.random() < 0.5 or not self.model else self.something()
        if self.model.get(path, Node(0)).seed is None:
            return self.mkcol()
        limits, weights = zip(*SIZES, strict=True)
        size = self.random.randint(0, self.random.choices(limits, weights)[0])
        mark = self.model[path].mark if path in self.model else ""
        node = Node(self.random.randrange(1 << 60), size, mark)
        return Step("PUT", path, self.model | {path: node}, body=node.data)

    def mkcol(self) -> Step:
        path = self.somewhere()
        while path in self.model:
            path = self.somewhere()
        return Step("MKCOL", path, self.model | {path: Node()})

    def mark(self) -> Step:
        path = self.something()
        mark = str(self.random.randrange(10**9))
        body = f'<propertyupdate xmlns="DAV:"><set><prop><mark xmlns="urn:crash">{mark}</mark></prop></set></propertyupdate>'
        old = self.model[path]
        return Step("PROPPATCH", path, self.model | {path: Node(old.seed, old.size, mark)}, body=body.encode())

    def delete(self) -> Step:
        path = self.something()
        return Step("DELETE", path, without(self.model, path))

    def move(self) -> Step:
        source, destination = self.two()
        after = without(without(self.model, destination), source) | moved(self.model, source, destination)
        return Step("MOVE", source, after, self.to(destination))

    def copy(self) -> Step:
        source, destination = self.two()
        after = without(self.model, destination) | moved(self.model, source, destination)
        return Step("COPY", source, after, self.to(destination))

    def to(self, path: str) -> dict[str, str]:
        base = urlsplit(self.fleet.server.url)
        return {"Destination": f"{base.path}{quote(self.folder)}/{quote(path)}", "Overwrite": "T"}

    def two(self) -> tuple[str, str]:
        """A source, and a destination that is neither it, nor in it, nor above it."""
        source = self.something()
        while True:
            path = self.somewhere() if self.random.random() < 0.7 else self.something()
            if not (f"{path}/".startswith(f"{source}/") or f"{source}/".startswith(f"{path}/")):
                return source, path

    def something(self) -> str:
        return self.random.choice(sorted(self.model))

    def somewhere(self) -> str:
        """A name in one of the collections, where perhaps something is."""
        collections = ["", *(path for path, node in self.model.items() if node.seed is None and path.count("/") < 3)]
        return f"{self.random.choice(sorted(collections))}/{self.random.choice('abcdefghäöü')}".lstrip("/")


def without(model: Model, path: str) -> Model:
    """The model without what is at the path and below."""
    return {where: node for where, node in model.items() if not f"{where}/".startswith(f"{path}/")}


def moved(model: Model, source: str, destination: str) -> Model:
    """What is at the source and below, as it is at the destination."""
    return {
        destination + where[len(source) :]: node
        for where, node in model.items()
        if f"{where}/".startswith(f"{source}/")
    }
