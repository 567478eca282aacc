"""`davserver activity`: what it prints."""

import pytest

from davserver.cli import main


def test_the_command_shows_what_was_done_and_the_audit_log(
    database_url: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAVSERVER_DATA_DIR", f"{tmp_path}/var")
    assert main(["user", "add", "ada"]) == 0
    assert main(["trash", "empty", "ada"]) == 0
    capsys.readouterr()
    assert main(["activity", "ada", "--count", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2:5] for line in lines[1:]] == [["ada", "ada", "trash_emptied"], ["ada", "-", "user_added"]]
    assert main(["activity", "--action", "user_added"]) == 0
    assert "user_added" in capsys.readouterr().out
    assert main(["activity", "ada", "--path", "/nowhere"]) == 0
    assert capsys.readouterr().out == "Nothing of that kind is in the log.\n"
    assert main(["activity", "nobody"]) == 1
