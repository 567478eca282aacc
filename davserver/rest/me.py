"""Your own account."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from davserver.domain.errors import Unauthenticated
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


@noun.on("PUT", "/me/password", errors=(Unauthenticated,))
def change_password(body: PasswordChange) -> None:
    """Change your password. All sessions end, this one too; device tokens stay."""
    who = principal()
    services().accounts.authenticate(who.name, body.old_password, who.origin)
    services().accounts.set_password(who.name, body.new_password)
    services().sessions.end_all(who)
