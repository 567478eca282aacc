"""What holds for every route: errors, bodies, documentation."""

import json
import re
from typing import Any

import pytest

from tests.support.rest import Rest
from tests.support.source import document

PUBLIC = {
    "POST /api/v1/sessions", "POST /api/v1/sessions/refresh", "POST /api/v1/accounts", "PUT /api/v1/accounts/password",
    "POST /api/v1/accounts/password",
}  # fmt: skip
SIGN_IN = {"name": "nobody", "password": "password"}


def problem(rest: Rest, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
    response = rest.request(method, path, body, **headers)
    assert response.headers["content-type"] == "application/problem+json"
    told = json.loads(response.body)
    assert told["status"] == response.status
    assert told["request_id"] == response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    return response.status, told["code"]


def test_every_kind_of_error_is_a_problem_with_a_code(rest: Rest, ada: Rest) -> None:
    assert problem(rest, "GET", "/nothing") == (404, "not_found")
    assert problem(rest, "GET", "/api/v2/") == (404, "not_found")
    assert problem(rest, "PROPFIND", "/api/v1/me") == (405, "method_not_allowed")
    assert problem(ada, "PUT", "/me", {}) == (405, "method_not_allowed")
    assert problem(rest, "GET", "/me") == (401, "unauthenticated")
    assert problem(rest, "GET", "/me", Authorization="Bearer nonsense") == (401, "unauthenticated")
    assert problem(rest, "GET", "/me", Authorization="Basic YTpi") == (401, "unauthenticated")
    assert problem(rest, "POST", "/sessions", SIGN_IN) == (401, "unauthenticated")
    assert problem(rest, "POST", "/sessions", {"name": "x"}) == (422, "invalid_input")
    assert problem(rest, "POST", "/sessions", {**SIGN_IN, "more": 1}) == (422, "invalid_input")
    assert problem(rest, "POST", "/sessions", SIGN_IN, Content_Type="text/plain") == (415, "unsupported_media_type")
    assert problem(rest, "POST", "/sessions", b"x" * 70_000) == (413, "body_too_large")
    assert problem(ada, "DELETE", f"/tokens/{10**30}") == (422, "invalid_input")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 30_000, b"1" * 5000])
def test_what_is_no_json_is_told_so(rest: Rest, body: bytes) -> None:
    assert problem(rest, "POST", "/sessions", body) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b'{"name": "\\ud800", "password": "x"}', b"NaN"])
def test_json_of_another_shape_is_told_so(rest: Rest, body: bytes) -> None:
    assert problem(rest, "POST", "/sessions", body) == (422, "invalid_input")


def test_a_wrong_value_is_named_and_not_repeated(rest: Rest) -> None:
    response = rest.request("POST", "/sessions", {"name": "x", "password": {"hush": "hush"}})
    assert json.loads(response.body)["errors"][0]["field"] == "password"
    assert b"hush" not in response.body


def test_methods_that_are_allowed_are_told(rest: Rest) -> None:
    assert "GET" in rest.request("POST", "/me").headers["allow"]
    assert "DELETE" in rest.request("OPTIONS", "/sessions").headers["allow"]


def test_a_head_is_a_get_without_a_body(ada: Rest) -> None:
    got, head = ada.request("GET", "/me"), ada.request("HEAD", "/me")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))


def test_the_documentation_comes_from_here_alone(rest: Rest) -> None:
    page = rest.request("GET", "/api/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(linked) == 4
    for target in linked:
        assert target.startswith("/api/")
        assert rest.request("GET", target).status == 200
    assert not re.search(r"<script>|\son\w+=", page.text)


@pytest.mark.parametrize("typed", ["/api", "/api/", "/api/v1", "/api/v1/", "/api/docs/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whoever_types_an_address_nearby_comes_to_the_documentation(rest: Rest, typed: str, method: str) -> None:
    found = rest.request(method, typed)
    assert found.status == (308 if typed == "/api/docs/" else 302)
    assert found.headers["location"] == "/api/docs"


def test_a_route_that_there_is_not_tells_where_all_are_shown(rest: Rest, ada: Rest) -> None:
    assert rest.request("GET", "/api/openapi.json/").headers["location"] == "/api/openapi.json"
    for path in ("/files/", "/nonsense", "/api/docs.html"):
        assert "/api/docs shows" in rest.json("GET", path, status=404)["detail"]
    assert ada.json("GET", "/files?path=/none", status=404)["detail"] == "There is nothing here."


def operations(rest: Rest) -> dict[str, Any]:
    document = rest.json("GET", "/api/openapi.json")
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_every_route_is_in_the_document_and_on_the_page_about_rest(rest: Rest) -> None:
    written = set(re.findall(r"^\| `([A-Z]+ /[^`]*)`", document("docs/rest.md"), re.MULTILINE))
    assert written == set(operations(rest))


def test_every_route_but_those_for_anybody_asks_who_is_there(rest: Rest) -> None:
    for route, operation in operations(rest).items():
        assert operation["summary"], route
        method, path = route.split()
        if not operation.get("security"):
            assert route in PUBLIC
            continue
        target = re.sub(r"\{[^}]*\}", "1", path.replace("{session_id}", "0" * 32))
        assert rest.request(method, target, {}).status == 401, route


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/tokens", {"name": "t", "read_only": 0}),
        ("/tokens", {"name": "t", "read_only": "off"}),
        ("/tokens", {"name": "t", "expires_at": 4_000_000_000}),
        ("/links", {"path": "/", "max_uses": True}),
        ("/links", {"path": "/", "max_uses": "5"}),
        ("/links", {"path": "/", "expires_at": "4000000000"}),
    ],
)
def test_what_could_stand_for_a_value_is_not_taken_for_it(ada: Rest, path: str, wrong: dict[str, object]) -> None:
    assert problem(ada, "POST", path, wrong) == (422, "invalid_input")


def test_an_answer_without_content_has_no_type(ada: Rest) -> None:
    answer = ada.request("DELETE", "/sessions/current")
    assert (answer.status, "content-type" in answer.headers) == (204, False)


def test_a_session_is_ended_at_its_own_path_alone(ada: Rest) -> None:
    assert "DELETE" not in ada.request("OPTIONS", "/sessions/refresh").headers["allow"]
    assert problem(ada, "DELETE", "/sessions/refresh") == (405, "method_not_allowed")
    assert problem(ada, "DELETE", f"/sessions/{'0' * 32}") == (404, "not_found")
