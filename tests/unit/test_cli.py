import argparse
import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from davserver.bootstrap import known_revisions, open_accounts, open_database
from davserver.cli import main
from davserver.cli.logs import JsonFormatter, ReadableFormatter
from davserver.cli.parser import build_parser
from davserver.cli.serving import address_of, http_config, welcome
from davserver.cli.users import random_password
from davserver.config import Config, load
from davserver.db.units import Database
from davserver.domain.errors import Unauthenticated

Run = Callable[..., tuple[int, str, str]]
OURS = ("DAVSERVER_", "MINIO_", "DATABASE_URL", "REDIS_URL", "CLAMAV_", "SECRET_KEY")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in an empty folder: exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(OURS):
            monkeypatch.delenv(name)

    def call(*arguments: str, stdin: str = "", **environ: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(stdin))
            for name, value in environ.items():
                patch.setenv(name, value)
            try:
                status = main(arguments)
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        return status, out, err

    before = os.umask(0o022)
    handlers = list(logging.getLogger().handlers)
    yield call
    os.umask(before)
    logging.getLogger().handlers = handlers


def signs_in(name: str, password: str) -> bool:
    config = load({})
    database = open_database(config)
    try:
        open_accounts(config, database).authenticate(name, password)
    except Unauthenticated:
        return False
    finally:
        database.close()
    return True


def commands(parser: argparse.ArgumentParser, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield before
    for action in inner:
        for name, child in action.choices.items():
            yield from commands(child, (*before, name))


@pytest.mark.parametrize("words", [*commands(build_parser())], ids=" ".join)
def test_every_command_explains_itself_with_an_example(run: Run, words: tuple[str, ...]) -> None:
    status, out, _ = run(*words, "--help")
    assert status == 0
    assert re.search(rf"^Example: .*davserver {' '.join(words)}", out, re.MULTILINE)


@pytest.mark.parametrize("words", [(), ("user",), ("config",)])
def test_help_is_everywhere(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words, "--help")[0] == 0


def test_the_release_is_told(run: Run) -> None:
    assert run("--version") == (0, f"davserver {version('davserver')}\n", "")


@pytest.mark.parametrize(
    "words",
    [(), ("user",), ("fly",), ("user", "add"), ("serve", "--port", "1"), ("user", "add", "a", "--quota", "much")],
)
def test_a_wrong_call_ends_with_2_and_says_why(run: Run, words: tuple[str, ...]) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert "error:" in err


@pytest.mark.parametrize("words", [["serve"], ["migrate"], ["user", "list"], ["config", "show"]])
def test_a_bad_setting_ends_every_command_with_2_and_one_line(run: Run, words: list[str]) -> None:
    status, out, err = run(*words, DAVSERVER_PORT="many")
    assert (status, out) == (2, "")
    assert err == "davserver: DAVSERVER_PORT must be a whole number from 0 to 65535, not 'many'.\n"


@pytest.mark.parametrize("before", [True, False])
def test_the_file_can_be_named_before_and_behind_the_command(run: Run, tmp_path: Path, before: bool) -> None:
    (tmp_path / "other.yaml").write_text("port: 9001\n")
    option = ["--config", "other.yaml"]
    words = [*option, "config", "show"] if before else ["config", "show", *option]
    assert re.search(r"^port +9001 +other\.yaml$", run(*words)[1], re.MULTILINE)


def test_a_file_that_is_not_there_is_an_error(run: Run) -> None:
    status, _, err = run("--config", "nowhere.yaml", "config", "show")
    assert (status, err) == (2, "davserver: The configuration file nowhere.yaml does not exist.\n")


def test_config_show_hides_secrets_and_tells_sources(run: Run) -> None:
    status, out, _ = run("config", "show", SECRET_KEY="hush" * 8, DATABASE_URL="postgresql://u:hush@h/d")
    assert status == 0
    assert "hush" not in out
    assert re.search(r"^davserver\.database_url +postgresql://\*\*\*@h/d +DATABASE_URL$", out, re.MULTILINE)
    assert re.search(r"^davserver\.processes +auto +default$", out, re.MULTILINE)


def test_a_user_is_added_with_the_password_from_stdin_and_listed_without_it(run: Run) -> None:
    status, out, err = run(
        "user",
        "add",
        "ada",
        "--email",
        "a@b.de",
        "--admin",
        "--quota",
        "10G",
        "--password-stdin",
        stdin="correct horse\n",
    )
    assert (status, out, err) == (0, "Added ada.\n", "")
    assert signs_in("ada", "correct horse")
    listed = run("user", "list")[1]
    assert re.search(r"^ada +a@b\.de +admin +10G +active +\d{4}-\d\d-\d\d$", listed, re.MULTILINE)
    assert "horse" not in listed


def test_where_nobody_can_be_asked_a_password_is_made_up_and_shown_once(run: Run) -> None:
    _, out, _ = run("user", "add", "ada")
    found = re.search(r"shown this once: (\S+)$", out, re.MULTILINE)
    assert found is not None
    assert signs_in("ada", found[1])


def test_a_changed_password_replaces_the_old_one(run: Run) -> None:
    run("user", "add", "ada", "--password-stdin", stdin="correct horse\n")
    status, out, _ = run("user", "passwd", "Ada", "--password-stdin", stdin="battery staple")
    assert (status, out) == (0, "The password of ada is changed.\n")
    assert signs_in("ada", "battery staple")
    assert not signs_in("ada", "correct horse")


def test_a_disabled_user_is_out_until_enabled(run: Run) -> None:
    run("user", "add", "ada", "--password-stdin", stdin="correct horse\n")
    assert run("user", "disable", "ada")[0] == 0
    assert not signs_in("ada", "correct horse")
    assert " disabled " in run("user", "list")[1]
    assert run("user", "enable", "ada")[0] == 0
    assert signs_in("ada", "correct horse")


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (("user", "add", "ada", "--password-stdin"), "another one\n", "There is a user named 'ada' already."),
        (("user", "add", "b:b", "--password-stdin"), "another one\n", "A user name must not hold"),
        (("user", "add", "bob", "--password-stdin"), "short\n", "A password has 8 to 1024 characters."),
        (("user", "add", "bob", "--password-stdin"), "", "There is no password on stdin."),
        (("user", "add", "bob", "--email", "b", "--password-stdin"), "another one\n", "'b' is not an e-mail address."),
        (("user", "passwd", "bob", "--password-stdin"), "another one\n", "There is no user named 'bob'."),
        (("user", "disable", "bob"), "", "There is no user named 'bob'."),
    ],
)
def test_what_cannot_be_done_ends_with_1_and_one_line(run: Run, words: tuple[str, ...], stdin: str, said: str) -> None:
    run("user", "add", "ada", "--password-stdin", stdin="correct horse\n")
    before = run("user", "list")[1]
    status, out, err = run(*words, stdin=stdin)
    assert (status, out) == (1, "")
    assert err.startswith(f"davserver: {said}")
    assert err.count("\n") == 1
    assert run("user", "list")[1] == before


def test_migrate_says_what_it_did_and_check_what_it_would_do(run: Run) -> None:
    head = known_revisions()[-1]
    status, _, err = run("migrate", "--check")
    assert status == 1
    left = len(known_revisions())
    assert (
        err == f"davserver: The database is at nothing, this release wants {head} ({left} to go): davserver migrate\n"
    )
    assert run("migrate")[:2] == (0, f"The database went from nothing to {head}.\n")
    assert run("migrate")[:2] == (0, f"The database is at {head}.\n")
    assert run("migrate", "--check")[0] == 0


def test_a_database_of_a_newer_release_is_left_alone(run: Run) -> None:
    run("migrate")
    database = Database(load({}).database.reveal())
    with database.write() as unit:
        unit.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for words in (["migrate"], ["migrate", "--check"], ["serve"], ["user", "list"]):
        status, _, err = run(*words)
        assert status == 2
        assert "9999" in err
        assert "newer" in err


def test_migrate_check_ends_with_2_when_the_database_cannot_be_reached(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hush@127.0.0.1:1/d")
    status, _, err = run("migrate", "--check")
    assert status == 2
    assert "does not answer" in err
    assert "hush" not in err


def test_the_known_revisions_are_alembics(run: Run) -> None:
    from alembic.config import Config as AlembicConfig
    from alembic.script import ScriptDirectory

    settings = AlembicConfig()
    settings.set_main_option("script_location", "migrations:")
    settings.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(settings)
    assert list(known_revisions()) == [r.revision for r in script.walk_revisions()][::-1]


@pytest.mark.parametrize(
    ("environ", "status", "words"),
    [
        ({"DATABASE_URL": "postgresql://u:hush@127.0.0.1:1/d"}, 1, ["postgresql://***@127.0.0.1:1/d", "refused"]),
        ({"DATABASE_URL": "postgresql://u:hush@h:port/d"}, 2, ["DATABASE_URL"]),
        ({"DAVSERVER_DATA_DIR": "/dev/null/var"}, 2, ["/dev/null/var", "DAVSERVER_DATA_DIR"]),
        ({"DAVSERVER_MASTER_KEYS": "k1:hush"}, 2, ["k1"]),
        ({"DAVSERVER_MAX_HEAD_SIZE": "1"}, 2, ["DAVSERVER_MAX_HEAD_SIZE", "8K"]),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    run: Run, environ: dict[str, str], status: int, words: list[str]
) -> None:
    found, out, err = run("serve", **environ)
    assert (found, out) == (status, "")
    assert all(word in err for word in words)
    assert "hush" not in err
    assert err.count("\n") == 1


def test_every_allowed_size_of_a_head_suits_the_http_server() -> None:
    for size in (8 * 1024, 64 * 1024, 1024**2):
        assert http_config(Config(max_head_size=size)).max_head_bytes == size


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5/dav/"), ("0.0.0.0", "http://127.0.0.1:5/dav/"),
        ("::", "http://[::1]:5/dav/"), ("drive.example", "http://drive.example:5/dav/"),
    ],
)  # fmt: skip
def test_the_address_is_one_that_works_here(host: str, url: str) -> None:
    assert address_of(Config(host=host), 5) == url


def test_the_address_follows_tls_and_the_shares_of_the_file() -> None:
    config = Config(tls_cert=Path("x"), wsgidav={"provider_mapping": {"/files/": {}}, "mount_path": "/a"})
    assert address_of(config, 5) == "https://127.0.0.1:5/a/files/"


def test_the_welcome_shows_a_password_only_when_it_is_new() -> None:
    first, second = welcome("http://h/dav/", "ada", "pass-word"), welcome("https://h/dav/", "", "")
    assert "pass-word   (shown this once)" in first
    assert "BasicAuthLevel" in first
    assert "Password " not in second
    assert "BasicAuthLevel" not in second
    assert "davs://NAME@h/dav/" in second
    assert max(map(len, first.splitlines())) < 140


def test_made_up_passwords_are_readable_and_differ() -> None:
    made = {random_password() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", password) for password in made)


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("davserver.access", logging.INFO, __file__, 1, message, (), None)
    made.__dict__.update(extra)
    return made


def test_a_readable_line_is_one_line_whatever_is_in_it() -> None:
    line = ReadableFormatter().format(record("GET /x\n2026-01-01 forged\x1b[2J"))
    assert line.endswith(r"INFO    GET /x\n2026-01-01 forged\x1b[2J")
    assert "\n" not in line


def test_a_json_line_has_the_fields_of_the_request_and_the_trace() -> None:
    try:
        assert 1 / 0
    except ZeroDivisionError as error:
        made = record("failed\n", request={"status": "500"}, exc_info=(type(error), error, error.__traceback__))
    line = JsonFormatter().format(made)
    content = json.loads(line)
    assert "\n" not in line
    assert (content["level"], content["status"], content["message"]) == ("info", "500", "failed\n")
    assert "ZeroDivisionError" in content["trace"]


def test_old_sets_of_a_backup_are_told_and_then_removed(run: Run) -> None:
    run("migrate")
    for _ in range(2):
        assert run("backup", "copies")[0] == 0
    assert run("backup", "copies", "--prune")[0] == 2
    assert run("backup", "copies", "--prune", "--keep-last", "-1")[0] == 2
    status, out, _ = run("backup", "copies", "--prune", "--keep-last", "1", "--dry-run")
    assert (status, out.splitlines()[-1]) == (0, "1 sets and 0 blobs (0 bytes) would be removed.")
    assert [line.split()[0] for line in out.splitlines()[:-1]] == ["remove", "keep"]
    assert len(list(Path("copies/sets").iterdir())) == 2
    status, out, _ = run("backup", "copies", "--prune", "--keep-last", "1")
    assert (status, out.splitlines()[-1]) == (0, "1 sets and 0 blobs (0 bytes) were removed; 1 sets stay.")
    assert run("backup", "copies", "--check")[0] == 0
