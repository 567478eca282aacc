"""Our examples of proxies as processes in front of servers, with TLS."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from tests.support import tools
from tests.support.postgres import free_port
from tests.support.source import ROOT


@dataclass
class Proxied:
    """A proxy that runs."""

    url: str
    """The address of the share through it."""
    folder: Path
    """Where it would buffer."""


def certificate(folder: Path) -> None:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    command = [tools.need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True, timeout=60)


def nginx(folder: Path, port: int, servers: Sequence[str]) -> list[str]:
    text = (ROOT / "deploy/nginx/davserver.conf").read_text()
    for old, new in (
        (
            "server 127.0.0.1:8080",
            " max_fails=1 fail_timeout=2s;\n    server ".join(["", *servers]).partition("\n    ")[2],
        ),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/drive.example.org.pem", str(folder / "cert.pem")),
        ("/etc/ssl/drive.example.org.key", str(folder / "key.pem")),
    ):
        assert old in text
        text = text.replace(old, new)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nuser root;\npid {folder}/pid;\nerror_log {folder}/errors;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{text}}}\n"
    )
    return [tools.need("nginx"), "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors")]


def caddy(folder: Path, port: int, servers: Sequence[str]) -> list[str]:
    text = (ROOT / "deploy/caddy/Caddyfile").read_text()
    text = re.sub(
        r"^\{\$DRIVE_HOST:localhost\} \{", f"https://127.0.0.1:{port} {{\n\ttls cert.pem key.pem", text, flags=re.M
    )
    assert "tls cert.pem" in text
    text = text.replace("{$DRIVE_SERVERS:127.0.0.1:8080}", " ".join(servers))
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    return [tools.need("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


KINDS: Final[dict[str, Callable[[Path, int, Sequence[str]], list[str]]]] = {"nginx": nginx, "caddy": caddy}


def answers(url: str, folder: Path) -> bool:
    try:
        with requests.Session() as http:
            http.trust_env, http.verify = False, str(folder / "cert.pem")
            return http.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


@contextmanager
def running_proxy(kind: str, folder: Path, servers: Sequence[str]) -> Iterator[Proxied]:
    """Start a proxy of the kind in front of these HOST:PORT, in an empty folder, and stop it at the end."""
    folder.mkdir()
    certificate(folder)
    port = free_port()
    command = KINDS[kind](folder, port, servers)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        url = f"https://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while not answers(url + "/healthz", folder):
            assert process.poll() is None, (folder / "output").read_text()
            assert time.monotonic() < deadline, (folder / "output").read_text()
        yield Proxied(url + "/dav/", folder)
    finally:
        process.terminate()
        process.wait(20)
