"""Accounts from outside: registering, and setting a new password by a link."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from davserver.domain.errors import Conflict, MailNotSet, RegistrationClosed, TooManyRequests, Unauthenticated
from davserver.domain.principal import Door, Origin
from davserver.rest.context import address, principal, services
from davserver.rest.models import Answer, Given, moment
from davserver.rest.noun import Access, Noun

noun = Noun("accounts", "Register, and set a new password.")


class Registration(Given):
    """A new user."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=8, max_length=1024)]
    email: Annotated[str | None, Field(max_length=254)] = None
    invitation: Annotated[str | None, Field(max_length=2048, description="Where one is needed.")] = None


class Registered(Answer):
    """The account."""

    id: int
    name: str
    created_at: datetime


class NewPassword(Given):
    """The token of a reset link, and the password from now on."""

    token: Annotated[str, Field(max_length=2048)]
    new_password: Annotated[str, Field(min_length=8, max_length=1024)]


class ResetAsked(Given):
    """Whose password."""

    account: Annotated[str, Field(min_length=1, max_length=254, description="The name, or the e-mail address.")]


class ResetTold(Answer):
    """The same whether there is such an account or not."""

    detail: str


class Invitation(Answer):
    """For one new user, for a week."""

    invitation: str


@noun.on(
    "POST", "/accounts", gives=Registered, status=201, access=Access.PUBLIC,
    errors=(Conflict, RegistrationClosed, TooManyRequests, Unauthenticated),
)  # fmt: skip
def register_account(body: Registration) -> Registered:
    """Register. The setting `registration` says who may: nobody, who was invited, or anybody."""
    services().throttle.register(address())
    made = services().resets.register(
        body.name, body.password, email=body.email, invitation=body.invitation, origin=Origin(Door.REST, address())
    )
    return Registered(id=made.id, name=made.name, created_at=moment(made.created_at))


@noun.on("POST", "/invitations", gives=Invitation, status=201, access=Access.ADMIN)
def add_invitation() -> Invitation:
    """Invite somebody."""
    return Invitation(invitation=services().resets.invite(principal()))


@noun.on(
    "POST", "/accounts/password", gives=ResetTold, status=202, access=Access.PUBLIC, errors=(TooManyRequests, MailNotSet)
)  # fmt: skip
def ask_for_reset(body: ResetAsked) -> ResetTold:
    """Have a link sent by mail that sets a new password, once, within half an hour."""
    services().throttle.reset(address())
    services().mails.ask_for_reset(body.account, Origin(Door.REST, address()))
    return ResetTold(detail="If there is such an account and it has an e-mail address, a link is on its way there.")


@noun.on("PUT", "/accounts/password", access=Access.PUBLIC, errors=(TooManyRequests, Unauthenticated))
def reset_password(body: NewPassword) -> None:
    """Set a new password by the token of a reset link, once. All sessions end; device tokens stay."""
    services().throttle.reset(address())
    services().resets.reset(body.token, body.new_password, Origin(Door.REST, address()))
