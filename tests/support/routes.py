"""Every route of the API as requests, made from the OpenAPI document: a new route is walked without being named here.

What a parameter or a member of a body can stand for is in `others` (values that are somebody else's, each with one that does
not exist) and in `PLAIN` (what is nobody's). One that is in neither, and whose kind does not tell what to send, fails with a
message that says so.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support.isolation import NOT, OUT, Ada

Pair = tuple[Any, Any]
"""What exists and is somebody else's, and what does not exist."""
NOWHERE = 2**40 + 7
"""An id that nothing has."""


@dataclass(frozen=True)
class Route:
    """One operation of the document."""

    method: str
    path: str
    """Such as ``/api/v1/links/{link_id}``."""
    name: str
    """Its operationId."""
    operation: dict[str, Any]
    components: dict[str, Any]

    @property
    def is_public(self) -> bool:
        """Whether anybody may call it."""
        return not self.operation.get("security")


@dataclass(frozen=True)
class Request:
    """A request of a route, without credentials."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def routes_of(document: dict[str, Any]) -> list[Route]:
    """All routes that an OpenAPI document names."""
    return [
        Route(method.upper(), path, operation["operationId"], operation, document["components"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def others(ada: Ada) -> dict[str, list[Pair]]:
    """What parameters and members of bodies can name of ada's, by their names."""
    file, folder, gone = f"/{OUT}-d/{OUT}-file.txt", f"/{OUT}-d", f"/.trash/{OUT}-gone.txt"
    paths = [(one, one.replace(OUT, NOT)) for one in (file, folder, f"/{OUT}-d/{OUT}-pic.png", gone)]
    return {
        "path": [*paths, ("/", "/")], "source": paths[:2], "destination": paths[:2], "to": paths[:2], "folder": paths[:2],
        "session_id": [(ada.session_id, secrets.token_hex(16))],
        "token_id": [(one, NOWHERE) for one in ada.token_ids],
        "link_id": [(one, NOWHERE) for one in ada.link_ids],
        "entry_id": [(one, NOWHERE) for one in (*ada.entry_ids, 5)],
        "user_id": [(ada.id, NOWHERE)],
        "owner_id": [(ada.id, NOWHERE)],
        "file_id": [(one, NOWHERE) for one in (3, 4, 5)],
        "job_id": [(1, NOWHERE)],
        "account": [(ada.user.name, ada.user.name.replace(OUT, NOT))],
        "user": [(ada.user.name, ada.user.name.replace(OUT, NOT))],
        "user_name": [(ada.user.name, ada.user.name.replace(OUT, NOT))],
        "owner": [(ada.user.name, ada.user.name.replace(OUT, NOT))],
        "device": [(f"{OUT}-x", f"{NOT}-x")],
        "refresh_token": [(_altered(ada.refresh), _altered(_altered(ada.refresh, 40), 50))],
        "search_files.name": [(OUT, NOT), (f"*{OUT}*", f"*{NOT}*")],
        "sign_in.name": [(ada.user.name, ada.user.name.replace(OUT, NOT))],
    }  # fmt: skip


PLAIN: dict[str, Any] = {
    "name": "walked", "query": "o", "q": "o", "password": "not the password", "old_password": "not the password",
    "new_password": "not the password", "code": "000000", "email": "walked@example.org", "token": "no.such.token",
    "invitation": None,
    "kind": "scan", "type": "text/plain", "time_zone": "Europe/Zurich", "address": "127.0.0.1", "networks": [], "prefix": "/",
    # A name that is taken is told to who registers: there is no way not to.
    "register_account.name": "w/alked",
}  # fmt: skip
"""What is sent for what can be nobody's, by name, or by ``operation.name`` where that means something else there."""


def requests_of(route: Route, ada: Ada, cursor: str | None) -> Iterator[tuple[Request, Request]]:
    """Requests of a route, in pairs: the first names what is ada's, the second what does not exist; else both are the same.

    Each once with what is required and what can name something of hers, and once with everything. `cursor`: one that ada
    got from this route.
    """
    fields = [*_parameters(route), *_members(route)]
    known = others(ada)
    for full in (False, True):
        found = {
            (place, name): _values(route, name, schema, ada, cursor)
            for place, name, schema, is_required in fields
            if full or is_required or name in known or f"{route.name}.{name}" in known
        }
        for number in range(max((len(values) for values in found.values()), default=1)):
            picked = {key: values[number % len(values)] for key, values in found.items()}
            yield (
                _request(route, {key: pair[0] for key, pair in picked.items()}),
                _request(route, {key: pair[1] for key, pair in picked.items()}),
            )


Field = tuple[str, str, dict[str, Any], bool]
"""Where it stands, its name, its schema, whether it must be there."""


def _parameters(route: Route) -> Iterator[Field]:
    for one in route.operation.get("parameters", ()):
        if one["in"] in {"path", "query"}:
            yield one["in"], one["name"], _resolved(route, one["schema"]), one.get("required", False)


def _members(route: Route) -> Iterator[Field]:
    content = route.operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None:
        whole = _resolved(route, content["schema"])
        for name, schema in whole.get("properties", {}).items():
            yield "body", name, _resolved(route, schema), name in whole.get("required", ())


def _resolved(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references, and of alternatives the first."""
    while True:
        if schema.get("type") == "array" and "$ref" in schema.get("items", {}):
            return {**schema, "items": _resolved(route, schema["items"])}
        if "$ref" in schema:
            schema = route.components["schemas"][schema["$ref"].rpartition("/")[2]]
        elif len(schema.get("allOf", ())) == 1:
            schema = schema["allOf"][0]
        elif "anyOf" in schema:
            schema = schema["anyOf"][0]
        else:
            return schema


def _values(route: Route, name: str, schema: dict[str, Any], ada: Ada, cursor: str | None) -> list[Pair]:
    known = others(ada)
    if name == "cursor":
        return [(None, None), (cursor, cursor)]
    for key in (f"{route.name}.{name}", name):
        if key in PLAIN:
            return [(PLAIN[key], PLAIN[key])]
        if key in known:
            return known[key]
    value = _of_kind(schema)
    assert value is not None, (
        f"{route.method} {route.path} takes {name!r}, which the walk does not know. If it can name what is somebody's (an id, a "
        "path, a name), add to `others` in tests/support/routes.py such values, each with one that does not exist; else add "
        "a value to `PLAIN`."
    )
    return [(value, value)]


def _of_kind(schema: dict[str, Any]) -> Any:
    """A value for what cannot name anything: a number, a time, a word out of a list."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "boolean":
        return True
    if schema.get("type") in {"integer", "number"}:
        return int(schema.get("default") or schema.get("minimum") or 1)
    if schema.get("format") == "date-time":
        return "2001-01-01T00:00:00Z"
    if schema.get("format") == "date":
        return "2001-01-01"
    if schema.get("type") == "array":
        item = _of_kind(schema.get("items", {}))
        return None if item is None else [item]
    return None


def _request(route: Route, values: dict[tuple[str, str], Any]) -> Request:
    target, query, body = route.path, [], {}
    for (place, name), value in values.items():
        if place == "path":
            target = target.replace("{" + name + "}", quote(str(value), safe=""))
        elif place == "query" and value is not None:
            several = value if isinstance(value, list) else [value]
            query += [f"{name}={quote(_text(one), safe='')}" for one in several]
        elif place == "body" and value is not None:
            body[name] = value
    if query:
        target += "?" + "&".join(query)
    content = route.operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return Request(route.method, target, {"Content-Type": "application/json"}, json.dumps(body).encode())
    if "multipart/form-data" in content:
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="walked"\r\n\r\nx\r\n--b--\r\n'
        return Request(route.method, target, {"Content-Type": "multipart/form-data; boundary=b"}, form)
    return Request(route.method, target, {}, b"walked" if content else b"")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _altered(token: str, at: int = 30) -> str:
    """The same token with one character changed."""
    other = "A" if token[at] != "A" else "B"
    return token[:at] + other + token[at + 1 :]
