"""``davserver scan``: what an administrator sees and does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from davserver.cli import main
from tests.support.clamd import EICAR, EICAR_NAME, ClamdServer
from tests.support.core import path
from tests.support.databases import SqliteDatabases
from tests.support.scanned import Scanned, open_scanned

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def drive(tmp_path: Path, sqlite_databases: SqliteDatabases, clamd_server: ClamdServer) -> Iterator[Scanned]:
    """ada has /bad, which is infected, and /good."""
    url = sqlite_databases.migrated()
    made = open_scanned(tmp_path / "data", url, clamav_host="127.0.0.1", clamav_port=clamd_server.port)
    made.put("/bad", EICAR)
    made.put("/good", b"harmless")
    made.look()
    yield made
    made.services.close()


@pytest.fixture
def run(drive: Scanned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``davserver scan`` on the drive: exit status, and what was said."""
    config = drive.services.config
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAVSERVER_DATA_DIR", str(config.data_dir))
    monkeypatch.setenv("DATABASE_URL", config.database.reveal())
    monkeypatch.setenv("CLAMAV_HOST", "127.0.0.1")
    monkeypatch.setenv("CLAMAV_PORT", str(config.clamav_port))

    def call(*arguments: str) -> tuple[int, str]:
        status = main(["scan", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return call


def test_the_status_tells_what_scans_and_counts_verdicts(run: Run) -> None:
    status, said = run("status")
    assert status == 0
    assert "ClamAV" in said.splitlines()[0]
    rows = {tuple(line.split()[:2]): line.split()[-1] for line in said.splitlines()[2:]}
    assert rows[("clean", "-")] == rows[("infected", "-")] == "1"
    assert rows[("unscanned", "too_large")] == "0"


def test_the_status_tells_when_clamd_is_away_or_not_wanted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAMAV_PORT", "1")
    status, said = run("status")
    assert (status, "does not answer" in said) == (0, True)
    monkeypatch.setenv("CLAMAV_HOST", "")
    assert "CLAMAV_HOST is not set" in run("status")[1]


def test_infected_files_are_listed_with_owner_path_and_finding(run: Run) -> None:
    status, said = run("list")
    [_, line] = said.splitlines()
    assert status == 0
    assert line.split()[:4] == ["ada", "/bad", "infected", EICAR_NAME]


def test_a_release_and_its_end_take_one_command_each(run: Run, drive: Scanned) -> None:
    status, said = run("release", "ada", "/bad")
    assert (status, EICAR_NAME in said) == (0, True)
    assert drive.get("/bad") == EICAR
    assert "released" in run("list")[1]
    assert run("rescan", "ada", "/bad")[0] == 0
    drive.look()
    assert drive.verdict("/bad").word == "infected"


def test_nothing_infected_is_said_in_a_sentence(run: Run, drive: Scanned) -> None:
    drive.services.tree.discard(drive.who, path("/bad"))
    drive.services.trash.empty(drive.who)
    drive.look()
    assert run("list") == (0, "No file is infected.\n")


@pytest.mark.parametrize("arguments", [("release", "ada", "/good"), ("release", "ada", "/none"), ("rescan", "bob")])
def test_what_cannot_be_done_is_told_in_one_line(run: Run, arguments: tuple[str, ...]) -> None:
    status, said = run(*arguments)
    assert status == 1
    assert said.startswith("davserver: ")
    assert said.count("\n") == 1


def test_all_files_or_a_user_s_are_scanned_again_in_the_background(run: Run, drive: Scanned) -> None:
    assert "2 contents are" in run("rescan")[1]
    assert "2 contents are" in run("rescan", "ada")[1]
    assert drive.jobs() == []
