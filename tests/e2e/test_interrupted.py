"""Uploads that end early and content that was tampered with, at a real server: nothing is lost and nothing wrong is served."""

import base64
import socket
import time
from pathlib import Path

import pytest
import requests

from tests.support.davserver import Deployment, ServerProcess, User, children

pytestmark = pytest.mark.server

MIB = 1 << 20


def begin(server: ServerProcess, user: User, method: str, name: str, *fields: str) -> socket.socket:
    """A connection on which a request has begun."""
    basic = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
    head = [f"{method} /dav/{name} HTTP/1.1", "Host: x", f"Authorization: Basic {basic}", *fields]
    connection = socket.create_connection(server.address, timeout=30)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def answer(connection: socket.socket) -> bytes:
    """Everything that the server still sends."""
    received = b""
    try:
        while block := connection.recv(65_536):
            received += block
    except (TimeoutError, ConnectionError):
        pass
    connection.close()
    return received


@pytest.mark.parametrize("size", [5_000, 3 * MIB], ids=["small", "large"])
def test_a_body_that_is_cut_off_changes_nothing(deployment: Deployment, size: int) -> None:
    server = deployment.start()
    user = deployment.add_user()
    first = requests.put(server.url + "a.bin", b"good", auth=user.auth, timeout=20)
    short = begin(server, user, "PUT", "a.bin", f"Content-Length: {size}")
    short.sendall(b"x" * (size - 1))
    short.shutdown(socket.SHUT_WR)
    assert not answer(short).startswith(b"HTTP/1.1 2")
    broken = begin(server, user, "PUT", "a.bin", "Transfer-Encoding: chunked")
    broken.sendall(b"%x\r\n" % size + b"x" * size + b"\r\n" + b"10\r\nabc")
    broken.shutdown(socket.SHUT_WR)
    assert not answer(broken).startswith(b"HTTP/1.1 2")
    finder = begin(server, user, "PUT", "a.bin", "Transfer-Encoding: chunked", f"X-Expected-Entity-Length: {size}")
    finder.sendall(b"%x\r\n" % (size - 1) + b"x" * (size - 1) + b"\r\n0\r\n\r\n")
    finder.shutdown(socket.SHUT_WR)
    assert not answer(finder).startswith(b"HTTP/1.1 2")
    after = requests.get(server.url + "a.bin", auth=user.auth, timeout=20)
    assert after.content == b"good"
    assert after.headers["ETag"] == first.headers["ETag"]


def test_a_server_that_is_stopped_commits_no_upload_that_is_under_way(deployment: Deployment) -> None:
    deployment.settings["DAVSERVER_DRAIN_TIMEOUT"] = "1s"
    server = deployment.start()
    user = deployment.add_user()
    requests.put(server.url + "a.bin", b"good", auth=user.auth, timeout=20)
    under_way = begin(server, user, "PUT", "a.bin", f"Content-Length: {8 * MIB}")
    under_way.sendall(b"x" * (4 * MIB))
    time.sleep(0.5)
    server.stop()
    assert not answer(under_way).startswith(b"HTTP/1.1 2")
    again = deployment.start()
    assert requests.get(again.url + "a.bin", auth=user.auth, timeout=20).content == b"good"


def test_altered_content_breaks_the_connection_and_is_never_served(embedded: Deployment) -> None:
    server = embedded.start()
    user = embedded.add_user()
    body = bytes(range(256)) * 8_192
    requests.put(server.url + "a.bin", body, auth=user.auth, timeout=20)
    blob = max((Path(embedded.settings["DAVSERVER_DATA_DIR"]) / "blobs").rglob("*"), key=lambda p: p.stat().st_size)
    sealed = bytearray(blob.read_bytes())
    sealed[1_500_000] ^= 1
    blob.write_bytes(sealed)
    began = time.monotonic()
    head, _, received = answer(begin(server, user, "GET", "a.bin")).partition(b"\r\n\r\n")
    assert time.monotonic() - began < 10
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.startswith(received)
    assert len(received) < 1_500_000
    wait_for(server, "is damaged")
    # The part before the damage is good, and can still be read.
    start = requests.get(server.url + "a.bin", auth=user.auth, headers={"Range": "bytes=0-9"}, timeout=20)
    assert start.content == body[:10]
    blob.unlink()
    assert requests.get(server.url + "a.bin", auth=user.auth, timeout=20).status_code == 502
    server.stop(expect_clean=False)


def wait_for(server: ServerProcess, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in server.log:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)


def resident_mib(server: ServerProcess) -> float:
    """Resident memory of the server's processes, in MiB; what they share is counted once for each."""
    total = 0
    for pid in [server.pid, *children(server.pid)]:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        total += int(status.split("VmHWM:")[1].split()[0])
    return total / 1024


def test_memory_does_not_grow_with_the_size_of_a_file(deployment: Deployment) -> None:
    """The high-water marks of all processes together, before and after a file of 512 MiB up and down."""
    server = deployment.start()
    user = deployment.add_user()
    block = bytes(MIB)
    for _ in range(8):
        requests.put(server.url + "warm.bin", block, auth=user.auth, timeout=60)
        requests.get(server.url + "warm.bin", auth=user.auth, timeout=60)
    before = resident_mib(server)
    count = 512
    put = begin(server, user, "PUT", "large.bin", f"Content-Length: {count * MIB}", "Connection: close")
    put.settimeout(120)
    for _ in range(count):
        put.sendall(block)
    assert answer(put).startswith(b"HTTP/1.1 201")
    received = 0
    with requests.get(server.url + "large.bin", auth=user.auth, stream=True, timeout=120) as response:
        for piece in response.iter_content(MIB):
            received += len(piece)
    assert received == count * MIB
    assert resident_mib(server) - before < 64
