"""What a visitor asks for: the token, what of it, and with which password."""

import base64
import binascii
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

from davserver.domain.errors import BadRequest, BodyTooLarge, NotFound
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Door, Origin
from davserver.services.links import Visitor

Environ = dict[str, Any]
BASE: Final = "/s"
COOKIE: Final = "davserver_link"
MAX_FORM: Final = 8 * 1024
PARTS: Final = frozenset({"", "download", "view", "files"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for something behind a link."""

    token: str
    part: str
    """Empty for the link itself, else ``download``, ``view`` or ``files``."""
    below: ResourcePath
    """With ``files``: which file or folder below the link's."""
    is_folder: bool
    """Whether the path ends with a slash."""

    @property
    def base(self) -> str:
        """The path of the link."""
        return f"{BASE}/{self.token}"


def read_path(raw: str) -> Asked:
    """Read a path such as ``/s/TOKEN/files/a/b.txt``. Raises `NotFound`, and what `ResourcePath.parse` does."""
    token, _, rest = raw.removeprefix(BASE + "/").partition("/")
    part, _, below = rest.partition("/")
    if not token.isascii() or not token.isalnum() or part not in PARTS or (below and part != "files"):
        raise NotFound
    return Asked(token, part, ResourcePath.parse(below), raw.endswith("/"))


def visitor_of(environ: Environ, password: str | None = None) -> Visitor:
    """Who asks, and what they show: a password from a form, or else from Basic; the ticket in the cookie."""
    return Visitor(
        Origin(Door.LINK, environ.get("REMOTE_ADDR") or None),
        environ.get("HTTP_USER_AGENT", "")[:500],
        password if password is not None else _basic_password(environ),
        _cookie(environ),
    )


def wants_page(environ: Environ) -> bool:
    """Whether a person looks at it: browsers ask for HTML, programs such as curl do not."""
    return "text/html" in environ.get("HTTP_ACCEPT", "").lower()


def form_password(environ: Environ) -> str:
    """The password that was typed into the form. Raises what `form_fields` does."""
    return form_fields(environ).get("password", "")


def form_fields(environ: Environ) -> dict[str, str]:
    """What was typed into a form, by the names of its fields. Raises `BadRequest`, `BodyTooLarge`."""
    if not environ.get("CONTENT_TYPE", "").lower().startswith("application/x-www-form-urlencoded"):
        raise BadRequest("This comes in a form: application/x-www-form-urlencoded.")
    body: bytes = environ["wsgi.input"].read(MAX_FORM + 1)
    if len(body) > MAX_FORM:
        raise BodyTooLarge
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise BadRequest("The form cannot be read.") from None
    return {name: values[0] for name, values in fields.items()}


def _basic_password(environ: Environ) -> str | None:
    scheme, _, sent = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user_and_password = base64.b64decode(sent.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return user_and_password.partition(":")[2]


def _cookie(environ: Environ) -> str | None:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
