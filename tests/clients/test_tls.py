"""HTTPS from `davserver serve --tls-cert --tls-key` with a certificate as docs/clients.md makes it, and clients that trust it."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.davserver import COMMAND, Deployment, ServerProcess, User
from tests.support.daywork import MB, content, private_home, run
from tests.support.matrix import Client
from tests.support.tools import need

TLS = Client(
    "curl and rclone over TLS", "driven", "tests/clients/test_tls.py",
    ("refuse what they do not trust", "curl with the certificate", "rclone with the certificate",
     "plain HTTP is told what it meets"),
)  # fmt: skip
MAKE = (
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
    "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
)  # fmt: skip


class TlsServer(ServerProcess):
    """`davserver serve` with the two options."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.options = ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))
        super().__init__(deployment.settings, deployment.folder, *self.options)


def test_clients_reach_the_drive_over_tls(deployment: Deployment, tmp_path: Path) -> None:
    kind = deployment.kind
    run(need("openssl"), *MAKE, cwd=tmp_path)
    server = TlsServer(deployment, tmp_path)
    deployment.servers.append(server)
    user = deployment.add_user()
    assert server.url.startswith("https://")
    cert, big = tmp_path / "cert.pem", tmp_path / "big.bin"
    big.write_bytes(content(20 * MB))
    curl = [need("curl"), "-sS", "--fail-with-body", "-u", ":".join(user.auth)]
    env = private_home(tmp_path)
    with TLS.step("refuse what they do not trust", kind):
        assert "certificate" in run(*curl, server.url, env=env, status=60)
    with TLS.step("curl with the certificate", kind):
        run(*curl, "--cacert", str(cert), "-T", str(big), server.url + "big.bin", env=env)
        run(*curl, "--cacert", str(cert), "-o", str(tmp_path / "back.bin"), server.url + "big.bin", env=env)
        assert (tmp_path / "back.bin").read_bytes() == big.read_bytes()
    with TLS.step("rclone with the certificate", kind):
        use_rclone(server, user, cert, big, env)
    with TLS.step("plain HTTP is told what it meets", kind):
        assert httpx.get(server.url.replace("https:", "http:")).status_code == 400


def use_rclone(server: ServerProcess, user: User, cert: Path, big: Path, env: dict[str, str]) -> None:
    """Check what curl brought, and bring another."""
    rclone = [need("rclone"), "--config", str(big.parent / "rclone.conf")]
    run(
        *rclone, "config", "create", "dav", "webdav", f"url={server.url}", "vendor=owncloud", f"user={user.name}",
        f"pass={user.password}", "--obscure", env=env,
    )  # fmt: skip
    run(*rclone, "--ca-cert", str(cert), "copyto", str(big), "dav:two.bin", env=env)
    run(
        *rclone, "--ca-cert", str(cert), "check", "--download", "--include", "big.bin", str(big.parent), "dav:", env=env
    )


@pytest.mark.parametrize("options", [["--tls-key", "key.pem"], ["--tls-cert", "none.pem"]])
def test_a_missing_certificate_is_said_in_one_line(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("", encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, "serve", *options], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("davserver: ")
    assert done.stderr.count("\n") == 1
