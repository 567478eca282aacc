"""cadaver, curl and rclone against the running server: what goes up comes down, and nothing of it lies open on the disk."""

import filecmp
import hashlib
import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client
from tests.support.tools import need

pytestmark = pytest.mark.server

CADAVER = Client(
    "cadaver", "driven", "tests/clients/test_common_clients.py",
    ("folders, upload, copy, move, delete", "lock, write with the lock, unlock", "properties", "list", "download"),
)  # fmt: skip
CURL = Client(
    "curl", "driven", "tests/clients/test_common_clients.py",
    ("upload with a length", "upload in chunks", "download", "a part of a file"),
)  # fmt: skip
FILES = 2_000
MARKER = b"this sentence must not be readable in the store. "


def run(*command: str, stdin: str | None = None, env: dict[str, str] | None = None, timeout: float = 300) -> str:
    """The output of a command that has to succeed."""
    done = subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, (
        f"{command[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


def make_tree(folder: Path) -> None:
    """Some thousand files in nested folders, with the names that people use, and a few that are not small."""
    chance = random.Random(20_261_123)
    folders = [folder / "documents", folder / "Fotos für Oma", folder / "a & b (1)", folder / "deep" / "er" / "still"]
    for place in folders:
        place.mkdir(parents=True)
    for number in range(FILES):
        name = chance.choice(["notes {}.txt", "été {}.md", "100% {}.csv", "a+b#{}.dat", "写真 {}.jpg"]).format(number)
        size = chance.choice([0, 1, 700, 4_096, 16_384, 65_536, 65_537])
        body = (MARKER + chance.randbytes(16)) * (size // 64 + 1)
        (folders[number % len(folders)] / name).write_bytes(body[:size])
    for number in range(3):
        (folder / f"large-{number}.bin").write_bytes(chance.randbytes(9_000_000 + number))


def same_trees(left: Path, right: Path) -> bool:
    """Whether two folders hold the same names and the same bytes."""
    names = [sorted(str(p.relative_to(top)) for p in top.rglob("*")) for top in (left, right)]
    files = [name for name in names[0] if (left / name).is_file()]
    return names[0] == names[1] and filecmp.cmpfiles(left, right, files, shallow=False)[1:] == ([], [])


@pytest.fixture
def rclone(drive: Drive, tmp_path: Path) -> list[str]:
    """The beginning of an rclone command that knows the drive as `dav:`."""
    command = need("rclone")
    config = tmp_path / "rclone.conf"
    run(
        command, "--config", str(config), "config", "create", "dav", "webdav", f"url={drive.url}", "vendor=owncloud",
        f"user={drive.user.name}", f"pass={drive.user.password}", "--obscure",
    )  # fmt: skip
    return [command, "--config", str(config), "--webdav-pacer-min-sleep", "1ms", "--transfers", "8", "--checkers", "8"]


def test_rclone_takes_thousands_of_files_up_and_down_unchanged(drive: Drive, rclone: list[str], tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    make_tree(there)
    run(*rclone, "copy", str(there), "dav:backup", "--create-empty-src-dirs")
    run(*rclone, "check", str(there), "dav:backup", "--download")
    run(*rclone, "copy", "dav:backup", str(back), "--create-empty-src-dirs")
    assert same_trees(there, back)
    # The times came along, so that a second sync has nothing to do.
    sample = next(p for p in sorted(there.rglob("*.txt")))
    copy = back / sample.relative_to(there)
    assert abs(sample.stat().st_mtime - copy.stat().st_mtime) < 1
    if drive.deployment.kind == "embedded":
        assert_nothing_lies_open(Path(drive.deployment.settings["DAVSERVER_DATA_DIR"]))


def assert_nothing_lies_open(data: Path) -> None:
    """No file of the server, database and journal included, holds the plain text that was uploaded."""
    files = [path for path in data.rglob("*") if path.is_file()]
    assert any("blobs" in path.parts for path in files)
    for path in files:
        assert MARKER not in path.read_bytes(), f"plain text in {path}"


def test_rclone_finds_nothing_to_do_after_a_sync(rclone: list[str], tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for number in range(20):
        (there / f"{number}.txt").write_text(str(number), encoding="utf-8")
        os.utime(there / f"{number}.txt", (1_577_836_800 + number, 1_577_836_800 + number))
    run(*rclone, "sync", str(there), "dav:synced")
    second = subprocess.run(
        [*rclone, "sync", str(there), "dav:synced", "--stats-one-line", "-v"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "There was nothing to transfer" in second.stderr
    run(*rclone, "moveto", "dav:synced/3.txt", "dav:synced/dreißig.txt")
    assert "dreißig.txt" in run(*rclone, "lsf", "dav:synced")
    assert run(*rclone, "cat", "dav:synced/dreißig.txt", "--offset", "0") == "3"


def test_cadaver_does_its_daily_work(drive: Drive, tmp_path: Path) -> None:
    command = need("cadaver")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text(
        f"machine 127.0.0.1 login {drive.user.name} password {drive.user.password}\n", encoding="utf-8"
    )
    source = tmp_path / "source.bin"
    source.write_bytes(random.Random(1).randbytes(300_000))
    script = "\n".join(
        [
            "mkcol folder", "cd folder", f"put {source} one.bin", "copy one.bin two.bin", "move two.bin three.bin",
            "lock one.bin", f"put {source} one.bin", "unlock one.bin", "propset three.bin colour green",
            "propget three.bin colour", "ls", f"get three.bin {tmp_path / 'back.bin'}", "delete three.bin", "ls", "quit",
        ]
    )  # fmt: skip
    shown = run(command, drive.url, stdin=script + "\n", env={**os.environ, "HOME": str(home)}, timeout=60)
    kind = drive.deployment.kind
    with (
        CADAVER.step("folders, upload, copy, move, delete", kind),
        CADAVER.step("lock, write with the lock, unlock", kind),
    ):
        assert "failed" not in shown
    with CADAVER.step("properties", kind):
        assert "green" in shown
    with CADAVER.step("download", kind):
        assert (tmp_path / "back.bin").read_bytes() == source.read_bytes()
    with CADAVER.step("list", kind):
        assert shown.rstrip().splitlines()[-1].count("three.bin") == 0


def test_curl_uploads_by_length_and_in_chunks_and_reads_ranges(drive: Drive, tmp_path: Path) -> None:
    command = need("curl")
    source = tmp_path / "source.bin"
    source.write_bytes(random.Random(2).randbytes(2_500_000))
    curl = [command, "-sS", "--fail-with-body", "-u", f"{drive.user.name}:{drive.user.password}"]
    kind = drive.deployment.kind
    with CURL.step("upload with a length", kind):
        run(*curl, "-T", str(source), drive.url + "sized.bin")
    with CURL.step("upload in chunks", kind), source.open("rb") as body:
        subprocess.run([*curl, "-T", "-", drive.url + "chunked.bin"], stdin=body, check=True, timeout=60)
    with CURL.step("download", kind):
        for name in ("sized.bin", "chunked.bin"):
            got = tmp_path / name
            run(*curl, "-o", str(got), drive.url + name)
            assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()
    with CURL.step("a part of a file", kind):
        part = tmp_path / "part.bin"
        run(*curl, "-r", "262000-1310720", "-o", str(part), drive.url + "sized.bin")
        assert part.read_bytes() == source.read_bytes()[262_000:1_310_721]
