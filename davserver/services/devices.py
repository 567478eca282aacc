"""Device tokens: passwords of single devices, for WebDAV. Each can be limited, and revoked without the others."""

import base64
import hashlib
import hmac
import ipaddress
import logging
import re
import threading
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from davserver.db.quick import QuickReadFailed, Row
from davserver.db.rows import DeviceTokenRow, UserRow
from davserver.db.statements import Statement
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.errors import BadRequest, Conflict, DavserverError, NotFound, Unauthenticated
from davserver.domain.paths import ResourcePath
from davserver.domain.preferences import Notice
from davserver.domain.principal import Origin, Principal
from davserver.services.accounts import name_key
from davserver.services.activity import record
from davserver.services.post import SILENT, Post
from davserver.services.remembered import Expected, Seen
from davserver.services.users import whose

log = logging.getLogger(__name__)

MAX_NAME_CHARS: Final = 64
MAX_TOKENS: Final = 100
"""Of one user."""
NOTE_EVERY: Final = 60 * SECOND
"""The last use of a token is written down at most this often."""
_BYTES: Final = 20
_REMEMBERED: Final = 10_000
"""Tokens of a process whose ids are known."""
_SHAPE: Final = re.compile(r"dav_[a-z2-7]{32}")
_REFUSED: Final = "The user name or the password is wrong."

_T = DeviceTokenRow.__table__.c
_U = UserRow.__table__.c
_BY_HASH = Statement(
    select(
        _T.id, _T.user_id, _T.name, _T.prefix, _T.read_only, _T.hides_trash, _T.networks, _T.expires_at, _T.used_at,
        _T.used_address, _U.name.label("user_name"), _U.name_key, _U.is_admin, _U.disabled_at,
        _U.hides_trash.label("user_hides_trash"),
    )
    .join(UserRow, _U.id == _T.user_id)
    .where(_T.hash == bindparam("b_hash"))
)  # fmt: skip
GLANCED: Final = (
    "d.hash, d.user_id, d.name, d.hides_trash, d.read_only, d.networks, d.expires_at, d.used_at,"
    " u.name, u.name_key, u.hides_trash, u.created_at, t.version"
)
"""Columns of a token that opens the whole drive, of its user, who is not disabled, and of their tree; see `Expected`."""
_GLANCE: Final = (
    f"SELECT {GLANCED} FROM device_token d JOIN users u ON u.id = d.user_id JOIN tree t ON t.owner_id = u.id"  # noqa: S608 - constants only
    " WHERE d.id = ? AND d.prefix IS NULL AND u.disabled_at IS NULL"
)
_Glance: Any = namedtuple(
    "_Glance",
    "hash user_id name hides_trash read_only networks expires_at used_at"
    " user_name name_key user_hides_trash created_at version",
)
_SHOWN: Final = (
    _T.id, _T.name, _T.prefix, _T.read_only, _T.hides_trash, _T.networks, _T.created_at, _T.expires_at, _T.used_at,
    _T.used_address,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device token may not do."""

    prefix: ResourcePath | None = None
    """The collection that it opens; None: the whole drive."""
    read_only: bool = False
    hides_trash: bool = False
    networks: tuple[str, ...] = ()
    """CIDR notation; empty: it may be used from anywhere."""
    expires_at: Micros | None = None


@dataclass(frozen=True, slots=True)
class DeviceToken:
    """A token, as its user may see it: without what it is."""

    id: int
    name: str
    limits: Limits
    created_at: Micros
    used_at: Micros | None
    used_address: str | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made, and what it is: shown this once."""

    token: DeviceToken
    secret: str = field(repr=False)


class Devices:
    """Use cases on device tokens. `secret` keys the hash under which they are stored: 160 random bits need no slow one."""

    def __init__(
        self, database: Database, clock: Clock, random: Callable[[int], bytes], secret: bytes, *, post: Post = SILENT
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._post = post
        self._key = hmac.digest(secret, b"davserver device token 1", hashlib.sha256)
        self._ids: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        """Of tokens and their users, by the tokens' hashes."""
        self._mutex = threading.Lock()

    def add(self, principal: Principal, name: str, limits: Limits | None = None) -> NewToken:
        """A new token. Raises `BadRequest`, `Conflict` when one of that name exists, or too many."""
        limits = limits or Limits()
        now = self._clock()
        if limits.expires_at is not None and limits.expires_at <= now:
            raise BadRequest("The token would have expired already.")
        if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
            raise BadRequest(f"A token's name has 1 to {MAX_NAME_CHARS} printable characters.")
        secret = "dav_" + base64.b32encode(self._random(_BYTES)).decode().lower()
        values = {
            "user_id": principal.user_id, "name": name, "hash": self._hash(secret),
            "prefix": None if limits.prefix is None or limits.prefix.is_root else limits.prefix.encoded,
            "read_only": limits.read_only, "hides_trash": limits.hides_trash,
            "networks": ",".join(_networks(limits.networks)) or None,
            "created_at": now, "expires_at": limits.expires_at,
        }  # fmt: skip
        try:
            with self._database.write() as unit:
                mine = unit.connection.execute(select(_T.id).where(_T.user_id == principal.user_id)).all()
                if len(mine) >= MAX_TOKENS:
                    raise Conflict(f"There are {MAX_TOKENS} tokens already; revoke one that is not used any more.")
                row = unit.connection.execute(insert(DeviceTokenRow).values(values).returning(*_SHOWN)).one()
                record(unit, principal, Action.TOKEN_CREATED, now, limits.prefix, detail=name)
                self._post.notify(unit, principal.user_id, Notice.NEW_DEVICE_TOKEN, now, name=name)
        except IntegrityError as error:
            raise Conflict(f"There is a token named {name!r} already.") from error
        return NewToken(_shown(row), secret)

    def list(self, principal: Principal, user_id: int | None = None) -> tuple[DeviceToken, ...]:
        """The user's tokens, by name; somebody else's for an administrator. Raises `Forbidden`."""
        with self._database.read() as connection:
            query = select(*_SHOWN).where(_T.user_id == whose(principal, user_id)).order_by(_T.name)
            return tuple(_shown(row) for row in connection.execute(query))

    def revoke(self, principal: Principal, which: int | str, user_id: int | None = None) -> None:
        """End a token, by its id or its name: from the next request on, and what is under way is not committed.

        An administrator can end somebody else's. Raises `NotFound`, `Forbidden`.
        """
        owner_id = whose(principal, user_id)
        here = _T.id == which if isinstance(which, int) else _T.name == which
        with self._database.write() as unit:
            gone = delete(DeviceTokenRow).where(_T.user_id == owner_id, here).returning(_T.name)
            name = unit.connection.execute(gone).scalar()
            if name is None:
                raise NotFound("There is no such token.")
            record(unit, principal, Action.TOKEN_REVOKED, self._clock(), detail=name, owner_id=owner_id)

    def authenticate(self, secret: str, origin: Origin, user_name: str | None = None) -> Principal | None:
        """Who comes with this token; None when it has not the shape of one, or there is none such.

        One query. `user_name`: what was given with it must be its user's. Raises `Unauthenticated` when it may not be used
        now, or from there.
        """
        if not _SHAPE.fullmatch(secret):
            return None
        hashed = self._hash(secret)
        with self._database.read() as connection:
            row = _BY_HASH.first(connection, {"b_hash": hashed})
        if row is None:
            return None
        now = self._clock()
        if row.disabled_at is not None or (user_name is not None and name_key(user_name) != row.name_key):
            raise Unauthenticated(_REFUSED)
        if why := _unfit(row, now, origin):
            raise Unauthenticated(why)
        self._note_use(row, now, origin.address)
        if row.prefix is None:
            self._remember(hashed, (row.id, row.user_id))
        return _principal(row, row.id, origin, None if row.prefix is None else _prefix(row.prefix))

    def recognise(self, secret: str, origin: Origin, user_name: str) -> Seen | None:
        """As `authenticate`, with the version of the user's tree, in one query; None when it takes more to know who that is.

        Whoever `authenticate` would not let in is not recognised, nor is a token that opens a part of the drive only.
        """
        expected = self.expected(secret, origin, user_name)
        if expected is None:
            return None
        try:
            found = self._database.quick.first(_GLANCE, expected.token_id or 0)
        except QuickReadFailed:
            return None
        return None if found is None else expected.seen(found)

    def expected(self, secret: str, origin: Origin, user_name: str) -> Expected | None:
        """Who that should be, without a query; None when this is no token, or none that is known in this process."""
        if not _SHAPE.fullmatch(secret):
            return None
        hashed = self._hash(secret)
        known = self._ids.get(hashed)
        if known is None:
            return None
        token_id, user_id = known
        return Expected(user_id, token_id, lambda found: self._seen(found, hashed, token_id, origin, user_name))

    def _seen(self, found: Row, hashed: bytes, token_id: int, origin: Origin, user_name: str) -> Seen | None:
        row = _Glance._make(found)
        # Ids come again: the token of that id may be another one by now.
        if not hmac.compare_digest(bytes(row.hash), hashed) or name_key(user_name) != row.name_key:
            return None
        now = self._clock()
        if _unfit(row, now, origin) or row.used_at is None or row.used_at <= now - NOTE_EVERY:
            return None
        return Seen(_principal(row, token_id, origin, None), (row.user_id, row.created_at, row.version))

    def _remember(self, hashed: bytes, ids: tuple[int, int]) -> None:
        if self._ids.get(hashed) != ids:
            with self._mutex:
                self._ids[hashed] = ids
                while len(self._ids) > _REMEMBERED:
                    self._ids.popitem(last=False)

    def _note_use(self, row: Any, now: Micros, address: str | None) -> None:
        before = now - NOTE_EVERY
        if row.used_at is not None and row.used_at > before:
            return
        here = (_T.id == row.id) & or_(_T.used_at.is_(None), _T.used_at <= before)
        try:
            with self._database.write() as unit:
                unit.connection.execute(update(DeviceTokenRow).where(here).values(used_at=now, used_address=address))
        except DavserverError as error:
            log.warning("the use of token %d was not written down (%s)", row.id, error.code)

    def _hash(self, secret: str) -> bytes:
        return hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _unfit(row: Any, now: Micros, origin: Origin) -> str | None:
    """Why a token may not be used now, or from there."""
    if row.expires_at is not None and row.expires_at <= now:
        return "This token has expired; make a new one."
    if row.networks is not None and not _is_within(origin.address, row.networks):
        return "This token cannot be used from this network."
    return None


def _principal(row: Any, token_id: int, origin: Origin, prefix: ResourcePath | None) -> Principal:
    return Principal(
        row.user_id,
        row.user_name,
        is_admin=False,  # a drive needs none, and what a device holds gets lost
        hides_trash=bool(row.hides_trash or row.user_hides_trash),
        read_only=bool(row.read_only),
        prefix=prefix,
        origin=replace(origin, device=row.name),
        token_id=token_id,
    )


def _prefix(encoded: str) -> ResourcePath:
    return ResourcePath.parse(encoded, max_depth=1000)


def _networks(given: Sequence[str]) -> list[str]:
    try:
        return [str(ipaddress.ip_network(one.strip(), strict=False)) for one in given]
    except ValueError:
        raise BadRequest("A network is written like 192.168.1.0/24 or 2001:db8::/32.") from None


def _is_within(address: str | None, networks: str) -> bool:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in ipaddress.ip_network(one) for one in networks.split(","))


def _shown(row: Any) -> DeviceToken:
    prefix = None if row.prefix is None else _prefix(row.prefix)
    networks = tuple(row.networks.split(",")) if row.networks else ()
    limits = Limits(prefix, bool(row.read_only), bool(row.hides_trash), networks, row.expires_at)
    return DeviceToken(row.id, row.name, limits, row.created_at, row.used_at, row.used_address)
