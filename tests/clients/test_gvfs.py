"""gvfs, the way of GNOME Files, Nemo and Caja to a drive, through `gio`."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.daywork import GIB, MB, NAMES, Peer, Watch, content, nfc, run
from tests.support.desktop import session
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client
from tests.support.processes import tied
from tests.support.tools import need

GVFS = Client(
    "gvfs (gio; GNOME Files, Nemo, Caja)", "driven", "tests/clients/test_gvfs.py",
    (
        "mount, asked for a password", "free space", "make folders", "copy in, names of every kind", "list",
        "20 MB up and down", "read", "save new", "save over", "not over what has changed", "rename", "move",
        "copy on the server", "delete", "delete refuses a folder that is not empty", "unmount",
    ),
)  # fmt: skip


class Gio:
    """`gio` with the drive mounted in a session of its own."""

    def __init__(self, drive: Drive, env: dict[str, str]) -> None:
        self._command = need("gio")
        self._env = env
        self._drive = drive
        self.base = drive.url.replace("http://", "dav://")

    def __call__(self, *arguments: str, stdin: str | None = None, status: int = 0) -> str:
        """Run `gio`. What begins with ``:`` is a path on the drive."""
        known = [self.url(one[1:]) if one.startswith(":") else one for one in arguments]
        return run(self._command, *known, env=self._env, stdin=stdin, status=status, timeout=60)

    def url(self, path: str) -> str:
        return self.base + quote(path)

    def mount(self) -> None:
        self("mount", ":", stdin="\n".join(self._drive.user.auth) + "\n")


@pytest.fixture
def gio(drive: Drive, tmp_path: Path) -> Iterator[Gio]:
    need("gio")
    need("/usr/libexec/gvfsd-dav")
    with session(tmp_path, GVFS_DISABLE_FUSE="1") as env:
        # Started by hand, so that it speaks to nobody and ends with the test.
        daemon = subprocess.Popen(
            tied(["/usr/libexec/gvfsd", "--no-fuse"], signal.SIGTERM), env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Gio(drive, env)
        finally:
            daemon.terminate()
            daemon.wait(20)


def test_gvfs_does_a_days_work(drive: Drive, gio: Gio, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    kind = drive.deployment.kind
    big, back = tmp_path / "big.bin", tmp_path / "back.bin"
    big.write_bytes(content(20 * MB))
    with GVFS.step("mount, asked for a password", kind):
        gio.mount()
        assert any(one.status == 401 for one in watch.requests())
    with GVFS.step("free space", kind):
        told = gio("info", "-f", ":")
        assert f"filesystem::free: {GIB}" in told
        assert f"filesystem::size: {GIB}" in told
    with GVFS.step("make folders", kind):
        gio("mkdir", ":one")
        gio("mkdir", ":one/Ordner mit ü")
        assert peer.names("one") == {"Ordner mit ü"}
    with GVFS.step("copy in, names of every kind", kind):
        for number, name in enumerate(NAMES):
            (tmp_path / name).write_bytes(content(1000, number))
            gio("copy", str(tmp_path / name), f":one/{name}")
        assert all(peer.get(f"one/{name}") == content(1000, number) for number, name in enumerate(NAMES))
    with GVFS.step("list", kind):
        listed = [line.split("\t") for line in gio("list", "-l", ":one").splitlines()]
        assert nfc(line[0] for line in listed) == nfc(NAMES) | {"Ordner mit ü"}
        assert {line[1] for line in listed if line[2] == "(regular)"} == {"1000"}
    with GVFS.step("20 MB up and down", kind):
        gio("copy", str(big), ":big.bin")
        gio("copy", ":big.bin", str(back))
        assert back.read_bytes() == big.read_bytes()
    with GVFS.step("unmount", kind):
        gio("mount", "-u", ":")
    watch.check("PROPFIND 404")


def test_gvfs_changes_what_is_there(drive: Drive, gio: Gio, peer: Peer, watch: Watch) -> None:
    kind = drive.deployment.kind
    gio.mount()
    peer.mkcol("a")
    peer.mkcol("b")
    with GVFS.step("save new", kind):
        gio("save", ":a/new.txt", stdin="first")
        assert peer.get("a/new.txt") == b"first"
    with GVFS.step("save over", kind):
        gio("save", ":a/new.txt", stdin="second")
        assert peer.get("a/new.txt") == b"second"
    with GVFS.step("not over what has changed", kind):
        stale = peer.request("HEAD", "a/new.txt", expect=200).headers["ETag"]
        peer.put("a/new.txt", b"changed elsewhere")
        assert "modified" in gio("save", "-e", stale, ":a/new.txt", stdin="third", status=2)
        assert peer.get("a/new.txt") == b"changed elsewhere"
    with GVFS.step("read", kind):
        assert gio("cat", ":a/new.txt") == "changed elsewhere"
    with GVFS.step("rename", kind):
        gio("rename", ":a/new.txt", "Größe #1 100%.txt")
        assert peer.names("a") == {"Größe #1 100%.txt"}
    with GVFS.step("move", kind):
        gio("move", ":a/Größe #1 100%.txt", ":b/moved.txt")
        assert (peer.names("a"), peer.names("b")) == (set(), {"moved.txt"})
    with GVFS.step("copy on the server", kind):
        gio("copy", ":b/moved.txt", ":b/copied.txt")
        assert peer.get("b/copied.txt") == b"changed elsewhere"
    with GVFS.step("delete refuses a folder that is not empty", kind):
        assert "not empty" in gio("remove", ":b", status=1)
        assert peer.names("b") == {"moved.txt", "copied.txt"}
    with GVFS.step("delete", kind):
        gio("remove", ":b/moved.txt", ":b/copied.txt", ":b", ":a")
        assert peer.names() == set()
    watch.check("PROPFIND 404", "HEAD 412", "PUT 412")
