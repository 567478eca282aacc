"""Read the file and the environment into a `Config`, or say in one line what is wrong."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from davserver.config.kinds import show
from davserver.config.settings import OURS, SETTINGS, Config, Setting
from davserver.domain.errors import ConfigError

DEFAULT_FILE: Final = Path("wsgidav.yaml")
CONFIG_VARIABLE: Final = "DAVSERVER_CONFIG"

WSGIDAV_KEYS: Final = frozenset({
    "add_header_MS_Author_Via", "block_size", "cors", "default_charset", "dir_browser", "error_printer", "fs_dav_provider",
    "honor_mtime_header", "host", "hotfixes", "htdigest_dc", "htpasswd_dc", "http_authenticator", "lock_storage", "logging",
    "middleware_stack", "mount_path", "mutable_live_props", "nt_dc", "pam_dc", "port", "property_manager",
    "provider_mapping", "server", "server_args", "simple_dc", "ssl_adapter", "ssl_certificate", "ssl_certificate_chain",
    "ssl_private_key", "suppress_version_info", "verbose",
})  # fmt: skip
"""Every top-level key that WsgiDAV 4.4 reads. Only the WebDAV door imports WsgiDAV, so a test compares the two."""

_PREFIXES: Final = ("DAVSERVER_", "MINIO_")
_FOREIGN: Final = re.compile(
    r"DAVSERVER_TEST_\w+"  # the tests' own
    r"|MINIO_ROOT_\w+"  # the MinIO server's own, often in one file with ours
    r"|(?:DAVSERVER|MINIO)_(?:SERVICE_\w+|PORT_\d+_\w+)|MINIO_PORT"  # what Kubernetes adds for services of these names
)


def load(environ: Mapping[str, str], file: Path | None = None) -> Config:
    """Read `file`, or the file that ``DAVSERVER_CONFIG`` names, or ``wsgidav.yaml`` here if there is one; then `environ`.

    The environment wins. An empty variable, or a key without a value, is one that is not set. Raises `ConfigError`.
    """
    named = file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    found = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    content = {} if found is None else _read_file(found)
    ours = _section(content, found)
    _check_file_keys(content, ours, found)
    _check_variables(environ)

    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        in_file = (content if setting.is_wsgidav else ours).get(setting.key)
        if environ.get(setting.env, "").strip():
            values[setting.name] = _parse(setting, environ[setting.env], setting.env)
            sources[setting.name] = setting.env
        elif in_file is not None and found is not None:
            value = _parse(setting, in_file, f"{_place(setting)} in {found}")
            values[setting.name] = found.parent / value if isinstance(value, Path) else value
            sources[setting.name] = str(found)
    wsgidav = {key: value for key, value in content.items() if key != OURS}
    config = Config(**values, wsgidav=MappingProxyType(wsgidav), sources=MappingProxyType(sources))
    _check_together(config)
    return config


def _read_file(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - a start without a file need not wait for it

    class Loader(yaml.SafeLoader):
        """Refuses a key that stands twice, of which YAML would silently keep the last."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise ConfigError(f"{path}: the key {key!r} stands there twice; remove one of them.")
            return super().construct_mapping(node, deep)

    try:
        with path.open("rb") as file:
            content = yaml.load(file, Loader)  # noqa: S506 - it is a SafeLoader
    except FileNotFoundError:
        raise ConfigError(f"The configuration file {path} does not exist.") from None
    except OSError as error:
        raise ConfigError(f"The configuration file {path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"{path}{where}: this is not YAML: {getattr(error, 'problem', None) or 'bad bytes'}."
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, such as `port: 8080`.")
    return content


def _section(content: Mapping[str, Any], path: Path | None) -> dict[str, Any]:
    section = content.get(OURS)
    if section is not None and not isinstance(section, dict):
        raise ConfigError(f"{OURS} in {path} must be a section of keys and values.")
    return section or {}


def _check_file_keys(content: Mapping[str, Any], ours: Mapping[str, Any], path: Path | None) -> None:
    own = {s.key for s in SETTINGS if not s.is_wsgidav}
    for key in ours:
        if key not in own:
            raise ConfigError(f"{OURS}.{key} in {path} is not a setting{_hint(str(key), own)}.")
    for key in content:
        if key in WSGIDAV_KEYS or key == OURS:
            continue
        if key in own:
            raise ConfigError(f"{key} in {path} stands at the top; it belongs into the section {OURS}.")
        raise ConfigError(f"{key} in {path} is not a setting of WsgiDAV{_hint(str(key), WSGIDAV_KEYS | {OURS})}.")


def _check_variables(environ: Mapping[str, str]) -> None:
    known = {s.env for s in SETTINGS} | {CONFIG_VARIABLE}
    for name in sorted(environ):
        if name.startswith(_PREFIXES) and name not in known and not _FOREIGN.fullmatch(name):
            raise ConfigError(f"The environment variable {name} is not a setting{_hint(name, known, 0.85)}.")


def _parse(setting: Setting, value: object, where: str) -> Any:
    try:
        return setting.kind.parse(value)
    except (ValueError, OverflowError):
        said = "" if setting.is_secret else f", not {_short(value)}"
        raise ConfigError(f"{where} must be {setting.kind.allowed}{said}.") from None


def _check_together(config: Config) -> None:
    """What no value says alone."""
    keys = {"minio_access_key": config.minio_access_key, "minio_secret_key": config.minio_secret_key}
    if config.minio_endpoint:
        for name, key in keys.items():
            if key is None:
                raise ConfigError(f"MINIO_ENDPOINT is set and {name.upper()} is not; the S3 server needs both keys.")
    elif any(keys.values()):
        raise ConfigError("MINIO_ACCESS_KEY or MINIO_SECRET_KEY is set and MINIO_ENDPOINT is not; set it as HOST:PORT.")
    if config.tls_key is not None and config.tls_cert is None:
        raise ConfigError("ssl_private_key is set and ssl_certificate is not; HTTPS needs the certificate.")
    for path in (config.tls_cert, config.tls_key):
        if path is not None and not os.access(path, os.R_OK):
            raise ConfigError(f"The file {path} for HTTPS does not exist or cannot be read.")
    for name in ("scan_unscanned", "scan_too_large"):
        if config.clamav_host is None and getattr(config, name) == "hold":
            raise ConfigError(f"{name} is hold and CLAMAV_HOST is not set; without a scanner nothing would be served.")
    _check_mail(config)
    if config.lock_timeout_min > config.lock_timeout_max:
        raise ConfigError("lock_timeout_min is above lock_timeout_max; it must not be.")


def _check_mail(config: Config) -> None:
    if config.smtp_host is None:
        return
    for name in ("smtp_from", "public_url"):
        if getattr(config, name) is None:
            raise ConfigError(f"smtp_host is set and {name} is not; no mail can be written without it.")
    if (config.smtp_user is None) != (config.smtp_password is None):
        raise ConfigError("smtp_user and smtp_password go together; set both or neither.")
    if config.smtp_user is not None and config.smtp_security == "none" and not _is_here(config.smtp_host):
        raise ConfigError(
            "smtp_security is none: smtp_password would cross the network in clear. Take starttls or tls."
        )


def _is_here(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"}


def describe(config: Config) -> Iterable[tuple[str, str, str]]:
    """(key, value as it may be shown, where it came from) of every setting."""
    for setting in SETTINGS:
        value = getattr(config, setting.name)
        shown = show(setting.kind, value)
        if value is None and setting.default_note:
            shown = setting.default_note.replace("`", "").replace("DATA_DIR", str(config.data_dir))
        yield _place(setting), shown, config.sources.get(setting.name, "default")


def _place(setting: Setting) -> str:
    return setting.key if setting.is_wsgidav else f"{OURS}.{setting.key}"


def _hint(word: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else "; docs/configuration.md lists them"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
