"""What a file of routes is made with: `Noun` registers each with its models, and with who may call it."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, TypeVar

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from davserver.domain.errors import (
    BadRequest,
    BodyTooLarge,
    DavserverError,
    Forbidden,
    InvalidInput,
    Unauthenticated,
    UnsupportedMediaType,
)
from davserver.rest.door import BASE
from davserver.rest.models import Answer, Problem

PREFIX: Final = f"{BASE}/v1"
JSON_LIMIT: Final = 64 * 1024
"""Bytes of a JSON body, where a route does not say otherwise."""
SECURITY: Final = "bearer"
"""The name of the scheme in the OpenAPI document."""

View = TypeVar("View", bound=Callable[..., Any])
Gives = type[Answer] | Mapping[str, Any] | None


class Access(Enum):
    """Who may call a route."""

    PUBLIC = "public"
    """Anybody. `principal()` is not to be had there."""
    FILES = "files"
    """Who is signed in, and who has a device token: for routes on files, whose services keep to what the token is limited to."""
    USER = "user"
    """Who is signed in; no device token. What a route says nothing about."""
    ADMIN = "admin"
    """An administrator who is signed in."""


class Noun(APIBlueprint):
    """Routes that belong together. Write each as a function with typed arguments:

    ``path: P``, ``query: Q`` and ``body: B`` are models that the request is read into and checked by; what it returns is the
    model that `gives` names. A first line of its docstring is what the documentation says.
    """

    def __init__(self, name: str, text: str) -> None:
        """`name`: plural, lower case, the tag in the documentation. `text`: a sentence on it."""
        super().__init__(name, __name__, url_prefix=PREFIX, abp_tags=[Tag(name=name, description=text)])
        self.access: dict[str, Access] = {}
        """Endpoint -> who may call it."""
        self.views: list[Callable[..., Any]] = []
        """The functions, as they were written."""
        self.body_limits: dict[str, int] = {}
        """Endpoint -> bytes of its JSON body, for those that read one."""

    def on(
        self,
        method: str,
        rule: str,
        *,
        gives: Gives = None,
        status: int = 200,
        access: Access = Access.USER,
        errors: tuple[type[DavserverError], ...] = (),
        body_limit: int = JSON_LIMIT,
        also: Mapping[int, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Callable[[View], View]:
        """Register a route: `rule` as Flask writes it (``/files/<int:id>``), below ``/api/v1``.

        `gives`: the model of the answer; None for 204 No Content; or an OpenAPI response object, for what is no JSON.
        The function may return a `flask.Response` instead, or the model and a mapping of header fields. `errors`: what the
        services may raise; what every route can answer is added. `also`: answers of other statuses, as models or OpenAPI
        response objects. `extra`: further members of the OpenAPI operation.
        """
        code = 204 if gives is None else status
        answers = {code: gives, **(also or {})}
        told = {str(one): dict(what) if isinstance(what, Mapping) else what for one, what in answers.items()}
        told |= _problems(access, errors)
        public = access is Access.PUBLIC

        def register(view: View) -> View:
            @wraps(view)
            def answered(**arguments: Any) -> Response:
                return _render(view(**arguments), code)

            name = f"{self.name}.{view.__name__}"
            self.access[name] = access
            self.views.append(view)
            self.body_limits[name] = body_limit if "body" in view.__annotations__ else 0
            add: Any = getattr(super(Noun, self), method.lower())
            add(
                rule,
                responses=told,
                operation_id=view.__name__,
                security=None if public else [{SECURITY: []}],
                openapi_extensions=dict(extra or {}),
            )(answered)
            return view

        return register


def _problems(access: Access, errors: tuple[type[DavserverError], ...]) -> dict[str, Any]:
    known: list[type[DavserverError]] = [*errors, BadRequest, InvalidInput, BodyTooLarge, UnsupportedMediaType]
    if access is not Access.PUBLIC:
        known += [Unauthenticated, Forbidden]
    by_status: dict[int, list[type[DavserverError]]] = {}
    for error in known:
        by_status.setdefault(error.status, []).append(error)
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    found = {
        str(status): {
            "description": " ".join(f"`{error.code}`: {error.summary}" for error in dict.fromkeys(same)),
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status, same in sorted(by_status.items())
    }
    # The server below answers these, before anything of a request is looked at.
    too_long = {"description": "The address is too long.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return found | {str(HTTPStatus.REQUEST_URI_TOO_LONG.value): too_long}


def _render(value: Any, status: int) -> Response:
    headers: Mapping[str, str] = {}
    if isinstance(value, tuple):
        value, headers = value
    if isinstance(value, Response):
        return value
    if value is None:
        response = Response(status=204)
        del response.headers["Content-Type"]  # of what is not there
    else:
        response = Response(value.model_dump_json(by_alias=True), status, mimetype="application/json")
    response.headers.update(headers)
    return response
