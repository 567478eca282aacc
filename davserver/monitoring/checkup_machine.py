"""What `davserver doctor` looks at on this machine: files, disk, certificate, limits, port, and who can reach what."""

import http.client
import resource
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from davserver.config import SETTINGS, Config
from davserver.config.kinds import Network
from davserver.crypto.certificates import read_certificate
from davserver.domain.clock import SECOND, Clock
from davserver.monitoring.checkup import Finding, off, ok, wrong

LEAST_FREE: Final = 1024**3
"""Bytes. With less, the next uploads may fail."""
_SECRETS: Final = ("keys.json", "keys-retired.json", "secret")
_DAYS: Final = 14
_MOUNTS: Final = Path("/proc/self/mounts")
_FILES_BESIDE_CONNECTIONS: Final = 300
_SECONDS: Final = 3.0
_NETWORK_DISKS: Final = ("nfs", "cifs", "smb", "fuse.sshfs", "afs", "ceph", "glusterfs")


def secret_files(config: Config) -> Iterator[Finding]:
    """Whether nobody else on this machine can read keys and secrets."""
    part, folder = "files", config.data_dir.absolute()
    if not folder.exists():
        yield off(part, f"The data folder {folder} is not there yet; the first start makes it.")
        return
    found = [path for path in (folder, *(folder / name for name in _SECRETS)) if path.exists()]
    opened = [path for path in found if path.stat().st_mode & 0o077]
    for path in opened:
        mode = "700" if path.is_dir() else "600"
        yield wrong(part, f"Others on this machine can read {path}.", f"chmod {mode} {path}")
    for path in _with_secrets(config):
        if path.exists() and path.stat().st_mode & 0o007:
            yield wrong(part, f"Everybody on this machine can read {path}, which holds secrets.", f"chmod o= {path}")
            opened.append(path)
    if not opened:
        yield ok(part, f"Only this user can read the secrets in {folder}.")


def _with_secrets(config: Config) -> list[Path]:
    sources = {config.sources.get(s.name, "") for s in SETTINGS if s.is_secret}
    named = [Path(source) for source in sources if source and not source.isupper()]
    return named + ([config.tls_key] if config.tls_key is not None else [])


def disk(config: Config, *, least: int = LEAST_FREE, mounts: Path = _MOUNTS) -> Iterator[Finding]:
    """Room in the data folder, and whether SQLite can rely on its disk."""
    folder = config.data_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < least:
        yield wrong(
            "disk", f"{free // 1024**2} MiB are free where {folder} lies.",
            "Make room: empty trashes (davserver trash empty USER), lower quotas, or move the data folder to a larger disk.",
        )  # fmt: skip
    else:
        yield ok("disk", f"{free / 1024**3:.1f} GiB are free where {folder} lies.")
    kind = disk_kind(folder, mounts)
    if config.database.scheme == "sqlite" and kind.startswith(_NETWORK_DISKS):
        yield wrong(
            "disk", f"{folder} lies on a network drive ({kind}), where SQLite loses data.",
            "Set DAVSERVER_DATA_DIR to a folder of a local disk, or DATABASE_URL to a PostgreSQL.",
        )  # fmt: skip


def disk_kind(folder: Path, mounts: Path) -> str:
    """The type of the file system that holds the folder, such as ``ext4``; empty where that cannot be told."""
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text("utf-8", "replace").splitlines():
        fields = line.split()
        place = fields[1].replace("\\040", " ")
        if folder.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind


def certificate(config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether the certificate is valid, for how long, and whether its key is the right one."""
    if config.tls_cert is None:
        yield off("tls", "This server speaks no TLS itself.")
        return
    renew = "Have it renewed, and restart the server."
    try:
        found = read_certificate(config.tls_cert)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        yield wrong(
            "tls", f"The certificate {config.tls_cert} or its key cannot be used: {reason}.",
            "DAVSERVER_TLS_CERT names the chain, DAVSERVER_TLS_KEY the key that belongs to it, both in PEM.",
        )  # fmt: skip
        return
    now = datetime.fromtimestamp(clock() / SECOND, UTC)
    days = (found.ends - now).days
    if found.begins > now:
        yield wrong("tls", f"The certificate is valid from {found.begins:%Y-%m-%d} on.", "See that the clock is right.")
    elif found.ends <= now:
        yield wrong("tls", f"The certificate ended on {found.ends:%Y-%m-%d}; clients refuse it.", renew)
    elif days < _DAYS:
        yield wrong("tls", f"The certificate ends in {days} days, on {found.ends:%Y-%m-%d}.", renew)
    else:
        yield ok("tls", f"The certificate is for {', '.join(found.names) or 'no name'}, until {found.ends:%Y-%m-%d}.")


def open_files(config: Config) -> Iterator[Finding]:
    """Whether the system lets a process have as many connections as the settings say."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.max_connections + _FILES_BESIDE_CONNECTIONS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        yield wrong(
            "limits", f"A process may have {hard} files open; {config.max_connections} connections need {wanted}.",
            "Raise it (LimitNOFILE in systemd, ulimits in compose), or lower DAVSERVER_MAX_CONNECTIONS.",
        )  # fmt: skip
    else:
        yield ok(
            "limits", f"A process may have {'any number of' if hard == resource.RLIM_INFINITY else hard} files open."
        )


def exposure(config: Config) -> Iterator[Finding]:
    """Who is believed, and who can see what."""
    found = list(_exposed(config))
    yield from found
    if not found:
        proxies = ", ".join(map(str, config.trusted_proxies)) or "no proxy"
        yield ok("network", f"It listens on {config.host}, and believes {proxies}.")


def _exposed(config: Config) -> Iterator[Finding]:
    if any(map(_is_everybody, config.trusted_proxies)):
        yield wrong(
            "network", "Everybody is believed to be a proxy, and can claim any address.",
            "DAVSERVER_TRUSTED_PROXIES: name the addresses of your proxies alone.",
        )  # fmt: skip
    if any(map(_is_everybody, config.monitor_networks)):
        yield wrong(
            "network",
            "Everybody can read /metrics.",
            "DAVSERVER_MONITOR_NETWORKS: name the addresses of Prometheus alone.",
        )
    is_local = config.host in {"127.0.0.1", "::1", "localhost"}
    if not is_local and config.tls_cert is None and not config.trusted_proxies:
        yield wrong(
            "network", f"It listens on {config.host} without TLS: passwords cross the network in clear.",
            "Put a proxy with TLS in front and name it in DAVSERVER_TRUSTED_PROXIES, or set DAVSERVER_TLS_CERT.",
        )  # fmt: skip
    if config.public_url is not None and _goes_in_clear(config.public_url):
        yield wrong(
            "network", f"The public address is {config.public_url}: what mails lead to crosses the network in clear.",
            "DAVSERVER_PUBLIC_URL: the address with https://, as people type it.",
        )  # fmt: skip
    if config.testing:
        yield wrong("network", "TESTING is set: passwords can be guessed without a limit.", "Remove TESTING.")


def _goes_in_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}


def _is_everybody(network: Network) -> bool:
    return network.prefixlen == 0


def port(config: Config) -> Iterator[Finding]:
    """Whether the port is ours or free."""
    where = f"{config.host} port {config.port}"
    if config.port == 0:
        yield off("port", "Any free port is taken.")
        return
    try:
        said = _ask(config)
    except (OSError, http.client.HTTPException):
        yield _can_listen(config, where)
        return
    if said == b"ok":
        yield ok("port", f"A davserver answers on {where}.")
    else:
        yield wrong("port", f"Another program answers on {where}.", "End it, or set DAVSERVER_PORT to another one.")


def _ask(config: Config) -> bytes:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104 - compared, not bound
    if config.tls_cert is None:
        connection = http.client.HTTPConnection(host, config.port, timeout=_SECONDS)
    else:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # we ask who listens, and tell nothing
        connection = http.client.HTTPSConnection(host, config.port, timeout=_SECONDS, context=context)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read(100).strip()
    finally:
        connection.close()


def _can_listen(config: Config, where: str) -> Finding:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            return wrong(
                "port", f"Nobody can listen on {where}: {error.strerror or error}.",
                "End what holds it, or set DAVSERVER_HOST and DAVSERVER_PORT. Ports below 1024 need a right of their own.",
            )  # fmt: skip
    return off("port", f"No server runs on {where}, and one could.")
