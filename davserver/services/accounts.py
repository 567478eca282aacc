"""Accounts: who may come in, and whether it is them."""

import logging
import re
import unicodedata
from collections import namedtuple
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from davserver.db.quick import QuickReadFailed
from davserver.db.quick import Row as QuickRow
from davserver.db.rows import UserRow
from davserver.db.statements import Statement
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import Clock, Micros
from davserver.domain.errors import BadRequest, Conflict, InvalidName, NotFound, Unauthenticated, Unavailable
from davserver.domain.principal import UNKNOWN_ORIGIN, Door, Origin, Principal
from davserver.domain.tally import Tally
from davserver.services.activity import By, record_about
from davserver.services.passwords import PasswordHasher
from davserver.services.post import SILENT, Post
from davserver.services.remembered import Expected, Seen
from davserver.services.right_passwords import RightPasswords, Turns
from davserver.services.signins import SignIns
from davserver.services.throttle import Throttle
from davserver.services.tree import plant

log = logging.getLogger(__name__)

MAX_NAME_CHARS: Final = 64
MAX_EMAIL_CHARS: Final = 254
_OPERATOR: Final = Origin(Door.CLI)

_USER = UserRow.__table__.c
_SHOWN: Final = (
    _USER.id, _USER.name, _USER.email, _USER.is_admin, _USER.disabled_at, _USER.quota_bytes, _USER.created_at,
)  # fmt: skip
_CHECKED: Final = (
    _USER.id, _USER.name, _USER.is_admin, _USER.hides_trash, _USER.disabled_at, _USER.credential_version,
    _USER.totp_at,
)  # fmt: skip
_BY_ID: Final = Statement(select(*_CHECKED).where(_USER.id == bindparam("id")))
_BY_KEY: Final = select(*_CHECKED, _USER.password_hash).where(_USER.name_key == bindparam("key"))
_Glance: Any = type("_Glance", (namedtuple("_Columns", [*(c.name for c in _CHECKED), "created_at", "version"]),), {})
GLANCED: Final = f"{', '.join(f'u.{column.name}' for column in _CHECKED)}, u.created_at, t.version"
"""Columns of an account and its tree; see `Expected`."""
_GLANCE: Final = f"SELECT {GLANCED} FROM users u JOIN tree t ON t.owner_id = u.id WHERE u.id = ?"  # noqa: S608 - constants only
_ANYBODY: Final = select(_USER.id).limit(1)
AnyRow = Row[*tuple[Any, ...]]
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class User:
    """An account, as others may see it."""

    id: int
    name: str
    email: str | None
    is_admin: bool
    disabled_at: Micros | None
    """When it was disabled; None when it may sign in."""
    quota_bytes: int | None
    created_at: Micros


class Accounts:
    """Use cases on accounts.

    `secret` keys the hash under which right passwords are remembered for five minutes, so that a request costs one query
    by primary key instead of an argon2 hash. That query sees a changed password or a disabled user at once, in
    every process. Wrong passwords are never remembered.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        secret: bytes,
        *,
        hasher: PasswordHasher,
        default_quota: int | None = None,
        throttle: Throttle | None = None,
        post: Post = SILENT,
    ) -> None:
        """Without a `throttle` passwords may be guessed at without end: for what nobody reaches from outside."""
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._default_quota = default_quota
        self._cache = RightPasswords(secret)
        self._turns = Turns()
        self.sign_ins = SignIns(database, clock, post=post)
        """What is to be told of those who come in by other ways than `authenticate`."""
        self._throttle = throttle

    def authenticate(
        self, name: str, password: str, origin: Origin = UNKNOWN_ORIGIN, *, asks_second: bool = False
    ) -> Principal:
        """Who signs in with this name and password.

        Raises `Unauthenticated`, equally slow for every reason of it, and `TooManyRequests` after too many wrong ones. A password
        that was right a moment ago is not kept waiting by others' guesses.

        `asks_second`: the caller asks for the second factor too. Who does not, lets in nobody who has one.
        """
        key = self._cache.key(name, password)
        row = self._row_remembered(key, asks_second)
        if row is not None:
            return self._signed_in(row, origin)
        with self._turns.of(key):
            # A client that mounts a drive comes with many connections at once: the first of them pays for the hash.
            row = self._row_remembered(key, asks_second)
            return (
                self._verify(name, password, key, origin, asks_second) if row is None else self._signed_in(row, origin)
            )

    def _row_remembered(self, key: bytes, asks_second: bool) -> Any:
        remembered = self._cache.get(key, self._clock())
        if remembered is None:
            return None
        row = self._row_of(remembered.user_id)
        if row is None or not _is_valid(row, remembered.credential_version, asks_second):
            self._cache.forget(key)
            return None
        return row

    def recognise(self, name: str, password: str) -> Seen | None:
        """As `authenticate`, with the version of the user's tree, in one query; None when it takes more to know who that is."""
        expected = self.expected(name, password)
        if expected is None:
            return None
        try:
            found = self._database.quick.first(_GLANCE, expected.user_id)
        except QuickReadFailed:
            return None
        return None if found is None else expected.seen(found)

    def expected(self, name: str, password: str) -> Expected | None:
        """Who that should be, without a query; None when nothing is remembered.

        Whoever `authenticate` would not let in is not seen: both go by `_is_valid`.
        """
        remembered = self._cache.get(self._cache.key(name, password), self._clock())
        if remembered is None:
            return None
        return Expected(remembered.user_id, None, partial(_seen, remembered.credential_version))

    def add(
        self,
        name: str,
        password: str,
        *,
        email: str | None = None,
        is_admin: bool = False,
        quota_bytes: int | None = None,
        by: By = _OPERATOR,
        action: Action = Action.USER_ADDED,
    ) -> User:
        """A new user with an empty tree; without a quota, the default one. Raises `BadRequest`, `InvalidName`, `Conflict`.

        `by` and `action` are what the log says of it.
        """
        values = self._new_values(name, password, email=email, is_admin=is_admin, quota_bytes=quota_bytes)
        try:
            with self._database.write() as unit:
                return _insert(unit, values, by, action)
        except IntegrityError as error:
            raise Conflict(f"There is a user named {name!r} already.") from error

    def add_invited(self, unit: Unit, name: str, password: str, *, email: str | None, by: By, invitation: str) -> User:
        """Somebody who was invited, inside a unit of the caller's, that ends when this raises."""
        values = self._new_values(name, password, email=email)
        if unit.connection.execute(select(_USER.id).where(_USER.name_key == values["name_key"])).first():
            raise Conflict(f"There is a user named {name!r} already.")
        try:
            return _insert(unit, values, by, Action.REGISTERED, invitation)
        except IntegrityError as error:
            raise Conflict(f"There is a user named {name!r} already.") from error

    def add_first(self, name: str, password: str) -> User | None:
        """The first user, an administrator; None when there is a user already. Of several servers that start, one adds it."""
        with self._database.read() as connection:
            if connection.execute(_ANYBODY).first():
                return None
        values = self._new_values(name, password, is_admin=True)
        with self._database.write() as unit:
            if not self._database.is_sqlite:  # SQLite has one writer as it is
                unit.connection.execute(text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
            if unit.connection.execute(_ANYBODY).first():
                return None
            return _insert(unit, values, _OPERATOR, Action.USER_ADDED)

    def users(self) -> tuple[User, ...]:
        """All users, by name."""
        with self._database.read() as connection:
            query = select(*_SHOWN).where(_USER.removed_at.is_(None)).order_by(_USER.name_key)
            return tuple(_user(row) for row in connection.execute(query))

    @property
    def remembering(self) -> Tally:
        """How well right passwords are remembered."""
        return self._cache.tally

    def find(self, name: str) -> User:
        """The user of that name, however it is cased. Raises `NotFound`."""
        with self._database.read() as connection:
            row = connection.execute(select(*_SHOWN).where(_USER.name_key == _sought(name))).one_or_none()
        if row is None:
            raise NotFound(f"There is no user named {name!r}.")
        return _user(row)

    def set_password(self, name: str, password: str, by: By = _OPERATOR) -> None:
        """Replace the password; the old one is void from the next request on. Raises `NotFound`, `BadRequest`."""
        hashed = self._hasher.hash(password)
        self._change(name, Action.PASSWORD_CHANGED, by, password_hash=hashed)

    def set_disabled(self, name: str, disabled: bool, by: By = _OPERATOR) -> None:
        """Shut somebody out, or let them in again, from the next request on. Raises `NotFound`."""
        action = Action.USER_DISABLED if disabled else Action.USER_ENABLED
        self._change(name, action, by, disabled_at=self._clock() if disabled else None)

    def _row_of(self, user_id: int) -> Any:
        with suppress(QuickReadFailed):
            found = self._database.quick.first(_GLANCE, user_id)
            return None if found is None else _Glance._make(found)
        with self._database.read() as connection:
            return _BY_ID.first(connection, {"id": user_id})

    def _signed_in(self, row: Any, origin: Origin) -> Principal:
        principal = _principal(row, origin)
        self.sign_ins.good(principal)
        return principal

    def _verify(self, name: str, password: str, key: bytes, origin: Origin, asks_second: bool) -> Principal:
        account = _sought(name)
        if self._throttle is not None:
            self._throttle.before_guess(account, origin.address)
        with self._database.read() as connection:
            row = connection.execute(_BY_KEY, {"key": account}).one_or_none()
        right = self._hasher.verify(password, None if row is None else row.password_hash)
        if row is None or not right or not _is_valid(row, row.credential_version, asks_second):
            if row is not None or "\\" not in name:  # after DOMAIN\\name, the door tries the name alone
                self.sign_ins.bad(account, None if row is None else row.id, origin, _reason(row, right=right))
            if self._throttle is not None:
                self._throttle.wrong_guess(account, origin.address, key.hex())
            raise Unauthenticated("The user name or the password is wrong.")
        self._renew_hash(row, password)
        self._cache.put(key, row.id, row.credential_version, self._clock())
        return self._signed_in(row, origin)

    def _renew_hash(self, row: AnyRow, password: str) -> None:
        """Hash anew what was hashed with other parameters. The password stays, so what is remembered stays too."""
        if not self._hasher.is_outdated(row.password_hash):
            return
        try:
            hashed = self._hasher.hash(password)
            with self._database.write() as unit:
                same = (_USER.id == row.id) & (_USER.password_hash == row.password_hash)
                unit.connection.execute(update(UserRow).where(same).values(password_hash=hashed))
        except (BadRequest, Unavailable) as error:
            log.warning("the password hash of user %d was not renewed: %s", row.id, error)

    def _new_values(
        self,
        name: str,
        password: str,
        *,
        email: str | None = None,
        is_admin: bool = False,
        quota_bytes: int | None = None,
    ) -> dict[str, Any]:
        check_email(email)
        return {
            "name": check_user_name(name),
            "name_key": name_key(name),
            "email": email,
            "password_hash": self._hasher.hash(password),
            "credential_version": 1,
            "is_admin": is_admin,
            "disabled_at": None,
            "quota_bytes": self._default_quota if quota_bytes is None else quota_bytes,
            "created_at": self._clock(),
        }

    def _change(self, name: str, action: Action, by: By, **values: Any) -> None:
        with self._database.write() as unit:
            statement = update(UserRow).where(_USER.name_key == _sought(name)).returning(_USER.id)
            raised = {"credential_version": _USER.credential_version + 1, **values}
            row = unit.connection.execute(statement.values(raised)).one_or_none()
            if row is None:
                raise NotFound(f"There is no user named {name!r}.")
            record_about(unit, row.id, by, action, self._clock())


def _reason(row: AnyRow | None, *, right: bool) -> str:
    """Why somebody was refused, for the log: they themselves are told the same whatever it was."""
    if row is None:
        return "no such account"
    if not right:
        return "wrong password"
    return "the account is disabled" if row.disabled_at is not None else "the account has a second factor"


def name_key(name: str) -> str:
    """What a user's name is matched by: Unicode NFKC, case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _sought(name: str) -> str:
    """The key to look for. What no user can be named matches nobody: no name is empty."""
    try:
        return name_key(check_user_name(name))
    except InvalidName:
        return ""


def check_user_name(name: str) -> str:
    """Return a name that a user may have. Raises `InvalidName`."""
    if not 1 <= len(name) <= MAX_NAME_CHARS or not 1 <= len(name_key(name)) <= 4 * MAX_NAME_CHARS:
        raise InvalidName(f"A user name has 1 to {MAX_NAME_CHARS} characters.")
    unfit = {":", "/", "\\"} | {c for c in name if unicodedata.category(c) in {"Cc", "Cs", "Cn", "Zl", "Zp"}}
    if any(c in unfit for c in name + name_key(name)) or name != name.strip():
        raise InvalidName("A user name must not hold ':', '/', '\\', control characters, or spaces at its ends.")
    return name


def is_email(text: str) -> bool:
    """Whether it looks like an e-mail address."""
    return len(text) <= MAX_EMAIL_CHARS and _EMAIL.fullmatch(text) is not None and text.isprintable()


def check_email(email: str | None) -> None:
    """Raise `BadRequest` for what is no e-mail address."""
    if email is not None and not is_email(email):
        raise BadRequest(f"{email!r} is not an e-mail address.")


def _insert(unit: Unit, values: dict[str, Any], by: By, action: Action, detail: str | None = None) -> User:
    row = unit.connection.execute(insert(UserRow).values(values).returning(*_SHOWN)).one()
    plant(unit, row.id, row.created_at)
    record_about(unit, row.id, by, action, row.created_at, detail)
    return _user(row)


def _principal(row: Any, origin: Origin) -> Principal:
    return Principal(row.id, row.name, bool(row.is_admin), bool(row.hides_trash), origin=origin)


def _user(row: AnyRow) -> User:
    return User(*row)


def _seen(credential_version: int, found: QuickRow) -> Seen | None:
    row = _Glance._make(found)
    if not _is_valid(row, credential_version, asks_second=False):
        return None
    return Seen(_principal(row, UNKNOWN_ORIGIN), (row.id, row.created_at, row.version))


def _is_valid(row: AnyRow, credential_version: int, asks_second: bool) -> bool:
    is_enough = asks_second or row.totp_at is None
    return bool(row.credential_version == credential_version and row.disabled_at is None and is_enough)
