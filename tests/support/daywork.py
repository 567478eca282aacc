"""What the tests of real clients share: names that people use, what the server has, and what its log says."""

import atexit
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
from lxml import etree

from tests.support.davserver import ServerProcess
from tests.support.fixtures_davserver import Drive

MB, GIB = 1_000_000, 1 << 30
NAMES = (
    "plain.txt",
    "with  two spaces.txt",
    "Größe & Übergröße.txt",
    "100% #1 a+b (c)=d;e,f@g!.txt",
    "it's $5 ~ [x] {y}^.txt",
    unicodedata.normalize("NFD", "Café für Ärzte.txt"),
    "写真 🙂.jpg",
    "%41 is not A.txt",
)
"""Names of files that a client of any kind must be able to use; one is NFD, as a Mac writes it."""
DAV = "{DAV:}"
_LINE = re.compile(
    r" INFO +(?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d{3}) [\d.]+ ms \d+ bytes (?P<user>\S+)$", re.MULTILINE
)


def run(
    *command: str, stdin: str | None = None, env: Mapping[str, str] | None = None, timeout: float = 120,
    cwd: Path | None = None, status: int | None = 0,
) -> str:  # fmt: skip
    """Both outputs of a command, which has to end with `status` (None: with any)."""
    done = subprocess.run(
        command, input=stdin, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", timeout=timeout, check=False,
    )  # fmt: skip
    assert status is None or done.returncode == status, (
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    )
    return done.stdout


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that do not repeat; the same for the same seed."""
    return random.Random(seed).randbytes(size)


def until(reached: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether something becomes true in that time."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def nfc(names: Iterable[str]) -> set[str]:
    """The names in the form in which the server compares them (clients rule R53)."""
    return {unicodedata.normalize("NFC", name) for name in names}


def private_home(folder: Path, **more: str) -> dict[str, str]:
    """An environment whose HOME, and whatever hangs on it, is empty and in `folder`."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    # Sockets lie in it, whose paths may have 107 bytes: a test's own folder is too far down.
    runtime = Path(tempfile.mkdtemp(prefix="run-"))
    atexit.register(shutil.rmtree, runtime, ignore_errors=True)
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | more


@dataclass(frozen=True)
class Seen:
    """One line of the server's log."""

    method: str
    path: str
    status: int
    user: str


class Watch:
    """What the server logs from now on."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._from = len(server.log)

    def requests(self) -> list[Seen]:
        """All requests since then, in the order of their ends."""
        lines = _LINE.finditer(self._server.log[self._from :])
        return [Seen(f["method"], unquote(f["path"]), int(f["status"]), f["user"]) for f in lines]

    def check(self, *allowed: str) -> list[Seen]:
        """Return the requests. Fails at a trace, a status of 500 or more, or one of 400 or more that is not `allowed`.

        `allowed` are methods with a status, such as ``PROPFIND 404``; 401 is allowed before somebody signed in.
        """
        seen = self.requests()
        assert seen, "the client sent nothing, or the log is not understood"
        assert "Traceback" not in self._server.log[self._from :]
        bad = [one for one in seen if one.status >= 400 and not _is_allowed(one, allowed)]
        assert not bad, f"not expected: {bad}"
        return seen


def _is_allowed(one: Seen, allowed: Iterable[str]) -> bool:
    challenge = one.status == 401 and one.user == "-"
    return one.status < 500 and (challenge or f"{one.method} {one.status}" in allowed)


class Peer:
    """Somebody else at the same drive, who says what is there: plain HTTP, none of the clients under test."""

    def __init__(self, drive: Drive, **options: Any) -> None:
        self._base = drive.url
        self._http = httpx.Client(auth=drive.user.auth, timeout=60, **options)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, method: str, path: str = "", *, expect: int, **options: Any) -> httpx.Response:
        """An answer that has that status. `path` is plain text, without a slash at its beginning."""
        answer = self._http.request(method, self._base + quote(path), **options)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def put(self, path: str, body: bytes, **headers: str) -> None:
        self._http.put(self._base + quote(path), content=body, headers=headers).raise_for_status()

    def mkcol(self, path: str) -> None:
        self.request("MKCOL", path, expect=201)

    def get(self, path: str) -> bytes:
        return self.request("GET", path, expect=200).content

    def exists(self, path: str) -> bool:
        return self._http.head(self._base + quote(path)).status_code == 200

    def names(self, path: str = "") -> set[str]:
        """The names of the members of a folder; the trash is no member of anything."""
        answer = self.request("PROPFIND", path, expect=207, headers={"Depth": "1"})
        top = unquote(urlsplit(self._base + quote(path)).path).rstrip("/") + "/"
        hrefs = [unquote(str(found.text)) for found in etree.fromstring(answer.content).iter(f"{DAV}href")]
        return {href.rstrip("/").removeprefix(top) for href in hrefs if href.rstrip("/") != top.rstrip("/")} - {
            ".trash"
        }

    def prop(self, path: str, name: str, namespace: str = "DAV:") -> str | None:
        """The text of one property; None where it is not 200."""
        body = f'<propfind xmlns="DAV:"><prop><x:{name} xmlns:x="{namespace}"/></prop></propfind>'
        answer = self.request("PROPFIND", path, expect=207, headers={"Depth": "0"}, content=body)
        for stat in etree.fromstring(answer.content).iter(f"{DAV}propstat"):
            if " 200 " in stat.findtext(f"{DAV}status", ""):
                found = stat.find(f"{DAV}prop/{{{namespace}}}{name}")
                assert found is not None
                return "".join(map(str, found.itertext()))
        return None
