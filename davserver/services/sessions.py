"""Sessions: who is signed in through REST. A short access token (JWT) for each request, and a refresh token to get the next.

The access token names its session, whose row is looked up by its primary key with every request: an ended session, a disabled
user and a changed password count at once, in every process. A refresh token counts once. It says of which session and of which
generation it is, signed, so that one that was used before is known for what it is without being stored: the session then ends,
for whoever uses it now or used it then is not who signed in.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from davserver.db.rows import SessionRow, UserRow
from davserver.db.statements import Statement
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.errors import NotFound, Unauthenticated
from davserver.domain.principal import Door, Origin, Principal
from davserver.services.activity import record, record_stranger
from davserver.services.signing import Signer
from davserver.services.users import whose

log = logging.getLogger(__name__)

ACCESS_SECONDS: Final = 900
REFRESH_SECONDS: Final = 30 * 86_400
AUDIENCE: Final = "davserver-api"
_REFUSED: Final = "The access token is not valid, or has expired; refresh it."
MAX_DEVICE_CHARS: Final = 100
_REFRESH: Final = struct.Struct(">16sI24s32s")
"""Session, generation, random, MAC."""
_S = SessionRow.__table__.c
_U = UserRow.__table__.c
_CHECKED: Final = (
    _S.id, _S.user_id, _S.device, _S.generation, _S.refresh_hash, _S.expires_at, _S.credential_version, _U.name,
    _U.is_admin, _U.hides_trash, _U.disabled_at, _U.credential_version.label("current_version"),
)  # fmt: skip
_BY_ID = Statement(select(*_CHECKED).join(UserRow, _U.id == _S.user_id).where(_S.id == bindparam("b_id")))


@dataclass(frozen=True, slots=True)
class Tokens:
    """What signing in gives."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int
    """Seconds that the access token counts."""
    session_id: str


@dataclass(frozen=True, slots=True)
class Session:
    """A session, as its user may see it."""

    id: str
    device: str
    address: str | None
    created_at: Micros
    used_at: Micros
    """When it was opened or refreshed last."""
    expires_at: Micros


class Sessions:
    """Use cases on sessions."""

    def __init__(
        self, database: Database, clock: Clock, random: Callable[[int], bytes], secret: bytes, signer: Signer
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._signer = signer
        self._refresh_key = hmac.digest(secret, b"davserver refresh token 1", hashlib.sha256)

    def open(self, principal: Principal, device: str) -> Tokens:
        """A session for somebody who has just proved who they are. Raises `Unauthenticated` when they were disabled since."""
        now = self._clock()
        session_id = self._random(16)
        refresh = self._make_refresh(session_id, 1)
        with self._database.write() as unit:
            query = select(_U.credential_version).where(_U.id == principal.user_id, _U.disabled_at.is_(None))
            version = unit.connection.execute(query).scalar()
            if version is None:
                raise Unauthenticated
            values = {
                "id": session_id.hex(), "user_id": principal.user_id, "credential_version": version, "generation": 1,
                "refresh_hash": self._hash(refresh), "device": device[:MAX_DEVICE_CHARS] or "unknown",
                "address": principal.origin.address, "created_at": now, "used_at": now,
                "expires_at": now + REFRESH_SECONDS * SECOND,
            }  # fmt: skip
            unit.connection.execute(insert(SessionRow), values)
        return self._tokens(session_id.hex(), principal.user_id, refresh)

    def refresh(self, token: str, address: str | None) -> Tokens:
        """The next pair of tokens. Raises `Unauthenticated`; one that was used before ends its session."""
        session_id, generation = self._read_refresh(token)
        now = self._clock()
        fresh = self._make_refresh(bytes.fromhex(session_id), generation + 1)
        with self._database.write() as unit:
            query = select(*_CHECKED).join(UserRow, _U.id == _S.user_id).where(_S.id == session_id)
            row = unit.connection.execute(query.with_for_update(of=SessionRow)).one_or_none()
            is_reused = row is not None and generation < row.generation
            if row is not None and is_reused:
                unit.connection.execute(delete(SessionRow).where(_S.id == session_id))
                whence = Origin(Door.REST, address, row.device)
                record_stranger(unit, row.user_id, whence, Action.SESSION_REUSED, now, None)
            elif row is not None and _counts(row, now) and hmac.compare_digest(row.refresh_hash, self._hash(token)):
                values = {
                    "generation": generation + 1, "refresh_hash": self._hash(fresh), "used_at": now, "address": address,
                    "expires_at": now + REFRESH_SECONDS * SECOND,
                }  # fmt: skip
                unit.connection.execute(update(SessionRow).where(_S.id == session_id).values(values))
                return self._tokens(session_id, row.user_id, fresh)
        if is_reused:
            log.warning("session %s: a refresh token was used twice; the session is ended", session_id)
        raise Unauthenticated("The refresh token does not count any more; sign in again.")

    def authenticate(self, access: str, origin: Origin) -> Principal:
        """Who comes with this access token. One query by primary key. Raises `Unauthenticated`."""
        claims = self._signer.read(AUDIENCE, access, ("sub", "sid"), _REFUSED)
        with self._database.read() as connection:
            row = _BY_ID.first(connection, {"b_id": claims["sid"]})
        if row is None or str(row.user_id) != claims["sub"] or not _counts(row, self._clock()):
            raise Unauthenticated("The session has ended; sign in again.")
        return Principal(
            row.user_id,
            row.name,
            bool(row.is_admin),
            bool(row.hides_trash),
            origin=replace(origin, device=row.device),
            session_id=row.id,
        )

    def list(self, principal: Principal, user_id: int | None = None) -> tuple[Session, ...]:
        """The user's sessions, the one used last first; somebody else's for an administrator. Raises `Forbidden`."""
        columns = (_S.id, _S.device, _S.address, _S.created_at, _S.used_at, _S.expires_at)
        own = (_S.user_id == whose(principal, user_id)) & (_S.expires_at > self._clock())
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).where(own).order_by(_S.used_at.desc(), _S.id))
            return tuple(Session(*row) for row in rows)

    def end(self, principal: Principal, session_id: str, user_id: int | None = None) -> None:
        """End one of the user's sessions, or, for an administrator, of somebody else's. Raises `NotFound`, `Forbidden`."""
        owner_id = whose(principal, user_id)
        with self._database.write() as unit:
            gone = delete(SessionRow).where(_S.user_id == owner_id, _S.id == session_id)
            if unit.connection.execute(gone).rowcount == 0:
                raise NotFound("There is no such session.")
            action = Action.SIGNED_OUT if session_id == principal.session_id else Action.SESSION_ENDED
            record(unit, principal, action, self._clock(), owner_id=owner_id)

    def end_all(self, principal: Principal, *, keep: str | None = None, user_id: int | None = None) -> int:
        """End all of the user's sessions but `keep`; or somebody else's, as with `end`. Returns how many."""
        owner_id = whose(principal, user_id)
        with self._database.write() as unit:
            gone = delete(SessionRow).where(_S.user_id == owner_id, _S.id != (keep or ""))
            count = unit.connection.execute(gone).rowcount
            if count:
                detail = f"{count} {'session' if count == 1 else 'sessions'}"
                record(unit, principal, Action.SESSION_ENDED, self._clock(), detail=detail, owner_id=owner_id)
            return count

    def _tokens(self, session_id: str, user_id: int, refresh: str) -> Tokens:
        access = self._signer.sign(AUDIENCE, {"sub": str(user_id), "sid": session_id}, ACCESS_SECONDS)
        return Tokens(access, refresh, ACCESS_SECONDS, session_id)

    def _make_refresh(self, session_id: bytes, generation: int) -> str:
        random = self._random(24)
        mac = self._mac(session_id, generation, random)
        return "dvr_" + base64.urlsafe_b64encode(_REFRESH.pack(session_id, generation, random, mac)).decode()

    def _read_refresh(self, token: str) -> tuple[str, int]:
        """The session and the generation of a token that we made."""
        try:
            packed = base64.b64decode(token.removeprefix("dvr_").encode("ascii"), altchars=b"-_", validate=True)
            session_id, generation, random, mac = _REFRESH.unpack(packed)
        except (binascii.Error, ValueError, struct.error):
            raise Unauthenticated("This is no refresh token.") from None
        if not hmac.compare_digest(mac, self._mac(session_id, generation, random)):
            raise Unauthenticated("This is no refresh token.")
        return session_id.hex(), generation

    def _mac(self, session_id: bytes, generation: int, random: bytes) -> bytes:
        return hmac.digest(self._refresh_key, session_id + generation.to_bytes(4, "big") + random, hashlib.sha256)

    def _hash(self, token: str) -> bytes:
        return hmac.digest(self._refresh_key, token.encode(), hashlib.sha256)


def _counts(row: Any, now: Micros) -> bool:
    return bool(row.expires_at > now and row.disabled_at is None and row.credential_version == row.current_version)
