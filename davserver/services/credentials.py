"""Whether what somebody came with still counts: asked where a change commits. For services only."""

from sqlalchemy import Connection, bindparam, or_, select

from davserver.db.rows import DeviceTokenRow, SessionRow, UserRow
from davserver.db.statements import Statement
from davserver.domain.clock import Micros
from davserver.domain.errors import Unauthenticated
from davserver.domain.principal import Principal

_TOKEN = Statement(
    select(DeviceTokenRow.id)
    .join(UserRow, UserRow.id == DeviceTokenRow.user_id)
    .where(
        DeviceTokenRow.id == bindparam("b_id"),
        UserRow.disabled_at.is_(None),
        or_(DeviceTokenRow.expires_at.is_(None), DeviceTokenRow.expires_at > bindparam("b_now")),
    )
)
_SESSION = Statement(
    select(SessionRow.id)
    .join(UserRow, UserRow.id == SessionRow.user_id)
    .where(
        SessionRow.id == bindparam("b_id"),
        UserRow.disabled_at.is_(None),
        SessionRow.credential_version == UserRow.credential_version,
        SessionRow.expires_at > bindparam("b_now"),
    )
)


def check_credential(connection: Connection, principal: Principal, now: Micros) -> None:
    """Raise `Unauthenticated` when the device token or the session was revoked meanwhile, or its user disabled."""
    if principal.token_id is not None:
        row = _TOKEN.first(connection, {"b_id": principal.token_id, "b_now": now})
    elif principal.session_id is not None:
        row = _SESSION.first(connection, {"b_id": principal.session_id, "b_now": now})
    else:
        return
    if row is None:
        raise Unauthenticated("The token was revoked, or has expired; nothing was changed.")
