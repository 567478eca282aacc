"""Who asks: HTTP Basic authentication (RFC 7617)."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator

from wsgidav.mw.base_mw import BaseMiddleware

from davserver.domain.errors import Unauthenticated
from davserver.domain.principal import Door, Origin, Principal
from providers.answer import StartResponse
from providers.provider import services_of
from providers.request import PRINCIPAL, Environ


class Authenticator(BaseMiddleware):
    """Lets in who knows their password; puts the `Principal` into the environment for those that come after.

    OPTIONS may come without credentials (rule R3), but not with wrong ones: a client that checks a password by OPTIONS must
    hear that. Raises `Unauthenticated`.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application does."""
        header = environ.get("HTTP_AUTHORIZATION")
        scheme, _, token = (header or "").strip().partition(" ")
        credentials = tuple(read_credentials(header))
        if scheme.lower() == "bearer" and self._bear(environ, token.strip()):
            pass
        elif credentials:
            self._sign_in(environ, credentials)
        elif environ["REQUEST_METHOD"] != "OPTIONS":
            raise Unauthenticated
        answer: Iterable[bytes] = self.next_app(environ, start_response)
        return answer

    def _sign_in(self, environ: Environ, credentials: Iterable[tuple[str, str]]) -> None:
        origin = Origin(Door.WEBDAV, environ.get("REMOTE_ADDR") or None)
        self._note(environ, self._first_known(credentials, origin))

    def _bear(self, environ: Environ, token: str) -> bool:
        """A device token as Bearer (RFC 6750): who it is of, it says itself. Another kind of token is none (rule R7)."""
        origin = Origin(Door.WEBDAV, environ.get("REMOTE_ADDR") or None)
        found = services_of(self.wsgidav_app).devices.authenticate(token, origin)
        if found is not None:
            self._note(environ, found)
        return found is not None

    def _note(self, environ: Environ, principal: Principal) -> None:
        environ[PRINCIPAL] = principal
        environ["wsgidav.auth.user_name"] = principal.name
        environ["wsgidav.auth.realm"] = services_of(self.wsgidav_app).config.realm
        environ["wsgidav.auth.roles"] = ()
        environ["wsgidav.auth.permissions"] = ()

    def _first_known(self, credentials: Iterable[tuple[str, str]], origin: Origin) -> Principal:
        refusal = Unauthenticated()
        services = services_of(self.wsgidav_app)
        for name, password in credentials:
            try:
                device = services.devices.authenticate(password, origin, name)
                return device or services.accounts.authenticate(name, password, origin)
            except Unauthenticated as error:
                refusal = error
        raise refusal


def read_credentials(header: str | None) -> Iterator[tuple[str, str]]:
    """The name and password of an Authorization header, and what else the client may have meant by them.

    Nothing for no header and for a scheme that is not offered (rule R7). ``DOMAIN\\name`` is tried as it is, then as ``name``
    (rule R11). Raises `Unauthenticated` when it is Basic but cannot be read.
    """
    scheme, _, encoded = (header or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        octets = b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated("The credentials cannot be read.") from None
    try:
        given = octets.decode()
    except UnicodeDecodeError:
        given = octets.decode("latin-1")  # all that some clients can send (rule R11)
    name, colon, password = given.partition(":")
    if not colon:
        raise Unauthenticated("The credentials cannot be read.")
    yield name, password
    if "\\" in name:
        yield name.rpartition("\\")[2], password
