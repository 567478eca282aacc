"""KIO, the way of Dolphin and every KDE program to a drive, through `kioclient5`."""

import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.support.daywork import MB, NAMES, Peer, Watch, content, nfc, run
from tests.support.desktop import session
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client
from tests.support.tools import need

KIO = Client(
    "KIO 5 (kioclient5; Dolphin)", "driven", "tests/clients/test_kio.py",
    (
        "sign in", "list", "copy in, names of every kind", "copy a folder tree in", "20 MB up and down", "read", "overwrite",
        "not over what is there", "rename", "copy on the server", "move a folder", "delete a file and a tree",
    ),
)  # fmt: skip


class Kio:
    """`kioclient5` in a session of its own, in which the user has signed in."""

    def __init__(self, drive: Drive, env: dict[str, str]) -> None:
        self._command = need("kioclient5")
        self._env = env
        self._base = "webdav:" + drive.url.partition(":")[2]
        self._sign_in(drive)

    def __call__(self, *arguments: str, status: int | None = 0) -> str:
        """Run `kioclient5`. What begins with ``:`` is a path on the drive. It hangs where it would ask something."""
        known = [self._base + quote(one[1:]) if one.startswith(":") else one for one in arguments]
        return run(self._command, "--noninteractive", *known, env=self._env, status=status, timeout=60)

    def _sign_in(self, drive: Drive) -> None:
        """Tell the password service what its dialog would have told it: a KIO::AuthInfo, as QDataStream writes it."""
        name, password = drive.user.auth
        host = urlsplit(self._base).netloc.encode()
        texts = b"".join(map(_text, (name, password, "", "", "", "", "davserver", "")))
        url = b"webdav://" + host + b"/dav/"
        info = b"\1" + struct.pack(">I", len(url)) + url + texts + bytes([0, 0, 1, 0]) + struct.pack(">I", 0)
        run(
            need("dbus-send"), "--session", "--print-reply", "--dest=org.kde.kpasswdserver", "/modules/kpasswdserver",
            "org.kde.KPasswdServer.addAuthInfo", "array:byte:" + ",".join(map(str, info)), "int64:0", env=self._env,
        )  # fmt: skip


def _text(value: str) -> bytes:
    """A QString in a QDataStream: bytes in front, UTF-16."""
    encoded = value.encode("utf-16-be")
    return struct.pack(">I", len(encoded)) + encoded


@pytest.fixture
def kio(drive: Drive, tmp_path: Path) -> Iterator[Kio]:
    need("kioclient5")
    with session(tmp_path, QT_QPA_PLATFORM="offscreen", KDE_FORK_SLAVES="1") as env:
        settings = Path(env["HOME"]) / ".config"
        settings.mkdir()
        (settings / "kwalletrc").write_text("[Wallet]\nEnabled=false\nFirst Use=false\n", encoding="utf-8")
        yield Kio(drive, env)


def test_kio_does_a_days_work(drive: Drive, kio: Kio, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    kind = drive.deployment.kind
    with KIO.step("sign in", kind):
        kio("stat", ":")
        assert any(one.user == drive.user.name for one in watch.requests())
    source = tmp_path / "source"
    source.mkdir()
    with KIO.step("copy in, names of every kind", kind):
        for number, name in enumerate(NAMES):
            (source / name).write_bytes(content(1000, number))
        kio("copy", *map(str, source.iterdir()), ":")
        assert all(peer.get(name) == content(1000, number) for number, name in enumerate(NAMES))
    with KIO.step("list", kind):
        assert nfc(NAMES) <= nfc(kio("ls", ":").splitlines())
    with KIO.step("copy a folder tree in", kind):
        (source / "Ordner ü" / "innen").mkdir(parents=True)
        (source / "Ordner ü" / "innen" / "leaf.txt").write_bytes(b"leaf")
        kio("copy", str(source / "Ordner ü"), ":tree")
        assert peer.get("tree/innen/leaf.txt") == b"leaf"
    with KIO.step("20 MB up and down", kind):
        (source / "big.bin").write_bytes(content(20 * MB))
        kio("copy", str(source / "big.bin"), ":big.bin")
        kio("copy", ":big.bin", str(tmp_path / "back.bin"))
        assert (tmp_path / "back.bin").read_bytes() == content(20 * MB)
    watch.check("PROPFIND 404")


def test_kio_changes_what_is_there(drive: Drive, kio: Kio, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    kind = drive.deployment.kind
    peer.mkcol("a")
    peer.mkcol("a/b")
    peer.put("a/b/one ü.txt", b"first")
    newer = tmp_path / "newer.txt"
    newer.write_bytes(b"second")
    with KIO.step("read", kind):
        assert kio("cat", ":a/b/one ü.txt") == "first"
    with KIO.step("not over what is there", kind):
        kio("copy", str(newer), ":a/b/one ü.txt", status=None)
        assert peer.get("a/b/one ü.txt") == b"first"
    with KIO.step("overwrite", kind):
        kio("--overwrite", "copy", str(newer), ":a/b/one ü.txt")
        assert peer.get("a/b/one ü.txt") == b"second"
    with KIO.step("rename", kind):
        kio("move", ":a/b/one ü.txt", ":a/b/Größe #1 100%.txt")
        assert peer.names("a/b") == {"Größe #1 100%.txt"}
    with KIO.step("copy on the server", kind):
        kio("copy", ":a/b/Größe #1 100%.txt", ":a/copy.txt")
        assert peer.get("a/copy.txt") == b"second"
    with KIO.step("move a folder", kind):
        kio("move", ":a/b", ":c")
        assert peer.names() == {"a", "c"}
        assert peer.names("c") == {"Größe #1 100%.txt"}
    with KIO.step("delete a file and a tree", kind):
        kio("remove", ":c/Größe #1 100%.txt")
        assert peer.names("c") == set()
        kio("remove", ":a")
        assert peer.names() == {"c"}
    watch.check("PROPFIND 404")
