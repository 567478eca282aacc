"""A hundred secrets, sent in every place where a request can carry one: none of them is in the log or in an answer."""

import base64
import secrets
import socket
from collections.abc import Iterator

from tests.support.davserver import Deployment

WAIT_SECONDS = 30.0
METHODS = ("GET", "PUT", "PROPFIND", "LOCK", "POST")


def exchange(address: tuple[str, int], sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    with socket.create_connection(address, timeout=WAIT_SECONDS) as connection:
        connection.sendall(sent)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def places(name: str, fresh: Iterator[str]) -> Iterator[tuple[str, str, bytes]]:
    """Request target, header field and body that carry a secret each, right and malformed."""
    yield "/dav/", f"Authorization: {basic(name, next(fresh))}", b""
    yield "/dav/", f"Authorization: {basic(next(fresh), next(fresh))}", b""
    yield "/dav/", f"Authorization: Basic {next(fresh)}", b""
    yield "/dav/", f"Authorization: Bearer {next(fresh)}", b""
    yield "/dav/", f"Authorization: Digest username={name}, response={next(fresh)}", b""
    yield "/dav/", f"Authorization: {next(fresh)}", b""
    yield "/dav/", f"Proxy-Authorization: Basic {next(fresh)}", b""
    yield "/dav/", f"Cookie: session={next(fresh)}", b""
    yield f"/dav/?token={next(fresh)}", "X: y", b""
    yield f"/dav/a?access_token={next(fresh)}&x=%zz", "X: y", b""
    yield f"/?token={next(fresh)}", "X: y", b""
    yield f"/api/v1/me?token={next(fresh)}", "X: y", b""
    yield "/api/v1/me", f"Authorization: Bearer {next(fresh)}", b""
    yield f"http://{name}:{next(fresh)}@host/dav/", "X: y", b""
    yield "/dav/", f"Lock-Token: <urn:uuid:{next(fresh)}>", b""
    yield "/dav/", f"If: (<urn:uuid:{next(fresh)}>", b""
    yield "/dav/", f"Destination: http://{name}:{next(fresh)}@host/dav/x", b""
    yield "/dav/", "Content-Type: application/json", f'{{"password": "{next(fresh)}"'.encode()
    yield (
        "/api/v1/auth/login",
        "Content-Type: application/json",
        f'{{"name": "a", "password": "{next(fresh)}"}}'.encode(),
    )
    yield "/dav/", "Content-Type: text/xml", f"<password>{next(fresh)}</passwort>".encode()


def test_a_secret_sent_anywhere_is_in_no_log_and_in_no_answer(deployment: Deployment) -> None:
    user = deployment.add_user()
    logs, answers, sent = "", b"", []

    def fresh() -> Iterator[str]:
        while True:
            sent.append("hush" + secrets.token_hex(12))
            yield sent[-1]

    for form, level in (("json", "debug"), ("readable", "info")):
        server = deployment.start(DAVSERVER_LOG_FORMAT=form, DAVSERVER_LOG_LEVEL=level)
        for method in METHODS:
            for target, field, body in places(user.name, fresh()):
                head = f"{method} {target} HTTP/1.1\r\nHost: h\r\n{field}\r\nContent-Length: {len(body)}\r\n"
                answers += exchange(server.address, f"{head}Connection: close\r\n\r\n".encode() + body)
        right = f"GET /dav/ HTTP/1.1\r\nHost: h\r\nAuthorization: {basic(*user.auth)}\r\nConnection: close\r\n\r\n"
        answers += exchange(server.address, right.encode())
        server.stop()
        logs += server.log
    assert len(sent) >= 100
    assert logs.count("PROPFIND") >= 2, "the log is what was looked for in"
    everything = logs + answers.decode("latin-1")
    for secret in [*sent, user.password, *(base64.b64encode(one.encode()).decode().rstrip("=") for one in sent)]:
        assert secret not in logs, secret
        assert secret not in everything, secret
