"""Our examples for nginx and Caddy, started for real in front of a real server, with TLS."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.davserver import Deployment, User
from tests.support.proxies import Proxied, running_proxy

pytestmark = pytest.mark.server

LARGE = 48 * 1024**2


@pytest.fixture(params=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, embedded: Deployment, tmp_path: Path) -> Iterator[Proxied]:
    embedded.settings["DAVSERVER_TRUSTED_PROXIES"] = "127.0.0.1"
    host, port = embedded.start().address
    with running_proxy(request.param, tmp_path / "proxy", [f"{host}:{port}"]) as proxy:
        yield proxy


def pieces(seed: bytes) -> Iterator[bytes]:
    block = hashlib.sha512(seed).digest() * 2048
    for _ in range(LARGE // len(block)):
        yield block


def written_by(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_drive_works_through_our_examples_of_proxies(proxied: Proxied, embedded: Deployment) -> None:
    user: User = embedded.add_user()
    with requests.Session() as http:
        http.trust_env = False  # a variable of the machine would win over `verify`
        http.auth, http.verify = user.auth, str(proxied.folder / "cert.pem")
        before = written_by(proxied.folder)
        assert http.put(proxied.url + "a", data=pieces(b"x"), timeout=120).status_code == 201
        digest = hashlib.sha256(b"".join(pieces(b"x"))).digest()
        got = hashlib.sha256()
        with http.get(proxied.url + "a", stream=True, timeout=120) as answer:
            for part in answer.iter_content(1 << 20):
                got.update(part)
        assert got.digest() == digest
        assert written_by(proxied.folder) - before < 1024**2, "the proxy buffered the file on its disk"
        moved = http.request("MOVE", proxied.url + "a", headers={"Destination": proxied.url + "b%20c"}, timeout=20)
        assert moved.status_code == 201
        assert http.request("PROPFIND", proxied.url + "b%20c", headers={"Depth": "0"}, timeout=20).status_code == 207
        origin = proxied.url.removesuffix("/dav/")
        assert f"{proxied.url}" in http.get(origin + "/", timeout=20).text, "scheme and host of the address"
        spoofed = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "Forwarded": "for=127.0.0.1"}
        assert f"{proxied.url}" in http.get(origin + "/", headers=spoofed, timeout=20).text
        for page in ("/metrics", "/readyz"):
            assert http.get(origin + page, headers=spoofed, timeout=20).status_code == 404
