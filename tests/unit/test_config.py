import re
from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from davserver.config import SETTINGS, Config, Secret, SecretUrl, kinds, load
from davserver.config.reading import WSGIDAV_KEYS, describe
from davserver.config.reference import render
from davserver.domain.errors import ConfigError

ROOT = Path(__file__).parents[2]
S3 = {"MINIO_ENDPOINT": "s3:9000", "MINIO_ACCESS_KEY": "access", "MINIO_SECRET_KEY": "hush"}

Written = Callable[[str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: str) -> Path:
        path = tmp_path / "wsgidav.yaml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def test_without_file_and_environment_everything_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load({})
    assert config == Config()
    assert config.database.reveal() == f"sqlite:///{tmp_path}/var/davserver.db"
    assert not config.is_shared


def test_the_file_in_the_working_folder_is_read(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(written("port: 9000\n").parent)
    assert load({}).port == 9000


def test_the_variable_names_another_file(written: Written) -> None:
    path = written("davserver:\n  threads: 3\n")
    assert load({"DAVSERVER_CONFIG": str(path)}).threads == 3


def test_the_environment_wins_over_the_file(written: Written) -> None:
    path = written("port: 9000\ndavserver:\n  threads: 3\n")
    config = load({"DAVSERVER_PORT": "9001", "DAVSERVER_THREADS": "4"}, path)
    assert (config.port, config.threads) == (9001, 4)
    assert config.sources == {"port": "DAVSERVER_PORT", "threads": "DAVSERVER_THREADS"}


def test_an_empty_variable_is_not_set(written: Written) -> None:
    assert load({"DAVSERVER_PORT": " "}, written("port: 9000")).port == 9000


def test_networks_come_with_commas_or_as_a_list(written: Written) -> None:
    wanted = (ip_network("10.0.0.0/8"), ip_network("2001:db8::1"))
    assert load({"DAVSERVER_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::1"}, written("")).trusted_proxies == wanted
    in_file = written('davserver:\n  trusted_proxies: [10.0.0.0/8, "2001:db8::1"]')
    assert load({}, in_file).trusted_proxies == wanted
    assert load({"DAVSERVER_TRUSTED_PROXIES": "none"}, in_file).trusted_proxies == ()
    with pytest.raises(ConfigError, match="DAVSERVER_TRUSTED_PROXIES must be none, or addresses and networks"):
        load({"DAVSERVER_TRUSTED_PROXIES": "10.0.0.1/8"}, in_file)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_every_setting_has_a_default_that_it_allows(setting: object) -> None:
    assert setting in SETTINGS
    declared = next(s for s in SETTINGS if s == setting)
    shown = kinds.show(declared.kind, declared.default)
    if shown:
        assert declared.kind.parse(shown) == declared.default


def test_the_table_and_the_fields_are_the_same_settings() -> None:
    assert [s.name for s in SETTINGS] == [f.name for f in fields(Config) if f.name not in {"wsgidav", "sources"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("davserver:\n  thraeds: 3", ["davserver.thraeds", "did you mean threads?"]),
        ("hots: a", ["hots", "did you mean host?"]),
        ("threads: 3", ["threads", "belongs into the section davserver"]),
        ("port: many", ["port", "'many'", "a whole number from 0 to 65535"]),
        ("port: 65536", ["port", "65536"]),
        ("port: true", ["port", "True"]),
        ("port: 80.5", ["port", "80.5"]),
        ("port: 1\nport: 2", ["port", "twice"]),
        ("davserver:\n  trash_retention: soon", ["trash_retention", "'soon'", "24h"]),
        ("davserver:\n  log_format: xml", ["log_format", "'xml'", "readable or json"]),
        ("davserver:\n  minio_secure: perhaps", ["minio_secure", "'perhaps'", "true or false"]),
        ("davserver: 3", ["davserver", "section"]),
        ("- a\n- b", ["keys and values"]),
        ("port: [", ["line 1", "not YAML"]),
        ("ssl_private_key: a.pem", ["ssl_certificate"]),
        ("ssl_certificate: missing.pem", ["missing.pem"]),
        ("davserver:\n  lock_timeout_min: 1h\n  lock_timeout_max: 30m", ["lock_timeout_min", "lock_timeout_max"]),
        ("davserver:\n  database_url: mysql://u:hush@h/d", ["database_url", "sqlite:///"]),
        ("davserver:\n  secret_key: hush", ["secret_key", "at least 32 characters"]),
    ],
)
def test_a_bad_file_is_refused_with_a_line_that_names_what_is_wrong(
    written: Written, text: str, words: list[str]
) -> None:
    path = written(text)
    with pytest.raises(ConfigError) as caught:
        load({}, path)
    message = str(caught.value)
    assert all(word in message for word in [*words, str(path) if "_timeout_" not in text and "ssl" not in text else ""])
    assert "hush" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"DAVSERVER_PROT": "1"}, ["DAVSERVER_PROT", "did you mean DAVSERVER_PORT?"]),
        ({"MINIO_ENDPIONT": "a"}, ["MINIO_ENDPIONT", "did you mean MINIO_ENDPOINT?"]),
        ({"DAVSERVER_ZZZ": "1"}, ["DAVSERVER_ZZZ", "docs/configuration.md"]),
        ({"DAVSERVER_PORT": "tcp://10.0.0.1:80"}, ["DAVSERVER_PORT", "'tcp://10.0.0.1:80'"]),
        ({"DAVSERVER_CONFIG": "/nowhere/w.yaml"}, ["/nowhere/w.yaml", "does not exist"]),
        ({"DATABASE_URL": "hush"}, ["DATABASE_URL", "postgresql://"]),
        ({"MINIO_ENDPOINT": "http://s3:9000"}, ["MINIO_ENDPOINT", "without a scheme"]),
        ({"MINIO_ENDPOINT": "s3:9000"}, ["MINIO_ACCESS_KEY"]),
        ({"MINIO_ENDPOINT": "s3:9000", "MINIO_ACCESS_KEY": "a"}, ["MINIO_SECRET_KEY"]),
        ({"MINIO_SECRET_KEY": "hush"}, ["MINIO_ENDPOINT"]),
        ({"SECRET_KEY": "hush"}, ["SECRET_KEY", "32"]),
    ],
)
def test_a_bad_environment_is_refused_with_a_line_that_names_what_is_wrong(
    environ: dict[str, str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(environ)
    assert all(word in str(caught.value) for word in words)
    assert "hush" not in str(caught.value)


def test_variables_of_others_are_left_alone() -> None:
    others = {
        "DAVSERVER_TEST_S3": "x",
        "MINIO_ROOT_USER": "x",
        "DAVSERVER_SERVICE_HOST": "x",
        "DAVSERVER_PORT_80_TCP": "x",
    }
    assert load(others, ROOT / "wsgidav.yaml").port == 8080


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("1k", 1024),
        ("10G", 10 * 1024**3),
        ("10 GB", 10 * 1024**3),
        ("1.5MiB", 1572864),
        (4096, 4096),
    ],
)
def test_sizes_are_read_in_human_units(text: object, size: int) -> None:
    assert kinds.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", -1, "1X", "1 2", "1e3", True, None, [], "\u0661"])
def test_what_is_not_a_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kinds.parse_size(text)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 10 * 1024**3, 1024**4 + 1])
def test_a_size_that_is_shown_reads_back(size: int) -> None:
    assert kinds.parse_size(kinds.show_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("24h", 86400), ("1h30m", 5400), ("7d", 604800), (5, 5)]
)
def test_durations_are_read_in_human_units(text: object, seconds: int) -> None:
    assert kinds.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "30m1h", "-1", -1, "1.5h", "1w", True, None])
def test_what_is_not_a_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kinds.parse_duration(text)


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 3661, 86400, 90061])
def test_a_duration_that_is_shown_reads_back(seconds: int) -> None:
    assert kinds.parse_duration(kinds.show_duration(seconds)) == seconds


def test_no_repr_and_no_listing_shows_a_secret() -> None:
    environ = S3 | {
        "DATABASE_URL": "postgresql://u:hush@h/d?sslpassword=hush",
        "REDIS_URL": "redis://:hush@r/0",
        "SECRET_KEY": "hush" * 8,
        "DAVSERVER_MASTER_KEYS": "a:hush",
        "MINIO_ACCESS_KEY": "hush",
    }
    config = load(environ, ROOT / "wsgidav.yaml")
    shown = f"{config} {config!r} {config.database} {config.minio_secret_key} {list(describe(config))}"
    assert "hush" not in shown
    assert "postgresql://***@h/d" in shown
    assert config.minio_secret_key == Secret("hush")
    assert config.is_shared


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "p:ss", "p\nss"])
def test_a_password_with_odd_characters_is_hidden_whole(password: str) -> None:
    assert repr(SecretUrl(f"postgresql://u:{password}@host/db")) == "postgresql://***@host/db"


def test_the_old_name_of_the_postgresql_scheme_works() -> None:
    config = load({"DATABASE_URL": "postgres://u@h/d"}, ROOT / "wsgidav.yaml")
    assert config.database.reveal() == "postgresql://u@h/d"
    assert config.database.scheme == "postgresql"


def test_a_path_in_the_file_starts_at_the_file_and_one_in_the_environment_here(written: Written) -> None:
    path = written("davserver:\n  data_dir: data\n")
    assert load({}, path).data_dir == path.parent / "data"
    assert load({"DAVSERVER_DATA_DIR": "data"}, path).data_dir == Path("data")


def test_wsgidavs_keys_are_handed_on_and_ours_are_not(written: Written) -> None:
    config = load({}, written("verbose: 1\nhotfixes: {unquote_path_info: true}\ndavserver: {threads: 2}\n"))
    assert config.wsgidav == {"verbose": 1, "hotfixes": {"unquote_path_info": True}}


def test_the_known_keys_are_those_that_wsgidav_reads() -> None:
    import wsgidav
    from wsgidav.default_conf import DEFAULT_CONFIG

    assert set(DEFAULT_CONFIG) <= WSGIDAV_KEYS
    source = "".join(p.read_text(encoding="utf-8") for p in Path(wsgidav.__file__).parent.rglob("*.py"))
    read = set(re.findall(r'config(?:\.get\(|\[)\s*"([a-z]\w+)"|get_dict_value\(\s*config, "(\w+)"', source))
    names = {first or second for first, second in read}
    inner = {name for name in names if re.search(rf'(?:dir|err|dc|opts)_?\w*config\.get\(\s*"{name}"', source)}
    set_in_code = {"profile", "startup_event"}
    assert names - WSGIDAV_KEYS - inner - set_in_code <= inner_keys_of(DEFAULT_CONFIG)
    assert all(re.search(rf'["\']{name}["\']', source) for name in WSGIDAV_KEYS)


def inner_keys_of(config: dict[str, object]) -> set[str]:
    return {key for section in config.values() if isinstance(section, dict) for key in section}


def test_the_documentation_is_what_the_settings_say() -> None:
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == render()


def test_the_example_environment_is_valid_with_and_without_its_comments() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    pairs = dict(re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    assert len(pairs) > 10
    assert load(pairs, ROOT / "wsgidav.yaml").is_shared


def test_the_file_in_the_repository_is_valid() -> None:
    config = load({}, ROOT / "wsgidav.yaml")
    assert config.data_dir == ROOT / "var"
    assert config.wsgidav["provider_mapping"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("none", ()),
        ("https://App.Example.org", ("https://app.example.org",)),
        (["https://a.example:443/", "http://localhost:3000"], ("https://a.example", "http://localhost:3000")),
        ("app://obsidian.md, http://[::1]:8080", ("app://obsidian.md", "http://[::1]:8080")),
    ],
)
def test_origins_are_read_as_browsers_write_them(given: object, found: tuple[str, ...]) -> None:
    assert kinds.origins().parse(given) == found


@pytest.mark.parametrize(
    "given", ["*", "null", "https://a.example/app", "a.example", "https://*.example", "", "https://a b"]
)
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="not an origin"):
        kinds.origins().parse(given)


MAIL = {
    "DAVSERVER_SMTP_HOST": "mail.example",
    "DAVSERVER_SMTP_FROM": "a@b.org",
    "DAVSERVER_PUBLIC_URL": "https://d.example/",
}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"DAVSERVER_SMTP_FROM": ""}, "smtp_from is not"),
        ({"DAVSERVER_PUBLIC_URL": ""}, "public_url is not"),
        ({"DAVSERVER_SMTP_USER": "x"}, "go together"),
        ({"DAVSERVER_SMTP_USER": "x", "DAVSERVER_SMTP_PASSWORD": "y", "DAVSERVER_SMTP_SECURITY": "none"}, "in clear"),
        ({"DAVSERVER_SMTP_FROM": "a@b.org\nBcc: c@d.org"}, "must be an address"),
        ({"DAVSERVER_PUBLIC_URL": "drive.example"}, "must be an address"),
    ],
)
def test_half_a_mail_server_is_refused(more: dict[str, str], said: str) -> None:
    assert load(MAIL).public_url == "https://d.example"
    with pytest.raises(ConfigError, match=said):
        load(MAIL | more)
