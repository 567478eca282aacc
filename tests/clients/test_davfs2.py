"""davfs2: the drive mounted through FUSE, and ordinary programs at work on it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daywork import GIB, MB, NAMES, Peer, Watch, content, nfc, run, until
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client
from tests.support.processes import mounted
from tests.support.tools import need, need_fuse

DAVFS2 = Client(
    "davfs2 (mount -t davfs)", "driven", "tests/clients/test_davfs2.py",
    (
        "mount", "free space (df)", "names of every kind", "folder trees", "20 MB up", "20 MB down", "append", "overwrite",
        "edit and save by a rename", "chmod +x", "move and rename", "delete", "unmount and mount again",
        "see what another client wrote", "write to what another client locked",
    ),
)  # fmt: skip
CONF = """\
use_locks 1
ask_auth 0
delay_upload 0
buf_size 64
dir_refresh 0
file_refresh 0
gui_optimize 0
cache_dir {cache}
secrets {secrets}
"""
"""`buf_size 64` is what Linux 6.16 and later need; without the refresh times a test need not wait for them."""


class Mount:
    """The drive mounted at `at`; can be mounted again."""

    def __init__(self, drive: Drive, folder: Path) -> None:
        """`folder` is one that the user davfs2 can enter: mount.davfs becomes that user."""
        self._command = need("mount.davfs")
        need_fuse()
        self._url = drive.url
        self.at, self._cache = folder / "mnt", folder / "cache"
        self.at.mkdir()
        self.forget()
        secrets, self._conf = folder / "secrets", folder / "davfs2.conf"
        secrets.write_text(f"{self.at} {drive.user.name} {drive.user.password}\n", encoding="utf-8")
        secrets.chmod(0o600)
        self._conf.write_text(CONF.format(cache=self._cache, secrets=secrets), encoding="utf-8")

    def forget(self) -> None:
        """Empty the cache, while nothing is mounted."""
        shutil.rmtree(self._cache, ignore_errors=True)
        self._cache.mkdir()
        shutil.chown(self._cache, "root", "davfs2")
        self._cache.chmod(0o770)

    def __enter__(self) -> Path:
        run(self._command, self._url, str(self.at), "-o", f"conf={self._conf},uid=0", timeout=30)
        assert mounted(self.at)
        return self.at

    def __exit__(self, *_: object) -> None:
        # What waits to be uploaded is, before this returns.
        run(need("umount"), str(self.at), timeout=60)


@pytest.fixture
def mount(drive: Drive) -> Iterator[Mount]:
    with tempfile.TemporaryDirectory(prefix="davfs2-") as folder:
        Path(folder).chmod(0o755)
        made = Mount(drive, Path(folder))
        yield made
        if mounted(made.at):
            subprocess.run(["umount", "-l", str(made.at)], check=False, timeout=30)


def test_davfs2_is_a_folder_like_any_other(drive: Drive, mount: Mount, peer: Peer, watch: Watch) -> None:
    kind = drive.deployment.kind
    big = content(20 * MB)
    with DAVFS2.step("mount", kind), mount as at:
        pass
    with mount as at:
        with DAVFS2.step("free space (df)", kind):
            assert shutil.disk_usage(at).free == GIB
        for number, name in enumerate(NAMES):
            (at / name).write_bytes(content(1000, number))
        for name in ("a/b/c", "Ordner mit Umläuten ü/innen"):
            (at / name).mkdir(parents=True)
            (at / name / "leaf.txt").write_bytes(b"leaf")
        with (at / "big.bin").open("wb") as file:
            file.write(big)
    with DAVFS2.step("names of every kind", kind):
        assert nfc(NAMES) <= nfc(peer.names())
        assert all(peer.get(name) == content(1000, number) for number, name in enumerate(NAMES))
    with DAVFS2.step("folder trees", kind):
        assert peer.get("a/b/c/leaf.txt") == peer.get("Ordner mit Umläuten ü/innen/leaf.txt") == b"leaf"
    with DAVFS2.step("20 MB up", kind):
        assert peer.get("big.bin") == big
    mount.forget()
    with DAVFS2.step("unmount and mount again", kind), mount as at:
        assert nfc(path.name for path in at.iterdir()) >= nfc(NAMES) | {"a", "big.bin"}
        with DAVFS2.step("20 MB down", kind):
            assert (at / "big.bin").read_bytes() == big
    watch.check("GET 404", "HEAD 404", "PROPFIND 404")


def test_davfs2_edits_moves_and_deletes(drive: Drive, mount: Mount, peer: Peer, watch: Watch) -> None:
    kind = drive.deployment.kind
    for name in ("plain.txt", "shared.txt", "old.txt", "gone.txt", "run.sh", "Grüße & Küsse.txt"):
        peer.put(name, b"first")
    peer.mkcol("from")
    peer.put("from/inner.txt", b"inner")
    with mount as at:
        with (at / "plain.txt").open("ab") as file:
            file.write(b" and more")
        (at / "shared.txt").write_bytes(b"overwritten")
        (at / "old.txt.tmp").write_bytes(b"saved as editors do")
        (at / "old.txt.tmp").replace(at / "old.txt")
        (at / "run.sh").chmod(0o755)
        (at / "Grüße & Küsse.txt").rename(at / "from" / "Größe #1 100%.txt")
        (at / "from").rename(at / "to")
        (at / "gone.txt").unlink()
        (at / "empty").mkdir()
        (at / "empty").rmdir()
        with DAVFS2.step("see what another client wrote", kind):
            peer.put("news.txt", b"from elsewhere")
            assert until(lambda: "news.txt" in {path.name for path in at.iterdir()})  # it counts in whole seconds
            assert (at / "news.txt").read_bytes() == b"from elsewhere"
    with DAVFS2.step("append", kind):
        assert peer.get("plain.txt") == b"first and more"
    with DAVFS2.step("overwrite", kind):
        assert peer.get("shared.txt") == b"overwritten"
    with DAVFS2.step("edit and save by a rename", kind):
        assert peer.get("old.txt") == b"saved as editors do"
    with DAVFS2.step("chmod +x", kind):
        assert peer.prop("run.sh", "executable", "http://apache.org/dav/props/") == "T"
    with DAVFS2.step("move and rename", kind):
        assert peer.names("to") == {"inner.txt", "Größe #1 100%.txt"}
        assert not peer.exists("from")
    with DAVFS2.step("delete", kind):
        assert peer.names() == {"plain.txt", "shared.txt", "old.txt", "run.sh", "to", "news.txt"}
    watch.check("GET 404", "HEAD 404", "PROPFIND 404")


def test_davfs2_is_told_when_somebody_else_holds_the_lock(drive: Drive, mount: Mount, peer: Peer, watch: Watch) -> None:
    peer.put("held.txt", b"theirs")
    body = (
        '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype>'
        "<owner>another</owner></lockinfo>"
    )
    token = peer.request("LOCK", "held.txt", expect=200, content=body).headers["Lock-Token"]
    with DAVFS2.step("write to what another client locked", drive.deployment.kind), mount as at:
        assert (at / "held.txt").read_bytes() == b"theirs"
        with pytest.raises(PermissionError):
            os.close(os.open(at / "held.txt", os.O_WRONLY))
        peer.request("UNLOCK", "held.txt", expect=204, headers={"Lock-Token": token})
        (at / "held.txt").write_bytes(b"ours")
    assert peer.get("held.txt") == b"ours"
    watch.check("LOCK 423")
