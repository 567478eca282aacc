"""The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost.

The secret of a user is derived from the deployment's and from random bytes in the user's row: the database alone is not enough.
With a second factor the account's password opens no WebDAV, which cannot ask for a code; device tokens do.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from davserver.db.rows import RecoveryCodeRow, UserRow
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import Conflict, NotFound, SecondFactorNeeded, Unauthenticated
from davserver.domain.principal import Principal
from davserver.services.accounts import name_key
from davserver.services.activity import By, record, record_about

STEP_SECONDS: Final = 30
RECOVERY_CODES: Final = 10
_U = UserRow.__table__.c
_WRONG: Final = "The code is wrong, or was used already."


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator must know."""

    secret: str = field(repr=False)
    """Base32."""
    uri: str = field(repr=False)
    """The same as an ``otpauth:`` URI, to be shown as a QR code."""


class SecondFactors:
    """Use cases on the second factor of accounts."""

    def __init__(self, database: Database, clock: Clock, random: Callable[[int], bytes], secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._key = hmac.digest(secret, b"davserver second factor 1", hashlib.sha256)

    def begin(self, principal: Principal) -> Enrolment:
        """A new secret, that does nothing until `confirm`. Raises `Conflict` when there is a second factor already."""
        import pyotp  # noqa: PLC0415 - few need it

        salt = self._random(16)
        with self._database.write() as unit:
            here = update(UserRow).where(_U.id == principal.user_id, _U.totp_at.is_(None))
            if unit.connection.execute(here.values(totp_salt=salt, totp_step=0)).rowcount == 0:
                raise Conflict("There is a second factor already; remove it first.")
        secret = self._secret(principal.user_id, salt)
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=principal.name, issuer_name="davserver"))

    def confirm(self, principal: Principal, code: str) -> tuple[str, ...]:
        """Switch it on, once a code shows that the authenticator works. Returns the recovery codes, shown this once.

        Raises `Unauthenticated` for a wrong code, `Conflict` when none was begun.
        """
        codes = tuple(base64.b32encode(self._random(10)).decode().lower() for _ in range(RECOVERY_CODES))
        with self._database.write() as unit:
            row = unit.connection.execute(select(_U.totp_salt, _U.totp_at).where(_U.id == principal.user_id)).one()
            if row.totp_salt is None or row.totp_at is not None:
                raise Conflict("No second factor waits for its first code.")
            self._use(unit, principal.user_id, row.totp_salt, code)
            unit.connection.execute(update(UserRow).where(_U.id == principal.user_id).values(totp_at=self._clock()))
            self._forget_codes(unit, principal.user_id)
            hashes = [{"user_id": principal.user_id, "hash": self._hash(one)} for one in codes]
            unit.connection.execute(insert(RecoveryCodeRow), hashes)
            record(unit, principal, Action.SECOND_FACTOR_ON, self._clock())
        return codes

    def check(self, principal: Principal, code: str | None) -> None:
        """See that somebody who knows the password has the second factor too, if the account has one. A code counts once.

        Raises `SecondFactorNeeded` without a code, `Unauthenticated` for a wrong one.
        """
        with self._database.write() as unit:
            row = unit.connection.execute(select(_U.totp_salt, _U.totp_at).where(_U.id == principal.user_id)).one()
            if row.totp_at is None:
                return
            if not code:
                raise SecondFactorNeeded
            recovery = delete(RecoveryCodeRow).where(
                RecoveryCodeRow.user_id == principal.user_id,
                RecoveryCodeRow.hash == self._hash(code.strip().lower().replace(" ", "")),
            )
            if unit.connection.execute(recovery).rowcount == 0:
                self._use(unit, principal.user_id, row.totp_salt, code)

    def remove(self, user_name: str, by: By) -> None:
        """Switch it off. Raises `NotFound` when there is no such user."""
        with self._database.write() as unit:
            here = update(UserRow).where(_U.name_key == name_key(user_name)).returning(_U.id)
            user_id = unit.connection.execute(here.values(totp_at=None, totp_salt=None, totp_step=None)).scalar()
            if user_id is None:
                raise NotFound(f"There is no user named {user_name!r}.")
            self._forget_codes(unit, user_id)
            record_about(unit, user_id, by, Action.SECOND_FACTOR_OFF, self._clock())

    def _use(self, unit: Unit, user_id: int, salt: bytes, code: str) -> None:
        """Use up a code of the authenticator's. A clock may be half a minute off."""
        import pyotp  # noqa: PLC0415 - the same

        totp = pyotp.TOTP(self._secret(user_id, salt))
        now = self._clock() // SECOND // STEP_SECONDS
        given = code.strip().replace(" ", "").encode("utf-8", "surrogatepass")
        right = [s for s in (now - 1, now, now + 1) if hmac.compare_digest(totp.at(s * STEP_SECONDS).encode(), given)]
        unused = update(UserRow).where(_U.id == user_id, _U.totp_step < (right or [0])[0])
        if not right or unit.connection.execute(unused.values(totp_step=right[0])).rowcount == 0:
            raise Unauthenticated(_WRONG)

    def _forget_codes(self, unit: Unit, user_id: int) -> None:
        unit.connection.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))

    def _secret(self, user_id: int, salt: Any) -> str:
        made = hmac.digest(self._key, f"{user_id}:".encode() + bytes(salt), hashlib.sha256)
        return base64.b32encode(made[:20]).decode()

    def _hash(self, code: str) -> bytes:
        return hmac.digest(self._key, b"recovery:" + code.encode("utf-8", "surrogatepass"), hashlib.sha256)
