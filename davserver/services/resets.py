"""Ways in for those who have no password yet, or not any more: reset links and invitations. Signed, short-lived, used once."""

from collections.abc import Callable
from typing import Final

from sqlalchemy import delete, insert, select, update

from davserver.db.rows import InvitationRow, UserRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import NotFound, RegistrationClosed, Unauthenticated
from davserver.domain.principal import Door, Origin, Principal
from davserver.services.accounts import Accounts, User, name_key
from davserver.services.activity import By, record, record_about, record_stranger
from davserver.services.passwords import PasswordHasher
from davserver.services.signing import Signer

RESET: Final = "davserver-reset"
INVITATION: Final = "davserver-invitation"
RESET_SECONDS: Final = 30 * 60
INVITATION_SECONDS: Final = 7 * 86_400
_RESET_REFUSED: Final = "This link was used already, or has expired; ask for a new one."
_INVITATION_REFUSED: Final = "This invitation was used already, or has expired; ask for a new one."
_OPERATOR: Final = Origin(Door.CLI)
_REST: Final = Origin(Door.REST)
_U = UserRow.__table__.c


class Resets:
    """Use cases on reset links and invitations. `registration`: open, invitation or closed."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        random: Callable[[int], bytes],
        signer: Signer,
        *,
        accounts: Accounts,
        hasher: PasswordHasher,
        registration: str = "closed",
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._signer = signer
        self._accounts = accounts
        self._hasher = hasher
        self._registration = registration

    def reset_token(self, user_name: str, by: By = _OPERATOR) -> str:
        """A token that sets a new password, once, within half an hour, as long as the password is what it is now.

        Raises `NotFound`.
        """
        with self._database.write() as unit:
            query = select(_U.id, _U.credential_version).where(_U.name_key == name_key(user_name))
            row = unit.connection.execute(query).one_or_none()
            if row is None:
                raise NotFound(f"There is no user named {user_name!r}.")
            record_about(unit, row.id, by, Action.PASSWORD_RESET_SENT, self._clock())
        return self._signed(row.id, row.credential_version)

    def token_of(self, user_id: int) -> str:
        """The same by id, for a mail. Raises `NotFound`. Noted nowhere: what causes the mail is."""
        with self._database.read() as connection:
            version = connection.execute(select(_U.credential_version).where(_U.id == user_id)).scalar()
        if version is None:
            raise NotFound
        return self._signed(user_id, version)

    def _signed(self, user_id: int, version: int) -> str:
        return self._signer.sign(RESET, {"sub": str(user_id), "ver": version}, RESET_SECONDS)

    def reset(self, token: str, password: str, origin: Origin = _REST) -> None:
        """Set the password. Sessions end; device tokens and a second factor stay. Raises `Unauthenticated`, `BadRequest`."""
        claims = self._signer.read(RESET, token, ("sub", "ver"), _RESET_REFUSED)
        hashed = self._hasher.hash(password)
        same = (_U.id == int(claims["sub"])) & (_U.credential_version == claims["ver"])
        values = {"password_hash": hashed, "credential_version": _U.credential_version + 1}
        with self._database.write() as unit:
            if unit.connection.execute(update(UserRow).where(same).values(values)).rowcount == 0:
                raise Unauthenticated(_RESET_REFUSED)
            record_stranger(unit, int(claims["sub"]), origin, Action.PASSWORD_RESET, self._clock(), None)

    def invite(self, by: By = _OPERATOR) -> str:
        """An invitation for one new user, for a week."""
        invitation_id = self._random(16).hex()
        expires_at = self._clock() + INVITATION_SECONDS * SECOND
        with self._database.write() as unit:
            unit.connection.execute(insert(InvitationRow), {"id": invitation_id, "expires_at": expires_at})
            if isinstance(by, Principal):
                record(unit, by, Action.INVITED, self._clock(), detail=_called(invitation_id))
            else:
                record_stranger(unit, None, by, Action.INVITED, self._clock(), _called(invitation_id))
        return self._signer.sign(INVITATION, {"inv": invitation_id}, INVITATION_SECONDS)

    def register(
        self,
        name: str,
        password: str,
        *,
        email: str | None = None,
        invitation: str | None = None,
        origin: Origin = _REST,
    ) -> User:
        """A new user, by themselves. Raises `RegistrationClosed`, `Unauthenticated`, and what `Accounts.add` does."""
        if self._registration == "open":
            return self._accounts.add(name, password, email=email, by=origin, action=Action.REGISTERED)
        if self._registration != "invitation":
            raise RegistrationClosed
        if invitation is None:
            raise RegistrationClosed("An invitation is needed here.")
        claims = self._signer.read(INVITATION, invitation, ("inv",), _INVITATION_REFUSED)
        here = delete(InvitationRow).where(InvitationRow.id == str(claims["inv"]))
        with self._database.write() as unit:
            if unit.connection.execute(here).rowcount == 0:
                raise Unauthenticated(_INVITATION_REFUSED)
            called = _called(str(claims["inv"]))
            return self._accounts.add_invited(unit, name, password, email=email, by=origin, invitation=called)


def _called(invitation_id: str) -> str:
    """What the log calls an invitation: enough to tell one from another, and no use to anybody."""
    return f"invitation {invitation_id[:8]}"
