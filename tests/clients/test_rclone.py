"""rclone beyond copying: vendors, checksums, times, two-way sync, a mount, free space, and which names it can use."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.daywork import GIB, MB, NAMES, Peer, Watch, content, nfc, private_home, run, until
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import WORKS, Client, record
from tests.support.processes import mounted, tied
from tests.support.tools import need, need_fuse

SOURCE = "tests/clients/test_rclone.py"
COMMON = (
    "copy up, names of every kind", "copy down", "20 MB", "sync deletes what is gone", "move and rename", "copy on the server",
    "free space", "check",
)  # fmt: skip
OTHER = Client("rclone, vendor other", "driven", SOURCE, COMMON)
OWNCLOUD = Client(
    "rclone, vendor owncloud", "driven", SOURCE,
    (*COMMON, "checksums of the server", "a wrong checksum is refused", "times of files", "touch", "bisync", "mount",
     "names (rclone test info)"),
)  # fmt: skip
NEXTCLOUD = Client(
    "rclone, vendor nextcloud",
    "driven",
    SOURCE,
    (*COMMON, "checksums of the server", "times of files", "chunked upload"),
)
CLIENTS = {"other": OTHER, "owncloud": OWNCLOUD, "nextcloud": NEXTCLOUD}


class Rclone:
    """rclone with the drive as `dav:`."""

    def __init__(self, drive: Drive, vendor: str, folder: Path, *options: str) -> None:
        self.command = need("rclone")
        self.env = private_home(folder, PATH=os.environ["PATH"])
        self.config = folder / "rclone.conf"
        run(
            self.command, "--config", str(self.config), "config", "create", "dav", "webdav", f"url={drive.url}",
            f"vendor={vendor}", f"user={drive.user.name}", f"pass={drive.user.password}", "--obscure", *options, env=self.env,
        )  # fmt: skip

    def __call__(self, *arguments: str, status: int | None = 0) -> str:
        return run(self.command, "-q", "--config", str(self.config), *arguments, env=self.env, status=status)


@pytest.mark.parametrize("vendor", CLIENTS)
def test_rclone_does_a_days_work(drive: Drive, vendor: str, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    client, kind = CLIENTS[vendor], drive.deployment.kind
    # Of another address than Nextcloud's, rclone wants to be told that there are no chunks.
    rclone = Rclone(drive, vendor, tmp_path, *(["nextcloud_chunk_size=0"] if vendor == "nextcloud" else []))
    there, back = tmp_path / "there", tmp_path / "back"
    (there / "Ordner ü" / "innen").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (there / "Ordner ü" / name).write_bytes(content(1000, number))
        os.utime(there / "Ordner ü" / name, (1_577_836_800 + number, 1_577_836_800 + number))
    with client.step("free space", kind):
        told = json.loads(rclone("about", "dav:", "--json"))
        assert (told["free"], told["used"]) == (GIB, 0)
    with client.step("copy up, names of every kind", kind):
        rclone("copy", str(there), "dav:up", "--create-empty-src-dirs")
        assert nfc(peer.names("up/Ordner ü")) == nfc(NAMES) | {"innen"}
    with client.step("20 MB", kind):
        (there / "big.bin").write_bytes(content(20 * MB))
        rclone("copyto", str(there / "big.bin"), "dav:up/big.bin")
        assert peer.get("up/big.bin") == content(20 * MB)
    with client.step("check", kind):
        rclone("check", str(there), "dav:up", *(["--download"] if vendor == "other" else []))
    with client.step("copy down", kind):
        rclone("copy", "dav:up", str(back))
        assert (back / "big.bin").read_bytes() == content(20 * MB)
        assert all((back / "Ordner ü" / name).read_bytes() == content(1000, n) for n, name in enumerate(NAMES))
    if vendor != "other":
        with client.step("times of files", kind):
            kept = {path.name: path.stat().st_mtime for path in (back / "Ordner ü").iterdir()}
            assert kept == {name: 1_577_836_800 + number for number, name in enumerate(NAMES)}
        with client.step("checksums of the server", kind):
            sums = rclone("hashsum", "sha1", "dav:up").splitlines()
            assert sorted(sums) == sorted(rclone("hashsum", "sha1", str(there)).splitlines())
    with client.step("copy on the server", kind):
        rclone("copyto", "dav:up/big.bin", "dav:up/copy.bin")
        assert peer.get("up/copy.bin") == content(20 * MB)
    with client.step("move and rename", kind):
        rclone("moveto", "dav:up/copy.bin", "dav:up/größer #1.bin")
        rclone("moveto", "dav:up/Ordner ü", "dav:Ordner")
        assert peer.names("up") == {"big.bin", "größer #1.bin"}
        assert nfc(peer.names("Ordner")) >= nfc(NAMES)
    with client.step("sync deletes what is gone", kind):
        rclone("sync", str(there), "dav:up")
        assert peer.names("up") == {"big.bin", "Ordner ü"}
    watch.check("PROPFIND 404", "MKCOL 405", "MKCOL 409")


def test_rclone_of_vendor_nextcloud_uploads_in_chunks_only_to_nextclouds_address(
    drive: Drive, peer: Peer, tmp_path: Path
) -> None:
    """Chunks want an address that ends in ``/dav/files/USER``; with another, rclone says so before it sends anything."""
    told = Rclone(drive, "nextcloud", tmp_path)("lsf", "dav:", status=1)
    assert "nextcloud chunked uploads require you to use the /dav/files/USER endpoint" in told
    record(
        NEXTCLOUD,
        "chunked upload",
        drive.deployment.kind,
        "not offered; `nextcloud_chunk_size=0` sends each file whole",
    )


def test_rclone_of_vendor_owncloud_keeps_times_and_checksums(
    drive: Drive, peer: Peer, watch: Watch, tmp_path: Path
) -> None:
    kind = drive.deployment.kind
    rclone = Rclone(drive, "owncloud", tmp_path)
    (tmp_path / "a.txt").write_bytes(b"hello")
    with OWNCLOUD.step("touch", kind):
        rclone("copyto", str(tmp_path / "a.txt"), "dav:a.txt")
        rclone("touch", "-t", "2001-02-03T04:05:06", "dav:a.txt")
        assert peer.prop("a.txt", "getlastmodified") == "Sat, 03 Feb 2001 04:05:06 GMT"
        assert peer.get("a.txt") == b"hello"
    with OWNCLOUD.step("a wrong checksum is refused", kind):
        wrong = {"OC-Checksum": "SHA1:" + "0" * 40}
        peer.request("PUT", "a.txt", expect=400, content=b"other", headers=wrong)
        assert peer.get("a.txt") == b"hello"
    watch.check("PROPFIND 404", "PUT 400")


def test_rclone_syncs_both_ways(drive: Drive, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    rclone = Rclone(drive, "owncloud", tmp_path)
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.txt").write_bytes(b"mine")
    peer.mkcol("shared")
    peer.put("shared/theirs ü.txt", b"theirs")
    with OWNCLOUD.step("bisync", drive.deployment.kind):
        rclone("bisync", str(here), "dav:shared", "--resync")
        (here / "mine.txt").write_bytes(b"mine, changed")
        peer.put("shared/new.txt", b"new there")
        peer.request("DELETE", "shared/theirs ü.txt", expect=204)
        rclone("bisync", str(here), "dav:shared")
        assert peer.get("shared/mine.txt") == b"mine, changed"
        assert (here / "new.txt").read_bytes() == b"new there"
        assert not (here / "theirs ü.txt").exists()
    watch.check("PROPFIND 404", "MKCOL 405")


def test_rclone_mounts_the_drive(drive: Drive, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    rclone = Rclone(drive, "owncloud", tmp_path)
    need("fusermount3")
    need_fuse()
    at = tmp_path / "mnt"
    at.mkdir()
    peer.put("there.txt", b"there")
    command = [
        rclone.command,
        "--config",
        str(rclone.config),
        "mount",
        "dav:",
        str(at),
        "--vfs-cache-mode",
        "writes",
        "--vfs-write-back",
        "0",
    ]
    process = subprocess.Popen(tied(command, signal.SIGTERM), env=rclone.env)
    try:
        with OWNCLOUD.step("mount", drive.deployment.kind):
            assert until(lambda: mounted(at))
            assert (at / "there.txt").read_bytes() == b"there"
            (at / "Ordner ü").mkdir()
            for number, name in enumerate(NAMES):
                (at / "Ordner ü" / name).write_bytes(content(1000, number))
            (at / "there.txt").rename(at / "Ordner ü" / "moved.txt")
            assert until(lambda: nfc(peer.names("Ordner ü")) == nfc(NAMES) | {"moved.txt"})
            assert until(lambda: all(peer.get(f"Ordner ü/{n}") == content(1000, i) for i, n in enumerate(NAMES)))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert not mounted(at)
    watch.check("PROPFIND 404", "MKCOL 405")


def test_rclone_finds_that_every_name_can_be_used(drive: Drive, watch: Watch, tmp_path: Path) -> None:
    rclone = Rclone(drive, "owncloud", tmp_path)
    kind = drive.deployment.kind
    report = tmp_path / "info.json"
    rclone("test", "info", "--check-control=false", "--check-normalization", "--check-length", "--check-streaming",
           "--write-json", str(report), "dav:names")  # fmt: skip
    told = json.loads(report.read_text(encoding="utf-8"))
    record(OWNCLOUD, "names (rclone test info)", kind, WORKS)
    assert (told["MaxFileLength"], told["CanStream"], told["CanReadRenormalized"]) == (255, True, True)
    watch.check("PROPFIND 404", "MKCOL 405", "MKCOL 409", "PUT 403", "DELETE 403")  # names that are too long
