"""Your own account."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from davserver.domain.errors import Conflict, SecondFactorNeeded, TooManyRequests, Unauthenticated
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Given, moment
from davserver.rest.noun import Noun

noun = Noun("me", "Your own account.")


class Me(Answer):
    """Who you are."""

    id: int
    name: str
    email: str | None
    is_admin: bool
    quota_bytes: int | None
    created_at: datetime


class PasswordChange(Given):
    """The password until now, and from now on."""

    old_password: Annotated[str, Field(max_length=1024)]
    new_password: Annotated[str, Field(min_length=8, max_length=1024)]


@noun.on("GET", "/me", gives=Me)
def get_me() -> Me:
    """See your account."""
    found = services().accounts.find(principal().name)
    return Me(
        id=found.id,
        name=found.name,
        email=found.email,
        is_admin=found.is_admin,
        quota_bytes=found.quota_bytes,
        created_at=moment(found.created_at),
    )


@noun.on("PUT", "/me/password", errors=(TooManyRequests, Unauthenticated))
def change_password(body: PasswordChange) -> None:
    """Change your password. All sessions end, this one too; device tokens stay."""
    who = principal()
    services().accounts.authenticate(who.name, body.old_password, who.origin, asks_second=True)
    services().accounts.set_password(who.name, body.new_password, who)
    services().sessions.end_all(who)


class Authenticator(Answer):
    """What an authenticator must know."""

    secret: str
    uri: Annotated[str, Field(description="To be shown as a QR code.")]


class Code(Given):
    """A code that the authenticator shows."""

    code: Annotated[str, Field(max_length=64)]


class Recovery(Answer):
    """Codes that stand in for the authenticator's, once each. Shown this once."""

    recovery_codes: list[str]


class Removal(Given):
    """Who removes the second factor must have it."""

    password: Annotated[str, Field(max_length=1024)]
    code: Annotated[str, Field(max_length=64)]


@noun.on("POST", "/me/second-factor", gives=Authenticator, status=201, errors=(Conflict,))
def begin_second_factor() -> Authenticator:
    """Get a secret for an authenticator (TOTP). It does nothing until its first code is given."""
    made = services().second_factors.begin(principal())
    return Authenticator(secret=made.secret, uri=made.uri)


@noun.on("PUT", "/me/second-factor", gives=Recovery, errors=(Conflict, Unauthenticated))
def confirm_second_factor(body: Code) -> Recovery:
    """Switch the second factor on. From then on the password does not open WebDAV: use device tokens."""
    return Recovery(recovery_codes=list(services().second_factors.confirm(principal(), body.code)))


@noun.on("DELETE", "/me/second-factor", errors=(TooManyRequests, Unauthenticated, SecondFactorNeeded))
def remove_second_factor(body: Removal) -> None:
    """Switch the second factor off."""
    who = principal()
    services().accounts.authenticate(who.name, body.password, who.origin, asks_second=True)
    services().second_factors.check(who, body.code)
    services().second_factors.remove(who.name, who)
