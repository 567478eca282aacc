"""The helpers of the tests, where they could make a test pass that should fail."""

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.relay import Relay
from tests.support.suites import read_litmus, read_tck

LITMUS = """\
-> running `basic':
\r 0. init.................. \r 0. init.................. pass
\r 1. delete_fragment....... \r 1. delete_fragment....... WARNING: DELETE removed the collection
    ...................... pass (with 1 warning)
\r 2. put_get_utf8_segment.. \r 2. put_get_utf8_segment.. FAIL (PUT failed: 500)
\r 3. cond_put_corrupt_token \r 3. cond_put_corrupt_token pass
\r 4. finish................ \r 4. finish................ SKIPPED
-> 1 test was skipped.
<- summary for `basic': of 4 tests run: 3 passed, 1 failed. 75.0%
-> 1 warning was issued.
"""

TCK = """\
Testing WebDAV server: http://127.0.0.1:1/dav/

Running basic
  test_options: PASS
    Warning: no DAV header
  test_copy_shallow: FAIL
    Shallow COPY should not have copied member
  test_mkcol: SKIP

Running props
Setup failed: boom
  test_large_get: PASS
<spaces>
         Test Summary
│ Total  │    67 │       100% │
""".replace("<spaces>", " " * 31)


def test_litmus_results_other_than_pass_are_complaints() -> None:
    report = read_litmus(LITMUS)
    assert report.passed == 2
    told = "\n".join(report.complaints)
    assert "delete_fragment....... WARNING: DELETE removed" in told
    assert "FAIL (PUT failed: 500)" in told
    assert "SKIPPED" in told
    assert "1 warning was issued" in told


def test_dav_tck_results_other_than_pass_are_complaints() -> None:
    report = read_tck(TCK)
    assert report.passed == 2
    assert report.complaints == (
        "Warning: no DAV header",
        "test_copy_shallow: FAIL",
        "Shallow COPY should not have copied member",
        "test_mkcol: SKIP",
        "Setup failed: boom",
    )


def test_a_missing_tool_skips_at_home_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        tools.need("no-such-tool")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        tools.need("no-such-tool")


def test_a_missing_debian_tool_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(tools, "SYSTEM_PATHS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    for package, command in tools.debian_packages():
        if command.startswith("/"):
            continue  # a file, which lies where it lies whatever PATH says
        with pytest.raises(pytest.skip.Exception, match=f"apt-get install {package}"):
            tools.need(command)


def answering(name: str) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            answer = f"{name}:".encode() + body
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    return Handler


def test_the_relay_gives_one_connection_s_requests_to_the_servers_in_turn() -> None:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), answering(name)) for name in ("a", "b")]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    requests = [
        b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\none",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n4\r\nmore\r\n0\r\n\r\n",
        b"PUT / HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nfour",
    ]
    with Relay(("127.0.0.1", server.server_port) for server in servers) as relay:
        host, port = relay.address.split(":")
        with closing(socket.create_connection((host, int(port)), timeout=10)) as client:
            answers = [exchange(client, request) for request in requests]
        assert list(relay.served.values()) == [2, 2]
    for server in servers:
        server.shutdown()
        server.server_close()
    assert answers == [b"a:one", b"b:twomore", b"a:", b"b:four"]


def exchange(client: socket.socket, request: bytes) -> bytes:
    client.sendall(request)
    answer = b""
    while True:
        answer += client.recv(65536)
        answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        if b"Content-Length: " in head and len(body) >= int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]):
            return body
