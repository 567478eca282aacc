"""``davserver serve``: prepare, listen, and tell how to get in."""

import argparse
import getpass
from typing import Final

from davserver import bootstrap
from davserver.cli import logs, say
from davserver.cli.failures import CannotServe
from davserver.cli.users import random_password
from davserver.config import Config
from davserver.domain.errors import ConfigError, DavserverError
from davserver.http import HttpConfig, ServeError
from davserver.http import serve as serve_http
from davserver.monitoring import Meters
from davserver.services.accounts import check_user_name
from davserver.wsgi import make_app

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def serve(_: argparse.Namespace, config: Config) -> int:
    """Serve until SIGTERM or SIGINT; returns 0 after a clean end. Raises `ConfigError`, `DavserverError`."""
    # Prepared here, so that what is wrong is said once and in one line; each process makes services of its own.
    bootstrap.start(config).close()
    logs.configure(config.log_level, config.log_format)
    for warning in bootstrap.warnings(config):
        logs.log.warning("%s", warning)

    def on_ready(address: tuple[str, int]) -> None:
        _announce(config, address[1])

    meters = Meters(config.process_count)
    try:
        return serve_http(lambda: make_app(bootstrap.build(config), meters), http_config(config), on_ready=on_ready)
    except ServeError as error:
        raise CannotServe(str(error)) from error
    except OSError as error:
        where = f"{config.host} port {config.port}"
        raise CannotServe(
            f"Cannot listen on {where}: {error.strerror or error}. DAVSERVER_HOST and DAVSERVER_PORT choose another."
        ) from error


def http_config(config: Config) -> HttpConfig:
    """The HTTP server's part of the settings. Raises `ConfigError` when they do not go together."""
    try:
        return HttpConfig(
            host=config.host,
            port=config.port,
            processes=config.process_count,
            threads=config.threads,
            tls_cert=config.tls_cert,
            tls_key=config.tls_key,
            max_connections=config.max_connections,
            max_head_bytes=config.max_head_size,
            max_target_bytes=config.max_head_size // 2,
            max_fields=config.max_header_fields,
            idle_seconds=config.idle_timeout,
            read_seconds=config.read_timeout,
            leave_seconds=config.drain_delay,
            drain_seconds=config.drain_timeout,
            trusted_proxies=config.trusted_proxies,
            proxy_fields=config.proxy_fields,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _announce(config: Config, port: int) -> None:
    """Make the first user if there is none, say how to get in, and then that the server is ready."""
    name, password = _first_user(config)
    url = address_of(config, port)
    say(welcome(url, name, password))
    say(f"davserver ready: {url}")


def _first_user(config: Config) -> tuple[str, str]:
    """Name and new password of the first user; both empty when there are users already."""
    database = bootstrap.open_database(config)
    try:
        password = random_password()
        user = bootstrap.open_accounts(config, database).add_first(_login_name(), password)
        return (user.name, password) if user else ("", "")
    finally:
        database.close()


def _login_name() -> str:
    """Who is logged in on this machine, if that can be a user's name; ``admin`` for root."""
    try:
        name = check_user_name(getpass.getuser())
    except (DavserverError, OSError, KeyError):
        return "admin"
    return "admin" if name == "root" else name


def address_of(config: Config, port: int) -> str:
    """The URL of the share as this machine reaches it."""
    scheme = "http" if config.tls_cert is None else "https"
    host = _EVERYWHERE.get(config.host, config.host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{config.shares[0]}/"


def welcome(url: str, name: str, password: str) -> str:
    """How to get in. `name` and `password` are empty when there is nobody new."""
    scheme, _, rest = url.partition("://")
    secure = scheme == "https"
    who = name or "NAME"
    lines = [
        "",
        f"  Address   {url}",
        *([f"  User      {name}", f"  Password  {password}   (shown this once)"] if password else []),
        "",
        f"  Windows   net use * {url.rstrip('/')} /user:{who}",
        *([] if secure else _WINDOWS_HTTP),
        f"  macOS     Finder, Go, Connect to Server (Cmd-K): {url}",
        f"  Linux     gio mount {'davs' if secure else 'dav'}://{who}@{rest}    or    mount -t davfs {url} /mnt",
        f"  rclone    rclone config create drive webdav url={url} vendor=owncloud user={who} pass=PASSWORD --obscure",
        "",
        "  Another password: davserver user passwd NAME    More users: davserver user add NAME",
        "",
    ]
    return "\n".join(lines)


_WINDOWS_HTTP: Final = [
    "            (without TLS, first: reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\WebClient\\Parameters",
    "            /v BasicAuthLevel /t REG_DWORD /d 2 /f    and restart the service WebClient)",
]
