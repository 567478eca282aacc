"""Make `first_release/` anew: ``python -m tests.upgrade.make_first_release [COMMIT]``, with git and the test packages.

It serves the code of that commit (by default the last one before the second migration), fills a drive on SQLite and another on
PostgreSQL through it, looks at them, kills the server in the middle of an upload, and dumps what is there.
"""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import psycopg

from tests.support.databases import plain_url
from tests.support.davserver import Deployment
from tests.support.postgres import PostgresServer, package_folder
from tests.upgrade.drive_of_the_time import ADA, BOB, EVE, NO_SCANNER_ANSWERS, SETTINGS, client_of, fill, look

FIRST_RELEASE = "7f66444f84b9519a6c1a9b2358dbca5831f28ad5"
"""The last commit whose newest migration is 0001."""
FOLDER = Path(__file__).parent / "first_release"
ROOT = Path(__file__).parents[2]
FAR = 4_102_444_800_000_000
"""The year 2100, in microseconds: locks of the dump still hold when a test reads it."""


def checkout(commit: str, folder: Path) -> Path:
    """The tree of a commit, in `folder`."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True, timeout=60)
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True, timeout=60)
    return folder


def main() -> int:
    commit = sys.argv[1] if len(sys.argv) > 1 else FIRST_RELEASE
    work = Path(tempfile.mkdtemp(prefix="davserver-first-release-"))
    postgres = PostgresServer()
    try:
        postgres.start()
        code = checkout(commit, work / "code")
        for kind, url in (("sqlite", f"sqlite:///{work}/sqlite/davserver.db"), ("postgresql", postgres.url())):
            (work / kind).mkdir()
            make(kind, url, code, work / kind)
    finally:
        postgres.stop()
        shutil.rmtree(work)
    return 0


def make(kind: str, url: str, code: Path, data: Path) -> None:
    """Fill one drive with `code`, and dump it."""
    settings = {**SETTINGS, **NO_SCANNER_ANSWERS, "DATABASE_URL": url, "DAVSERVER_DATA_DIR": str(data)}
    old = Deployment(kind, settings, code)
    old.run("migrate")
    old.add_user(ADA[0], "--admin", "--email", "ada@example.org", password=ADA[1])
    old.add_user(BOB[0], "--quota", "100M", password=BOB[1])
    old.add_user(EVE[0], password=EVE[1])
    old.run("user", "disable", EVE[0])
    server = old.start()
    fill(server.url)
    seen = look(server.url)
    cut_an_upload(server.url, url, server.kill)
    target = FOLDER / kind
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if (data / "blobs").exists():
        shutil.copytree(data / "blobs", target / "blobs")
    text = dump_sqlite(url) if kind == "sqlite" else dump_postgres(url)
    (target / "dump.sql").write_text(text, encoding="utf-8")
    (target / "seen.json").write_text(json.dumps(seen, indent=1, ensure_ascii=False, sort_keys=True), encoding="utf-8")


def cut_an_upload(share: str, database: str, kill: Callable[[], None]) -> None:
    """Kill the server while an upload is under way, so that its row and a part of its bytes stay."""
    begun = threading.Event()
    ended = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"x" * 30_000
        begun.set()
        ended.wait(60)
        yield b"y" * 30_000

    def upload() -> None:
        try:
            with client_of(share, ADA) as ada:
                ada.put("never whole.bin", content=pieces(), headers={"Content-Length": "60000"})
        except httpx.HTTPError:
            pass

    thread = threading.Thread(target=upload)
    thread.start()
    begun.wait(60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not uploads(database):
        time.sleep(0.05)
    kill()
    ended.set()
    thread.join(60)
    assert uploads(database) == 1


def uploads(url: str) -> int:
    """How many uploads are under way."""
    query = "SELECT count(*) FROM upload"
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return int(connection.execute(query).fetchone()[0])
    with psycopg.connect(plain_url(url)) as connection:
        found = connection.execute(query).fetchone()
        assert found is not None
        return int(found[0])


def dump_sqlite(url: str) -> str:
    """All of a SQLite database as SQL, each INSERT with its columns named."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute(f"UPDATE lock SET expires_at = {FAR}")
    connection.commit()
    columns = {
        table: ", ".join(f'"{row[1]}"' for row in connection.execute(f'PRAGMA table_info("{table}")'))
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    lines = [
        re.sub(
            r'^INSERT INTO "(\w+)" VALUES', lambda found: f'INSERT INTO "{found[1]}" ({columns[found[1]]}) VALUES', line
        )
        for line in connection.iterdump()
    ]
    connection.close()
    return "\n".join(lines) + "\n"


def dump_postgres(url: str) -> str:
    """All of a PostgreSQL database as SQL that any release and any schema takes."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE lock SET expires_at = %s", (FAR,))
    program = package_folder() / "pginstall" / "bin" / "pg_dump"
    options = ["--column-inserts", "--no-owner", "--no-privileges", "--no-comments", "--no-tablespaces"]
    done = subprocess.run([program, *options, "-d", url], check=True, capture_output=True, text=True, timeout=60)
    kept = [
        line.replace("public.", "")
        for line in done.stdout.splitlines()
        if line and not line.startswith(("--", "SET ", "\\", "SELECT pg_catalog.set_config"))
    ]
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    sys.exit(main())
