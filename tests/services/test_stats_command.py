"""`davserver stats`: what it prints."""

import pytest

from davserver.bootstrap import Services, build
from davserver.cli import main
from davserver.config import load
from davserver.domain.principal import Principal
from davserver.jobs.queue import Job
from davserver.jobs.runner import Work
from davserver.services.attaching import PutDetails
from davserver.services.rollup import ROLL_UP
from tests.support.core import BytesBody, path


def test_the_command_shows_one_drive_or_a_line_for_everybody(
    database_url: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAVSERVER_DATA_DIR", f"{tmp_path}/var")

    def printed(*arguments: str) -> list[list[str]]:
        capsys.readouterr()
        assert main(["stats", *arguments]) == 0
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    assert main(["user", "add", "ada", "--quota", "10K"]) == 0
    assert printed()[1][:1] + printed()[1][5:] == ["ada", "0", "10K", "not", "yet"]
    assert printed("ada")[1:] == [
        ["files", "0,", "0"], ["folders", "0"], ["trash", "0", "files,", "0"], ["quota", "0", "used,", "10K", "left"],
    ]  # fmt: skip
    services = build(load({"DATABASE_URL": database_url, "DAVSERVER_DATA_DIR": f"{tmp_path}/var"}))
    try:
        fill(services)
    finally:
        services.close()
    shown = printed("ada")
    assert shown[1:5] == [
        ["files", "2,", "3K"], ["folders", "1"], ["trash", "1", "files,", "1K"], ["quota", "4K", "used,", "6K", "left"],
    ]  # fmt: skip
    assert shown[7:9] == [["image/png", "1", "2K"], ["text/plain", "1", "1K"]]
    assert [line[:3] for line in shown[11:]] == [["/my", "photos/b.png", "2K"], ["/my", "photos/a.txt", "1K"]]
    assert printed()[1][:7] == ["ada", "2", "1", "3K", "1K", "4K", "10K"]
    assert main(["stats", "nobody"]) == 1


def fill(services: Services) -> None:
    """A folder with two files, one more in the trash; and the job."""
    user = services.accounts.find("ada")
    who = Principal(user.id, user.name)
    services.tree.make_collection(who, path("/my photos"))
    for name, kind, size in (
        ("a.txt", "text/plain", 1024),
        ("b.png", "image/png", 2048),
        ("c.txt", "text/plain", 1024),
    ):
        body = BytesBody(b"x" * size, size)
        services.content.put(who, path(f"/my photos/{name}"), body, PutDetails(content_type=kind))
    services.tree.discard(who, path("/my photos/c.txt"))
    services.statistics.handlers[ROLL_UP](Work(Job(0, ROLL_UP, {}, 1, 0, "claim"), lambda: None))
