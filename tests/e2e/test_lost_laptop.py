"""A lost laptop: its token is revoked while it uploads. On a running server of two processes, embedded and in a company."""

import http.client
import json
import socket
from base64 import b64encode
from contextlib import closing
from typing import Any

from tests.support.davserver import Deployment, ServerProcess, User

DEADLINE = 60.0


def ask(
    server: ServerProcess, method: str, path: str, body: Any = None, token: str = "", **headers: str
) -> tuple[int, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    with closing(http.client.HTTPConnection(*server.address, timeout=DEADLINE)) as connection:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        connection.request(method, path, data, sent)
        response = connection.getresponse()
        read = response.read()
    is_json = path.startswith("/api") and "json" in (response.getheader("Content-Type") or "")
    return response.status, json.loads(read) if is_json else read


def basic(user: User, password: str) -> str:
    return "Basic " + b64encode(f"{user.name}:{password}".encode()).decode()


def sign_in(server: ServerProcess, user: User) -> dict[str, str]:
    status, pair = ask(server, "POST", "/api/v1/sessions", {"name": user.name, "password": user.password})
    assert status == 201, pair
    found: dict[str, str] = pair
    return found


def test_the_token_of_a_lost_laptop_is_revoked_while_it_uploads(deployment: Deployment) -> None:
    server = deployment.start(DAVSERVER_REGISTRATION="open")
    user = User("grace", "a password")
    made = ask(server, "POST", "/api/v1/accounts", {"name": user.name, "password": user.password})
    assert made[0] == 201, made
    access = sign_in(server, user)["access_token"]
    token = ask(server, "POST", "/api/v1/tokens", {"name": "laptop"}, access)[1]
    laptop = {"Authorization": basic(user, token["token"])}
    assert ask(server, "PUT", "/dav/big", b"first", **laptop)[0] == 201

    half = b"x" * 2_000_000
    with closing(socket.create_connection(server.address, timeout=DEADLINE)) as client:
        head = f"PUT /dav/big HTTP/1.1\r\nHost: x\r\nAuthorization: {laptop['Authorization']}\r\nContent-Length: {2 * len(half)}"
        client.sendall(head.encode() + b"\r\n\r\n" + half)
        assert ask(server, "DELETE", f"/api/v1/tokens/{token['id']}", token=access)[0] == 204
        client.sendall(half)
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    own = {"Authorization": basic(user, user.password)}
    assert ask(server, "GET", "/dav/big", **own) == (200, b"first")
    for _ in range(6):  # whichever process answers
        assert ask(server, "GET", "/dav/big", **laptop)[0] == 401

    assert ask(server, "MKCOL", "/dav/photos", **own)[0] == 201
    printed = deployment.run("token", "add", user.name, "camera", "--prefix", "/photos", "--read-only").stdout
    camera = {"Authorization": basic(user, printed.split()[-1])}
    assert ask(server, "PUT", "/dav/photos/x", b"x", **camera)[0] == 403
    assert ask(server, "GET", "/dav/big", **camera)[0] == 403
    assert "camera" in deployment.run("token", "list", user.name).stdout
    deployment.run("token", "revoke", user.name, "camera")
    assert ask(server, "GET", "/dav/photos/", **camera)[0] == 401


def test_refresh_tokens_and_reset_tokens_count_once_on_every_process(deployment: Deployment) -> None:
    server = deployment.start()
    user = deployment.add_user()
    pair = sign_in(server, user)
    old = {"refresh_token": pair["refresh_token"]}
    status, following = ask(server, "POST", "/api/v1/sessions/refresh", old)
    assert status == 200
    assert ask(server, "GET", "/api/v1/me", token=following["access_token"])[1]["name"] == user.name
    assert ask(server, "POST", "/api/v1/sessions/refresh", old)[0] == 401
    for _ in range(6):
        assert ask(server, "GET", "/api/v1/me", token=following["access_token"])[0] == 401

    reset = {"token": deployment.run("user", "reset", user.name).stdout.split()[-1], "new_password": "quite another"}
    assert ask(server, "PUT", "/api/v1/accounts/password", reset)[0] == 204
    assert ask(server, "PUT", "/api/v1/accounts/password", reset)[0] == 401
    assert ask(server, "GET", "/dav/", Authorization=basic(user, user.password))[0] == 401
    assert ask(server, "GET", "/dav/", Authorization=basic(user, "quite another"))[0] == 200
    deployment.run("user", "nototp", user.name)
    assert deployment.run("user", "invite").stdout
