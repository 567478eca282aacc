"""Errors as answers: the one place of this door that does it.

What is unexpected is a 500 that names an id and nothing else; the log has the trace under that id.
"""

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from wsgidav.mw.base_mw import BaseMiddleware

from davserver.domain.errors import DavserverError, MethodNotAllowed, Unauthenticated
from davserver.domain.logged import request_fields
from providers.answer import NO_SNIFFING, Answer, Headers, StartResponse, text
from providers.methods.options import ALLOW
from providers.provider import services_of
from providers.request import Environ, raw_path
from providers.xml import CONTENT_TYPE, error_body

log = logging.getLogger(__name__)

_NOT_STORED: Final = ("Cache-Control", "no-store")


def answer_error(error: DavserverError, *, method: str = "", base: str = "", realm: str = "davserver") -> Answer:
    """The answer to an error that has a meaning; none of them is to be reused from a cache (rule R51).

    With a DAV condition it is XML, else a line for people: some clients take any XML for a listing (rule R23). `base` is the
    path of the share, which the error's `hrefs` lie below.
    """
    headers: Headers = [_NOT_STORED]
    if isinstance(error, Unauthenticated):
        # One realm for all: clients remember a password by it (rule R5).
        headers.append(("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"'))
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", ", ".join(one for one in ALLOW.split(", ") if one != method)))
    if error.retry_after is not None:
        headers.append(("Retry-After", str(error.retry_after)))
    if error.condition is None:
        return text(error.status, f"{error.detail} ({error.code})", headers)
    body = error_body(error.condition, [base + href for href in error.hrefs])
    return Answer(error.status, [("Content-Type", CONTENT_TYPE), NO_SNIFFING, *headers], body.encode())


def answer_unexpected(error_id: str) -> Answer:
    """The answer to everything else."""
    message = f"The server failed. Its log says more, under the id {error_id}."
    return text(HTTPStatus.INTERNAL_SERVER_ERROR, message, [_NOT_STORED])


class ErrorRenderer(BaseMiddleware):
    """Answers what the applications below it raise, and logs what they should not have raised."""

    def __init__(
        self,
        wsgidav_app: Any,
        next_app: Any,
        config: Any,
        new_id: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        super().__init__(wsgidav_app, next_app, config)  # type: ignore[no-untyped-call]
        self._new_id = new_id

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        try:
            body: Iterable[bytes] = self.next_app(environ, start_response)
        except DavserverError as error:
            answer = answer_error(
                error,
                method=environ["REQUEST_METHOD"],
                base=getattr(environ.get("wsgidav.provider"), "base", ""),
                realm=services_of(self.wsgidav_app).config.realm,
            )
        except Exception:  # noqa: BLE001 - logged with its trace
            error_id = self._log(environ, "could not be answered")
            answer = answer_unexpected(error_id)
        else:
            return body if isinstance(body, list) else self._watched(environ, body)
        return answer.send(start_response, is_head=environ["REQUEST_METHOD"] == "HEAD")

    def _watched(self, environ: Environ, body: Iterable[bytes]) -> Iterator[bytes]:
        """The body, with a line in the log when it breaks off: by then the status is sent, and the server can only hang up."""
        try:
            yield from body
        except Exception:
            self._log(environ, "broke off")
            raise
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _log(self, environ: Environ, what: str) -> str:
        path, error_id = raw_path(environ), environ.get("davserver.request_id") or self._new_id()
        fields = request_fields(environ, path)
        log.exception("%s %s %s (%s)", environ["REQUEST_METHOD"], path, what, error_id, extra={"request": fields})
        return error_id
