"""Signing in and out."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from flask import request
from pydantic import Field

from davserver.domain.errors import NotFound, SecondFactorNeeded, TooManyRequests, Unauthenticated
from davserver.domain.principal import Door, Origin
from davserver.rest.context import address, principal, services
from davserver.rest.models import Answer, Given, moment
from davserver.rest.noun import Access, Noun
from davserver.services.sessions import Session, Tokens

noun = Noun("sessions", "Sign in, stay signed in, see where you are signed in, sign out.")


class SignIn(Given):
    """Who wants to come in."""

    name: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=1024)]
    code: Annotated[str | None, Field(max_length=64, description="Of the second factor, or a recovery code.")] = None
    device: Annotated[str | None, Field(max_length=100, description="What to call this session in listings.")] = None


class Refresh(Given):
    """The refresh token that came last."""

    refresh_token: Annotated[str, Field(max_length=512)]


class TokenPair(Answer):
    """An access token for each request, and a refresh token that gives the next pair, once."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the type, not a token
    expires_in: Annotated[int, Field(description="Seconds that the access token counts.")]
    session_id: str


class SessionPath(Given):
    """Which session."""

    session_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class SessionShown(Answer):
    """A session."""

    id: str
    device: str
    address: str | None
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    is_current: Annotated[bool, Field(description="Whether this request came with it.")]


class SessionList(Answer):
    """All of your sessions, the one used last first."""

    items: list[SessionShown]


class Ended(Answer):
    """How many were ended."""

    ended: int


@noun.on(
    "POST",
    "/sessions",
    gives=TokenPair,
    status=201,
    access=Access.PUBLIC,
    errors=(Unauthenticated, SecondFactorNeeded, TooManyRequests),
)
def sign_in(body: SignIn) -> TokenPair:
    """Sign in. Five tries a minute from one address."""
    services().throttle.sign_in(address())
    known = services().accounts.authenticate(body.name, body.password, Origin(Door.REST, address()), asks_second=True)
    services().second_factors.check(known, body.code)
    agent = request.headers.get("User-Agent", "")
    return _pair(services().sessions.open(known, body.device or agent))


@noun.on("POST", "/sessions/refresh", gives=TokenPair, access=Access.PUBLIC, errors=(Unauthenticated,))
def refresh_session(body: Refresh) -> TokenPair:
    """Get the next pair of tokens. A refresh token that was used before ends its session."""
    return _pair(services().sessions.refresh(body.refresh_token, address()))


@noun.on("GET", "/sessions", gives=SessionList)
def list_sessions() -> SessionList:
    """See where you are signed in."""
    return shown_sessions(services().sessions.list(principal()))


@noun.on("DELETE", "/sessions/current")
def sign_out() -> None:
    """Sign out: end this session."""
    who = principal()
    services().sessions.end(who, who.session_id or "")


@noun.on("DELETE", "/sessions/<string(length=32):session_id>", errors=(NotFound,))
def end_session(path: SessionPath) -> None:
    """End a session on another device."""
    services().sessions.end(principal(), path.session_id)


@noun.on("DELETE", "/sessions", gives=Ended)
def end_sessions() -> Ended:
    """End all sessions but this one."""
    who = principal()
    return Ended(ended=services().sessions.end_all(who, keep=who.session_id))


def shown_sessions(found: Iterable[Session]) -> SessionList:
    """Sessions as the API shows them."""
    current = principal().session_id
    return SessionList(
        items=[
            SessionShown(
                id=one.id,
                device=one.device,
                address=one.address,
                created_at=moment(one.created_at),
                used_at=moment(one.used_at),
                expires_at=moment(one.expires_at),
                is_current=one.id == current,
            )
            for one in found
        ]
    )


def _pair(tokens: Tokens) -> TokenPair:
    return TokenPair(
        access_token=tokens.access,
        refresh_token=tokens.refresh,
        expires_in=tokens.expires_in,
        session_id=tokens.session_id,
    )
