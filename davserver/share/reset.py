"""The page at ``/reset`` that a reset link leads to: a form for the new password. Looking at it uses nothing up."""

from collections.abc import Iterable
from html import escape
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from davserver.bootstrap import Services
from davserver.domain.errors import BadRequest, DavserverError, MethodNotAllowed, Unauthenticated
from davserver.domain.principal import Door, Origin
from davserver.domain.serving import Headers
from davserver.share import pages
from davserver.share.app import StartResponse
from davserver.share.request import Environ, form_fields

BASE: Final = "/reset"
_LEAST: Final = 8
_MOST: Final = 1024


class ResetApp:
    """Sets a new password by the token in the address. The same checks and limits as over REST."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        headers: Headers = [*pages.HEADERS]
        try:
            status, body = self._answer(environ)
        except DavserverError as error:
            status, body = HTTPStatus(error.status), pages.error_page(error.detail)
            if error.retry_after is not None:
                headers.append(("Retry-After", str(error.retry_after)))
            if isinstance(error, MethodNotAllowed):
                headers.append(("Allow", "GET, HEAD, POST"))
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: Environ) -> tuple[HTTPStatus, bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            return self._set(environ)
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed
        query = parse_qs(environ.get("QUERY_STRING", ""), max_num_fields=10)
        return HTTPStatus.OK, _form((query.get("token") or [""])[0])

    def _set(self, environ: Environ) -> tuple[HTTPStatus, bytes]:
        fields: dict[str, Any] = form_fields(environ)
        token, password = fields.get("token", ""), fields.get("password", "")
        if password != fields.get("again", ""):
            return HTTPStatus.BAD_REQUEST, _form(token, "The two are not the same.")
        if not _LEAST <= len(password) <= _MOST:
            return HTTPStatus.BAD_REQUEST, _form(token, f"A password has {_LEAST} to {_MOST} characters.")
        origin = Origin(Door.LINK, environ.get("REMOTE_ADDR") or None)
        self._services.throttle.reset(origin.address)
        try:
            self._services.resets.reset(token, password, origin)
        except Unauthenticated as error:
            # No 401: a browser would ask for a password in a window of its own.
            return HTTPStatus.FORBIDDEN, pages.error_page(error.detail)
        except BadRequest as error:
            return HTTPStatus.BAD_REQUEST, _form(token, error.detail)
        return HTTPStatus.OK, pages.page("Your password is changed", _DONE)


_DONE: Final = "<p>Sign in with it from now on. All sessions have ended; device tokens stay.</p>"


def _form(token: str, wrong: str = "") -> bytes:
    told = f"<p>{escape(wrong)}</p>" if wrong else ""
    field = (
        '<p><label>{}<input type="password" name="{}" required minlength="8" autocomplete="new-password"></label></p>'
    )
    return pages.page(
        "Set a new password",
        f'{told}<form method="post" action="{BASE}"><input type="hidden" name="token" value="{escape(token)}">'
        f"{field.format('New password', 'password')}{field.format('The same again', 'again')}<button>Set it</button></form>",
    )
