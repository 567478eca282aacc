"""Errors as answers, the one place of this door that does it: problem details (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from davserver.domain import errors
from davserver.domain.errors import DavserverError, InvalidInput, MethodNotAllowed, Unauthenticated
from davserver.domain.logged import request_fields
from davserver.rest.door import BASE
from davserver.rest.models import FieldProblem, Problem

log = logging.getLogger(__name__)

REQUEST_ID: Final = "davserver.request_id"
"""The key in the WSGI environment under which `davserver.wsgi` puts the request's id."""
CONTENT_TYPE: Final = "application/problem+json"
MAX_FIELDS: Final = 20

_NO_ROUTE: Final = f"The API has nothing here: {BASE}/docs shows what it has."
_OF_WERKZEUG: Final[dict[int, type[DavserverError]]] = {
    400: errors.BadRequest,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.BodyTooLarge,
    415: errors.UnsupportedMediaType,
    416: errors.RangeNotSatisfiable,
}


def register(app: Flask) -> None:
    """Answer errors of every kind."""
    app.register_error_handler(DavserverError, answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(Exception, _answer_unexpected)


def answer(error: DavserverError) -> Response:
    """The answer to an error that has a meaning."""
    response = _render(error.status, error.code, error.detail, _fields(error))
    if isinstance(error, Unauthenticated):
        # Not Basic: a browser would ask for a password in a window of its own.
        response.headers["WWW-Authenticate"] = 'Bearer realm="davserver"'
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def refuse_input(error: ValidationError) -> Response:
    """The answer to input that does not fit its model; flask-openapi3 calls it."""
    return answer(invalid(error, request.endpoint or ""))


def invalid(error: ValidationError, _: str = "") -> InvalidInput:
    """What pydantic found, as an error of ours. What the client sent is not repeated: it may be a password."""
    found = [
        (".".join(str(part) for part in one["loc"]) or "body", str(one["msg"]))
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InvalidInput(fields=tuple(found[:MAX_FIELDS]))


def _fields(error: DavserverError) -> list[FieldProblem] | None:
    if not isinstance(error, InvalidInput) or not error.fields:
        return None
    return [FieldProblem(field=field, detail=detail) for field, detail in error.fields]


def _answer_http(error: HTTPException) -> Response:
    """What Flask and Werkzeug raise: no such route, another method, a body that broke off, a redirect."""
    if error.code is None or error.code < 400:
        found = error.get_response()
        assert isinstance(found, Response)  # noqa: S101 - Flask's own class
        return found
    known = _OF_WERKZEUG.get(error.code)
    if known is None:
        return _render(error.code, "bad_request" if error.code < 500 else "error", error.description or "")
    response = answer(known(_NO_ROUTE) if known is errors.NotFound else known())
    if known is MethodNotAllowed:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return response


def _answer_unexpected(error: Exception) -> Response:
    request_id = request.environ.get(REQUEST_ID, "-")
    fields = request_fields(request.environ, request.path)
    said = (request.method, ascii(request.path), request_id)
    log.error("%s %s failed (%s)", *said, exc_info=error, extra={"request": fields})
    return _render(500, "error", f"The server failed. Its log says more, under the id {request_id}.")


def _render(status: int, code: str, detail: str, fields: list[FieldProblem] | None = None) -> Response:
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request.environ.get(REQUEST_ID),
        errors=fields,
    )
    response = Response(problem.model_dump_json(exclude_none=True), status, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response
