"""The server as a person meets it: the first start in an empty folder, the second, a wrong one, the stock command."""

import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.davserver import COMMAND, Deployment, environment
from tests.support.postgres import free_port

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[2]


def credentials(log: str) -> tuple[str, str]:
    found = re.search(r"^  User +(\S+)\n  Password +(\S+)   \(shown this once\)$", log, re.MULTILINE)
    assert found is not None, log
    return found[1], found[2]


def test_an_empty_folder_becomes_a_drive_with_its_first_user(embedded: Deployment) -> None:
    server = embedded.start()
    auth = credentials(server.log)
    assert re.search(r"^davserver ready: http://127\.0\.0\.1:\d+/dav/$", server.log, re.MULTILINE)
    assert requests.put(server.url + "a.txt", b"hello", auth=auth, timeout=20).status_code == 201
    assert requests.get(server.url + "a.txt", auth=auth, timeout=20).content == b"hello"
    assert requests.get(server.url + "a.txt", timeout=20).status_code == 401
    assert re.search(rf"^{auth[0]} .* admin ", embedded.run("user", "list").stdout, re.MULTILINE)


def test_the_second_start_keeps_the_user_and_shows_no_password(embedded: Deployment) -> None:
    first = embedded.start()
    auth = credentials(first.log)
    requests.put(first.url + "a.txt", b"hello", auth=auth, timeout=20)
    first.stop()
    second = embedded.start()
    assert "Password" not in second.log
    assert requests.get(second.url + "a.txt", auth=auth, timeout=20).content == b"hello"
    assert second.stop() == 0


def test_a_server_with_users_makes_no_other(deployment: Deployment) -> None:
    user = deployment.add_user("ada")
    server = deployment.start()
    assert "shown this once" not in server.log
    assert requests.request("PROPFIND", server.url, auth=user.auth, timeout=20).status_code == 207
    assert len(deployment.run("user", "list").stdout.splitlines()) == 2


def test_the_password_is_on_the_terminal_and_nowhere_else(embedded: Deployment) -> None:
    out, err = embedded.folder / "out", embedded.folder / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "serve"], cwd=embedded.folder, env=environment(embedded.settings), stdout=stdout, stderr=stderr
        )
        try:
            wait_for(lambda: "davserver ready" in out.read_text())
            name, password = credentials(out.read_text())
            url = re.findall(r"ready: (\S+)", out.read_text())[0]
            requests.put(url + "a", b"x" * 100_000, auth=(name, password), timeout=20)
            requests.get(url + "a", auth=(name, "wrong-" + password), timeout=20)
        finally:
            process.terminate()
            assert process.wait(20) == 0
    assert "PUT /dav/a 201" in err.read_text()
    for path in [err, *(p for p in (embedded.folder / "data").rglob("*") if p.is_file())]:
        assert password.encode() not in path.read_bytes(), path


def test_what_is_kept_is_for_the_owner_alone(tmp_path: Path) -> None:
    deployment = Deployment("embedded", {"DAVSERVER_HOST": "127.0.0.1", "DAVSERVER_PORT": "0"}, tmp_path)
    server = deployment.start()
    try:
        requests.put(server.url + "a", b"x" * 100_000, auth=credentials(server.log), timeout=20)
    finally:
        deployment.close()
    found = [tmp_path / "var", *(tmp_path / "var").rglob("*")]
    assert {"davserver.db", "keys.json", "secret", "blobs"} <= {path.name for path in found}
    open_to_others = [path for path in found if path.stat().st_mode & 0o077]
    assert not open_to_others


def test_a_user_added_or_shut_out_meanwhile_is_in_or_out_at_once(deployment: Deployment) -> None:
    server = deployment.start()
    user = deployment.add_user()

    def statuses() -> set[int]:
        return {requests.request("PROPFIND", server.url, auth=user.auth, timeout=20).status_code for _ in range(8)}

    assert statuses() == {207}
    deployment.run("user", "disable", user.name)
    assert statuses() == {401}
    deployment.run("user", "enable", user.name)
    assert statuses() == {207}
    deployment.run("user", "passwd", user.name, "--password-stdin", stdin="battery staple\n")
    assert statuses() == {401}
    user.password = "battery staple"
    assert statuses() == {207}


def test_a_port_that_is_taken_is_said_in_one_line(embedded: Deployment) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        embedded.settings["DAVSERVER_PORT"] = port
        done = embedded.run("serve", check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"davserver: Cannot listen on 127\.0\.0\.1 port {port}: .+\n", done.stderr)
    assert "Password" not in done.stdout


def test_a_key_ring_that_lacks_a_key_is_refused_by_its_id(embedded: Deployment) -> None:
    server = embedded.start()
    requests.put(server.url + "a", b"x", auth=credentials(server.log), timeout=20)
    server.stop()
    keys = embedded.folder / "data" / "keys.json"
    key_id = re.findall(r'"current": "(\w+)"', keys.read_text())[0]
    kept = keys.read_bytes()
    keys.unlink()
    done = embedded.run("serve", check=False)
    assert done.returncode == 2
    assert key_id in done.stderr
    assert done.stderr.count("\n") == 1
    keys.write_bytes(kept)
    assert embedded.start().stop() == 0


def test_a_store_that_is_away_is_said_in_one_line(embedded: Deployment) -> None:
    port = free_port()
    embedded.settings |= {
        "MINIO_ENDPOINT": f"127.0.0.1:{port}", "MINIO_ACCESS_KEY": "access", "MINIO_SECRET_KEY": "hush", "MINIO_SECURE": "0",
    }  # fmt: skip
    done = embedded.run("serve", check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"davserver: .*bucket davserver at 127\.0\.0\.1:{port} .+\n", done.stderr)
    assert "hush" not in done.stderr


def test_with_a_certificate_it_serves_https(embedded: Deployment) -> None:
    cert, key = make_certificate(embedded.folder)
    server = embedded.start(DAVSERVER_TLS_CERT=str(cert), DAVSERVER_TLS_KEY=str(key))
    assert server.url.startswith("https://127.0.0.1:")
    assert requests.get(server.url, auth=credentials(server.log), verify=str(cert), timeout=20).status_code == 200


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drive")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return folder / "cert.pem", folder / "key.pem"


def test_passwords_that_would_cross_the_network_in_clear_are_warned_of(embedded: Deployment) -> None:
    embedded.settings["DAVSERVER_HOST"] = "0.0.0.0"
    server = embedded.start()
    assert "WARNING Passwords cross the network in clear" in server.log
    assert server.url.startswith("http://127.0.0.1:")


def test_a_deployment_that_other_machines_may_join_is_warned_without_keys_of_its_own(deployment: Deployment) -> None:
    server = deployment.start()
    assert "DAVSERVER_MASTER_KEYS" not in server.log
    server.stop()  # while it runs, no other may seal with a key that it does not know
    deployment.settings.pop("DAVSERVER_MASTER_KEYS", None)
    assert ("set DAVSERVER_MASTER_KEYS on all of them" in deployment.start().log) == (deployment.kind == "company")


def test_a_password_is_asked_for_twice_on_a_terminal(embedded: Deployment) -> None:
    with terminal(embedded, "user", "add", "ada") as (process, typed, shown):
        for prompt in ("New password: ", "The same again: "):
            wait_for(partial(is_shown, shown, prompt))
            os.write(typed, b"correct horse\n")
        assert process.wait(20) == 0
    assert "correct horse" not in shown()
    server = embedded.start()
    assert requests.request("PROPFIND", server.url, auth=("ada", "correct horse"), timeout=20).status_code == 207


def is_shown(shown: Callable[[], str], text: str) -> bool:
    return text in shown()


@contextmanager
def terminal(deployment: Deployment, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int, Callable[[], str]]]:
    ours, theirs = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(ours, 4096):
                seen.append(data)
        except OSError:  # the other end closed
            return

    process = subprocess.Popen(
        [*COMMAND, *words], cwd=deployment.folder, env=environment(deployment.settings), start_new_session=True,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process, ours, lambda: b"".join(seen).decode()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join()
        os.close(ours)


def test_the_stock_command_serves_the_same_tree(deployment: Deployment) -> None:
    server = deployment.start()
    user = deployment.add_user()
    requests.put(server.url + "gr\u00fc\u00df.txt", b"x" * 300_000, auth=user.auth, timeout=20)
    port = free_port()
    stock = subprocess.Popen(
        [Path(sys.executable).with_name("wsgidav"), "--config", ROOT / "wsgidav.yaml", "--port", str(port), "-qqq"],
        cwd=deployment.folder, env=environment(deployment.settings),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/dav/"
    try:
        wait_for(lambda: answers(port) or stock.poll() is not None)
        assert requests.get(url + "gr\u00fc\u00df.txt", auth=user.auth, timeout=20).content == b"x" * 300_000
        assert requests.get(url, timeout=20).status_code == 401
        assert requests.put(url + "from stock", b"y", auth=user.auth, timeout=20).status_code == 201
        assert requests.get(server.url + "from stock", auth=user.auth, timeout=20).content == b"y"
    finally:
        stock.terminate()
        stock.wait(20)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@pytest.mark.parametrize("words", [["--help"], ["user", "--help"]])
def test_the_installed_command_is_there(words: list[str]) -> None:
    done = subprocess.run([Path(sys.executable).with_name("davserver"), *words], capture_output=True, check=False)
    assert done.returncode == 0
