"""Device tokens: a password for each device that mounts the drive."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from davserver.domain.errors import Conflict, NotFound
from davserver.domain.paths import ResourcePath
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Flag, Given, Id, Time, micros, moment, moment_or_none
from davserver.rest.noun import Noun
from davserver.services.devices import DeviceToken, Limits

noun = Noun(
    "tokens", "Device tokens: use one as the password of a WebDAV client, and revoke it when the device is lost."
)


class TokenWanted(Given):
    """A new token, and what it is limited to."""

    name: Annotated[str, Field(min_length=1, max_length=64, description="Such as the name of the device.")]
    prefix: Annotated[str | None, Field(description="The folder that it opens, as in a URL: `/photos`.")] = None
    read_only: Flag = False
    hides_trash: Annotated[Flag, Field(description="Leave the trash out of listings.")] = False
    networks: Annotated[list[str], Field(max_length=20, description="Where it may come from: `192.168.1.0/24`.")] = (
        Field(default_factory=list)
    )
    expires_at: Time | None = None


class TokenShown(Answer):
    """A token, without what it is."""

    id: int
    name: str
    prefix: str | None
    read_only: bool
    hides_trash: bool
    networks: list[str]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    used_address: str | None


class TokenMade(TokenShown):
    """A new token: what it is, is shown this once."""

    token: str


class TokenList(Answer):
    """All of your tokens, by name."""

    items: list[TokenShown]


class TokenPath(Given):
    """Which token."""

    token_id: Id


@noun.on("POST", "/tokens", gives=TokenMade, status=201, errors=(Conflict,))
def add_token(body: TokenWanted) -> TokenMade:
    """Make a token."""
    depth = services().config.max_depth
    limits = Limits(
        prefix=None if body.prefix is None else ResourcePath.parse(body.prefix, max_depth=depth),
        read_only=body.read_only,
        hides_trash=body.hides_trash,
        networks=tuple(body.networks),
        expires_at=None if body.expires_at is None else micros(body.expires_at),
    )
    made = services().devices.add(principal(), body.name, limits)
    return TokenMade(**_fields(made.token), token=made.secret)


@noun.on("GET", "/tokens", gives=TokenList)
def list_tokens() -> TokenList:
    """See your tokens, when they were used last, and from where."""
    return shown_tokens(services().devices.list(principal()))


@noun.on("DELETE", "/tokens/<int:token_id>", errors=(NotFound,))
def revoke_token(path: TokenPath) -> None:
    """Revoke a token: from the next request on. An upload that is under way with it is not committed."""
    services().devices.revoke(principal(), path.token_id)


def shown_tokens(found: Iterable[DeviceToken]) -> TokenList:
    """Tokens as the API shows them."""
    return TokenList(items=[TokenShown(**_fields(one)) for one in found])


def _fields(token: DeviceToken) -> dict[str, Any]:
    limits = token.limits
    return {
        "id": token.id,
        "name": token.name,
        "prefix": None if limits.prefix is None else limits.prefix.encoded,
        "read_only": limits.read_only,
        "hides_trash": limits.hides_trash,
        "networks": list(limits.networks),
        "created_at": moment(token.created_at),
        "expires_at": moment_or_none(limits.expires_at),
        "used_at": moment_or_none(token.used_at),
        "used_address": token.used_address,
    }
