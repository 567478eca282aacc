"""Users, as an administrator sees and changes them. Every change is in the audit log, with who made it.

A user who is deleted leaves a row behind that nobody can sign in to: the log still says who it was, and an id is never given to
somebody else. The name is free again at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from sqlalchemy import ColumnElement, Select, delete, func, select, update

from davserver.config.kinds import show_size
from davserver.db.rows import (
    ROOT_ID,
    TRASH_ID,
    DeviceTokenRow,
    LinkRow,
    LockRow,
    PropertyRow,
    RecoveryCodeRow,
    SessionRow,
    TreeRow,
    UserRow,
)
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import Clock, Micros
from davserver.domain.errors import BadRequest, Conflict, Forbidden, NotFound
from davserver.domain.paging import DEFAULT_PAGE
from davserver.domain.principal import Principal
from davserver.services.accounts import check_email, name_key
from davserver.services.activity import By, record_about
from davserver.services.changes import open_change, sever_members, sever_trash
from davserver.services.credentials import check_credential

_U: Final = UserRow.__table__.c
_SHOWN: Final = (
    _U.id, _U.name, _U.email, _U.is_admin, _U.disabled_at, _U.quota_bytes, TreeRow.used_bytes, _U.totp_at, _U.created_at,
)  # fmt: skip


class UserChanges(TypedDict, total=False):
    """What is to be changed; what is left out stays."""

    email: str | None
    is_admin: bool
    is_disabled: bool
    quota_bytes: int | None


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users: those that all of these hold for; None asks for nothing."""

    name: str | None = None
    """What the name begins with, however it is cased."""
    is_admin: bool | None = None
    is_disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class FullUser:
    """A user, as an administrator sees them."""

    id: int
    name: str
    email: str | None
    is_admin: bool
    disabled_at: Micros | None
    quota_bytes: int | None
    used_bytes: int
    """The drive and its trash."""
    second_factor_at: Micros | None
    """When the second factor was switched on; None while it is off."""
    created_at: Micros


def whose(principal: Principal, user_id: int | None) -> int:
    """The id of the user that a use case is about: oneself, or anybody for an administrator. Raises `Forbidden`."""
    if user_id is None or user_id == principal.user_id:
        return principal.user_id
    refuse_others(principal)
    return user_id


def refuse_others(by: By) -> None:
    """Raise `Forbidden` unless it is an administrator, or the command line, where whoever has the machine is one."""
    if isinstance(by, Principal) and not by.is_admin:
        raise Forbidden("This is for administrators.")


class Users:
    """Use cases of administrators. `by`: who asks, or the command line."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def list(
        self, by: By, wanted: UserFilter | None = None, *, after: str | None = None, limit: int = DEFAULT_PAGE
    ) -> tuple[FullUser, ...]:
        """Users by name, those behind the name `after`. One query. Raises `Forbidden`."""
        refuse_others(by)
        query = _query(*_conditions(wanted or UserFilter(), after)).order_by(_U.name_key).limit(limit)
        with self._database.read() as connection:
            return tuple(_user(row) for row in connection.execute(query))

    def find(self, by: By, which: int | str) -> FullUser:
        """A user, by id or by name. Raises `Forbidden`, `NotFound`."""
        refuse_others(by)
        with self._database.read() as connection:
            row = connection.execute(_query(_is(which))).one_or_none()
        if row is None:
            raise NotFound("There is no such user.")
        return _user(row)

    def change(
        self, by: By, which: int | str, changes: UserChanges, check: Callable[[FullUser], None] = lambda _: None
    ) -> FullUser:
        """Change a user. It counts from the next request on, in every process; who is disabled has no session any more.

        `check` is called with the user as they are, in the unit, and may raise. Raises `Forbidden`, `NotFound`, `BadRequest`,
        and `Conflict` for an administrator who would shut out themselves.
        """
        check_email(changes.get("email"))
        with self._database.write() as unit:
            self._still_may(unit, by)
            user = _locked(unit, which)
            check(user)
            if changes.get("is_disabled") or changes.get("is_admin") is False:
                _refuse_self(by, user.id)
            self._apply(unit, by, user, changes)
            return _user(unit.connection.execute(_query(_is(user.id))).one())

    def delete(self, by: By, which: int | str, name: str, check: Callable[[FullUser], None] = lambda _: None) -> None:
        """Delete a user who is disabled, and all that is theirs; `name`, again, so that it is no slip.

        Files, trash, links, tokens and sessions are out of sight when this returns; jobs remove what is in the store. There
        is no way back. Raises `Forbidden`, `NotFound`, `Conflict` (not disabled; oneself), `BadRequest` (another name).
        """
        with self._database.write() as unit:
            self._still_may(unit, by)
            user = _locked(unit, which)
            check(user)
            _refuse_self(by, user.id)
            if user.name != name:
                raise BadRequest("The name is not that of this user; nothing was deleted.")
            if user.disabled_at is None:
                raise Conflict("Disable this user first; nothing was deleted.")
            now = self._clock()
            _forget(unit, user.id, now)
            change = open_change(unit, user.id, now)
            sever_members(change, ROOT_ID)
            sever_trash(change)
            record_about(unit, user.id, by, Action.USER_REMOVED, now, user.name)

    def _apply(self, unit: Unit, by: By, user: FullUser, changes: UserChanges) -> None:
        now = self._clock()
        values: dict[str, Any] = {
            key: changes[key]
            for key in ("email", "is_admin", "quota_bytes")
            if key in changes and changes[key] != getattr(user, key)
        }
        if values:
            unit.connection.execute(update(UserRow).where(_U.id == user.id).values(values))
            record_about(unit, user.id, by, Action.USER_CHANGED, now, _told(values))
        is_disabled = changes.get("is_disabled", user.disabled_at is not None)
        if is_disabled != (user.disabled_at is not None):
            state = {"disabled_at": now if is_disabled else None, "credential_version": _U.credential_version + 1}
            unit.connection.execute(update(UserRow).where(_U.id == user.id).values(state))
            unit.connection.execute(delete(SessionRow).where(SessionRow.user_id == user.id))
            action = Action.USER_DISABLED if is_disabled else Action.USER_ENABLED
            record_about(unit, user.id, by, action, now)

    def _still_may(self, unit: Unit, by: By) -> None:
        """Look again in the unit that commits: who was demoted a moment ago changes nobody any more."""
        refuse_others(by)
        if isinstance(by, Principal):
            check_credential(unit.connection, by, self._clock())
            # Locked, so that of two administrators who demote each other at once one is still there.
            may = select(_U.id).where(_U.is_admin, _U.disabled_at.is_(None)).order_by(_U.id).with_for_update()
            if by.user_id not in unit.connection.execute(may).scalars().all():
                raise Forbidden("This is for administrators.")


def _query(*conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    joined = select(*_SHOWN).join(TreeRow, TreeRow.owner_id == _U.id)
    return joined.where(_U.removed_at.is_(None), *conditions)


def _conditions(wanted: UserFilter, after: str | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if after is not None:
        found.append(_U.name_key > name_key(after))
    if wanted.name:
        key = name_key(wanted.name)
        found.append(func.substr(_U.name_key, 1, len(key)) == key)
    if wanted.is_admin is not None:
        found.append(_U.is_admin.is_(wanted.is_admin))
    if wanted.is_disabled is not None:
        found.append(_U.disabled_at.is_not(None) if wanted.is_disabled else _U.disabled_at.is_(None))
    return found


def _is(which: int | str) -> ColumnElement[bool]:
    return _U.id == which if isinstance(which, int) else _U.name_key == name_key(which)


def _locked(unit: Unit, which: int | str) -> FullUser:
    row = unit.connection.execute(_query(_is(which)).with_for_update(of=UserRow)).one_or_none()
    if row is None:
        raise NotFound("There is no such user.")
    return _user(row)


def _user(row: Any) -> FullUser:
    return FullUser(*row)


def _refuse_self(by: By, user_id: int) -> None:
    if isinstance(by, Principal) and by.user_id == user_id:
        raise Conflict("Nobody shuts out themselves: another administrator can, and the command line.")


def _told(values: Mapping[str, Any]) -> str:
    """What was changed, for the log: new values, but for an e-mail address."""
    told = []
    if "is_admin" in values:
        told.append("is an administrator" if values["is_admin"] else "is no administrator any more")
    if "quota_bytes" in values:
        told.append("quota " + ("none" if values["quota_bytes"] is None else show_size(values["quota_bytes"])))
    if "email" in values:
        told.append("e-mail address")
    return ", ".join(told)


def _forget(unit: Unit, user_id: int, now: Micros) -> None:
    """All that lets somebody in, or others at their files. No user's key holds a colon."""
    connection = unit.connection
    gone = {
        "name_key": f":{user_id}", "email": None, "password_hash": "-", "is_admin": False, "removed_at": now,
        "credential_version": _U.credential_version + 1, "totp_at": None, "totp_salt": None, "totp_step": None,
    }  # fmt: skip
    connection.execute(update(UserRow).where(_U.id == user_id).values(gone))
    for row, column in (
        (SessionRow, SessionRow.user_id),
        (DeviceTokenRow, DeviceTokenRow.user_id),
        (RecoveryCodeRow, RecoveryCodeRow.user_id),
        (LinkRow, LinkRow.owner_id),
        (LockRow, LockRow.owner_id),
    ):
        connection.execute(delete(row).where(column == user_id))
    roots = PropertyRow.resource_id.in_((ROOT_ID, TRASH_ID))
    connection.execute(delete(PropertyRow).where(PropertyRow.owner_id == user_id, roots))
