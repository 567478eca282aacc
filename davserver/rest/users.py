"""Users, for administrators: who may come in, with how much room; what they are signed in with."""

from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import Field

from davserver.domain.errors import Conflict, NotFound, PreconditionFailed
from davserver.rest import paging
from davserver.rest.context import principal, services
from davserver.rest.devices import TokenList, shown_tokens
from davserver.rest.models import MOST, WHOLE, Answer, Flag, Given, Id, Page, Paged, moment, moment_or_none
from davserver.rest.noun import Access, Noun
from davserver.rest.sessions import Ended, SessionList, shown_sessions
from davserver.rest.tags import check_if_match, tag_header, tag_of
from davserver.services.users import FullUser, UserChanges, UserFilter

noun = Noun("users", "For administrators: users, their quotas, sessions and device tokens.")

Quota = Annotated[Annotated[int, Field(ge=0, le=MOST), WHOLE] | None, Field(description="Bytes; null: no limit.")]
Email = Annotated[str | None, Field(max_length=254)]


class UsersQuery(Paged):
    """Which users: those that all of these hold for."""

    name: Annotated[str | None, Field(max_length=64, description="What the name begins with.")] = None
    is_admin: bool | None = None
    is_disabled: bool | None = None


class UserShown(Answer):
    """A user."""

    id: int
    name: str
    email: str | None
    is_admin: bool
    is_disabled: bool
    disabled_at: datetime | None
    quota_bytes: int | None
    used_bytes: Annotated[int, Field(description="The drive and its trash.")]
    has_second_factor: bool
    created_at: datetime


class UserPage(Page[UserShown]):
    """A page of users, by name."""


class UserWanted(Given):
    """A new user."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=8, max_length=1024)]
    email: Email = None
    is_admin: Flag = False
    quota_bytes: Annotated[Quota, Field(description="Bytes; without it, the setting `default_quota`.")] = None


class UserChange(Given):
    """What is to be changed; what is left out stays."""

    email: Email = None
    is_admin: Flag = False
    is_disabled: Flag = False
    quota_bytes: Quota = None


class UserPath(Given):
    """Which user."""

    user_id: Id


class Again(Given):
    """The name of the user, again, so that it is no slip."""

    name: Annotated[str, Field(min_length=1, max_length=64)]


class ResetToken(Answer):
    """What sets a new password, once, within half an hour: for `PUT /api/v1/accounts/password`."""

    token: str


class UserSessionPath(UserPath):
    """Which session of theirs."""

    session_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class UserTokenPath(UserPath):
    """Which device token of theirs."""

    token_id: Id


@noun.on("GET", "/admin/users", gives=UserPage, access=Access.ADMIN)
def list_users(query: UsersQuery) -> Any:
    """List users by name, with what they use."""
    key = paging.decode_cursor(query.cursor, str)
    after = None if key is None else str(key[0])
    wanted = UserFilter(query.name, query.is_admin, query.is_disabled)
    found = services().users.list(principal(), wanted, after=after, limit=query.limit + 1)
    return paging.page(found, query.limit, _shown, lambda user: (user.name,))


@noun.on("POST", "/admin/users", gives=UserShown, status=201, access=Access.ADMIN, errors=(Conflict,))
def add_user(body: UserWanted) -> Any:
    """Add a user."""
    made = services().accounts.add(
        body.name, body.password, email=body.email, is_admin=body.is_admin, quota_bytes=body.quota_bytes, by=principal()
    )
    return _tagged(services().users.find(principal(), made.id))


@noun.on("GET", "/admin/users/<int:user_id>", gives=UserShown, access=Access.ADMIN, errors=(NotFound,))
def get_user(path: UserPath) -> Any:
    """See a user. The ETag changes with what can be changed here."""
    return _tagged(services().users.find(principal(), path.user_id))


@noun.on(
    "PATCH", "/admin/users/<int:user_id>", gives=UserShown, access=Access.ADMIN,
    errors=(NotFound, Conflict, PreconditionFailed),
)  # fmt: skip
def change_user(path: UserPath, body: UserChange) -> Any:
    """Change a user: quota, role, e-mail address; or shut them out, at once and everywhere. If-Match is understood."""
    given = cast("UserChanges", body.model_dump(exclude_unset=True))
    return _tagged(services().users.change(principal(), path.user_id, given, _check))


@noun.on(
    "DELETE", "/admin/users/<int:user_id>", access=Access.ADMIN, errors=(NotFound, Conflict, PreconditionFailed)
)  # fmt: skip
def delete_user(path: UserPath, query: Again) -> None:
    """Delete a user who is disabled, with all files, for good. The name is asked for again; there is no way back."""
    services().users.delete(principal(), path.user_id, query.name, _check)


@noun.on(
    "POST", "/admin/users/<int:user_id>/reset", gives=ResetToken, status=201, access=Access.ADMIN, errors=(NotFound,)
)  # fmt: skip
def reset_user(path: UserPath) -> ResetToken:
    """Get a token by which the user sets a new password, once, within half an hour."""
    name = services().users.find(principal(), path.user_id).name
    return ResetToken(token=services().resets.reset_token(name, principal()))


@noun.on("DELETE", "/admin/users/<int:user_id>/second-factor", access=Access.ADMIN, errors=(NotFound,))
def remove_users_second_factor(path: UserPath) -> None:
    """Switch a user's second factor off, when it is lost."""
    name = services().users.find(principal(), path.user_id).name
    services().second_factors.remove(name, principal())


@noun.on("GET", "/admin/users/<int:user_id>/sessions", gives=SessionList, access=Access.ADMIN, errors=(NotFound,))
def list_users_sessions(path: UserPath) -> SessionList:
    """See where a user is signed in."""
    services().users.find(principal(), path.user_id)
    return shown_sessions(services().sessions.list(principal(), path.user_id))


@noun.on("DELETE", "/admin/users/<int:user_id>/sessions", gives=Ended, access=Access.ADMIN, errors=(NotFound,))
def end_users_sessions(path: UserPath) -> Ended:
    """End all of a user's sessions."""
    services().users.find(principal(), path.user_id)
    return Ended(ended=services().sessions.end_all(principal(), user_id=path.user_id))


@noun.on(
    "DELETE", "/admin/users/<int:user_id>/sessions/<session_id>", access=Access.ADMIN, errors=(NotFound,)
)  # fmt: skip
def end_users_session(path: UserSessionPath) -> None:
    """End one of a user's sessions."""
    services().sessions.end(principal(), path.session_id, path.user_id)


@noun.on("GET", "/admin/users/<int:user_id>/tokens", gives=TokenList, access=Access.ADMIN, errors=(NotFound,))
def list_users_tokens(path: UserPath) -> TokenList:
    """See a user's device tokens."""
    services().users.find(principal(), path.user_id)
    return shown_tokens(services().devices.list(principal(), path.user_id))


@noun.on("DELETE", "/admin/users/<int:user_id>/tokens/<int:token_id>", access=Access.ADMIN, errors=(NotFound,))
def revoke_users_token(path: UserTokenPath) -> None:
    """Revoke one of a user's device tokens."""
    services().devices.revoke(principal(), path.token_id, path.user_id)


def _check(user: FullUser) -> None:
    check_if_match(_tag(user))


def _tag(user: FullUser) -> str:
    return tag_of(user.id, user.email, user.is_admin, user.disabled_at, user.quota_bytes)


def _tagged(user: FullUser) -> tuple[UserShown, dict[str, str]]:
    return _shown(user), tag_header(_tag(user))


def _shown(user: FullUser) -> UserShown:
    return UserShown(
        id=user.id,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        is_disabled=user.disabled_at is not None,
        disabled_at=moment_or_none(user.disabled_at),
        quota_bytes=user.quota_bytes,
        used_bytes=user.used_bytes,
        has_second_factor=user.second_factor_at is not None,
        created_at=moment(user.created_at),
    )
