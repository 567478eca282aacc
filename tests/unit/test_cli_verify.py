"""``davserver verify``: what people see of it."""

import io
import os
from pathlib import Path

import pytest

from davserver.bootstrap import build
from davserver.cli import main
from davserver.cli.verify import ProgressBar
from davserver.config import load
from davserver.db import migrate
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.services.attaching import PutDetails
from davserver.services.verify import Stage
from tests.support.core import BytesBody


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one user and one file in the store."""
    for name in ("DATABASE_URL", "MINIO_ENDPOINT", "DAVSERVER_MASTER_KEYS", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAVSERVER_DATA_DIR", str(tmp_path / "data"))
    config = load(os.environ)
    migrate.upgrade(config.database.reveal())
    services = build(config)
    ada = services.accounts.add("ada", "a good password")
    data = b"x" * 100_000
    path = ResourcePath.of(["f"])
    services.content.put(Principal(ada.id, "ada"), path, BytesBody(data, len(data)), PutDetails())
    services.close()
    return tmp_path / "data"


def test_a_sound_drive_ends_with_0_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Looked at 1 users, 3 files and collections, 1 blobs and 1 objects in the store.",
        "All is well.",
    ]
    assert main(["verify", "--deep"]) == 0
    assert "100.0 kB opened" in capsys.readouterr().out


def test_a_finding_ends_with_1_and_names_what_it_is_about(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stored,) = (file for file in (folder / "blobs").glob("*/*") if file.is_file())
    stored.unlink()
    assert main(["verify"]) == 1
    out = capsys.readouterr().out
    assert "bytes missing (1)" in out
    assert f"user 1, blob {stored.name}" in out
    assert "1 finding. Nothing was changed." in out


def test_a_database_without_tables_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAVSERVER_DATA_DIR", str(tmp_path))
    assert main(["verify"]) == 1
    assert "davserver migrate" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    seconds = iter(range(1000))
    bar = ProgressBar(stream, lambda: float(next(seconds)))
    for done in range(5):
        bar(Stage.TREES, done, 4)
    bar.end()
    drawn = stream.getvalue()
    assert "\n" not in drawn
    assert f"[{'#' * 15}{'.' * 15}] users: 2 of 4" in drawn
    assert drawn.endswith("\r\x1b[K")


def test_elsewhere_a_line_is_written_every_ten_seconds() -> None:
    stream = io.StringIO()
    seconds = iter(range(1000))
    bar = ProgressBar(stream, lambda: float(next(seconds)))
    for done in range(1, 31):
        bar(Stage.BYTES, done * 1_000_000, 30_000_000)
    bar.end()
    assert stream.getvalue().splitlines()[0].startswith("bytes: 9.0 MB of 30.0 MB, 19 s left")
    assert len(stream.getvalue().splitlines()) == 3
