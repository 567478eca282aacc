"""Download links: a file or a folder for whoever has a token, without an account.

A link belongs to a resource, not to a path: it goes along when that is moved or renamed, leads nowhere while that is in the
trash, and goes for good with it. The token is 32 random bytes, of which the database has a hash. Nothing about a link is
remembered in a process, so what is taken back ends with the next request, everywhere.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update

from davserver.crypto.segments import Random
from davserver.db.rows import LinkRow, LinkUseRow, UserRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, SECOND, Clock, Micros
from davserver.domain.errors import BadRequest, Forbidden, LinkOver, LinkPasswordNeeded, NotFound
from davserver.domain.link import Link, NewLink
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Origin, Principal
from davserver.domain.resource import Resource
from davserver.jobs.runner import Handler, Work
from davserver.services.activity import record, record_stranger
from davserver.services.lookup import places_of, resolve
from davserver.services.passwords import PasswordHasher
from davserver.services.throttle import Throttle

EXPIRE_LINKS: Final = "expire_links"
PERIODS: Final[Mapping[str, Micros]] = {EXPIRE_LINKS: HOUR}
SAME_DOWNLOAD: Final = 24 * HOUR
"""So long, parts that a client asks for belong to the download that it began."""
KEPT_AFTER_END: Final = 30 * 24 * HOUR
"""So long its owner still sees a link that has ended."""
TICKET_LIFE: Final = HOUR
MAX_NAME_CHARS: Final = 200
_TOKEN_BYTES: Final = 32
_LINK: Final = LinkRow.__table__.c


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What a link is to be like."""

    name: str = ""
    password: str | None = None
    expires_at: Micros | None = None
    max_uses: int | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who comes with a token, as far as is known."""

    origin: Origin
    program: str = ""
    """What it calls itself (User-Agent)."""
    password: str | None = None
    ticket: str | None = None
    """What `Links.ticket` gave it when it showed the password."""


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """What somebody with a token may see: `resource`, at `path`, and what is below it, on behalf of `principal`."""

    link: Link
    principal: Principal
    path: ResourcePath
    resource: Resource
    client: str
    """Stands for the visitor, for `Links.begin_download`."""


class Links:
    """Use cases on links. `secret` keys the hashes of visitors and the tickets."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        random: Random,
        secret: bytes,
        *,
        hasher: PasswordHasher,
        throttle: Throttle,
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._secret = hmac.digest(secret, b"davserver links", hashlib.sha256)
        self._hasher = hasher
        self._throttle = throttle

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What does which kind of job."""
        return {EXPIRE_LINKS: self.expire}

    def create(self, principal: Principal, path: ResourcePath, wish: LinkWish) -> NewLink:
        """A link to what is at `path`. Raises `NotFound`, `Forbidden` (the trash; a token that is limited), `BadRequest`."""
        _check_may_share(principal, path)
        self._check_wish(wish)
        password_hash = None if wish.password is None else self._hasher.hash(wish.password)
        token = self._random(_TOKEN_BYTES).hex()
        with self._database.write() as unit:
            chain = resolve(unit.connection, principal, path)
            target = chain.must_exist()
            if chain.is_in_trash:
                raise Forbidden("What is in the trash is not shared.")
            values = {
                "owner_id": principal.owner_id, "resource_id": target.id, "token_hash": _hash_of(token),
                "name": wish.name or target.name, "password_hash": password_hash, "expires_at": wish.expires_at,
                "max_uses": wish.max_uses, "uses": 0, "created_at": self._clock(), "used_at": None,
            }  # fmt: skip
            row = unit.connection.execute(insert(LinkRow).values(values).returning(*_LINK)).one()
            record(unit, principal, Action.LINK_CREATED, row.created_at, path, detail=row.name)
        return NewLink(_link(row, path), token)

    def links(
        self, principal: Principal, *, after: int | None = None, limit: int = 100, path: ResourcePath | None = None
    ) -> list[Link]:
        """Up to `limit` links, the newest first, from the one behind id `after` on; only those to `path`, when given.

        Two queries. Raises `NotFound` when nothing is at `path`.
        """
        query = select(*_LINK).where(_LINK.owner_id == principal.owner_id).order_by(_LINK.id.desc()).limit(limit)
        if after is not None:
            query = query.where(_LINK.id < after)
        with self._database.read() as connection:
            if path is not None:
                target = resolve(connection, principal, path).must_exist()
                query = query.where(_LINK.resource_id == target.id)
            return _links(connection, principal, connection.execute(query).all())

    def find(self, principal: Principal, link_id: int) -> Link:
        """One link. Raises `NotFound`."""
        own = (_LINK.owner_id == principal.owner_id) & (_LINK.id == link_id)
        with self._database.read() as connection:
            found = _links(connection, principal, connection.execute(select(*_LINK).where(own)).all())
        if not found:
            raise NotFound("There is no such link.")
        return found[0]

    def revoke(self, principal: Principal, link_id: int) -> None:
        """Take a link back: from the next request on it leads nowhere. Raises `NotFound`, `Forbidden`."""
        link = self.find(principal, link_id)
        _check_may_share(principal, link.path)
        with self._database.write() as unit:
            own = (_LINK.owner_id == principal.owner_id) & (_LINK.id == link_id)
            if not unit.connection.execute(delete(LinkRow).where(own)).rowcount:
                raise NotFound("There is no such link.")
            record(unit, principal, Action.LINK_REVOKED, self._clock(), link.path, detail=link.name)

    def open(self, token: str, visitor: Visitor) -> OpenedLink:
        """What a token leads to.

        Raises `LinkOver`, `LinkPasswordNeeded` while the password is not shown, and `TooManyRequests`.
        """
        self._throttle.link(visitor.origin.address)
        now = self._clock()
        with self._database.read() as connection:
            row = _find_open(connection, token, now)
            path = places_of(connection, row.owner_id, [row.resource_id]).get(row.resource_id)
            resource = None if path is None else resolve(connection, row.owner_id, path).target
            client = self._client(row.id, visitor)
            is_spent = row.max_uses is not None and row.uses >= row.max_uses
            if path is None or resource is None or resource.id != row.resource_id:
                raise LinkOver
            if is_spent and not _has_begun(connection, row.id, client, now):
                raise LinkOver
        if row.password_hash is not None and not self._is_shown(row, visitor, now):
            raise LinkPasswordNeeded
        principal = Principal(row.owner_id, row.owner, read_only=True, prefix=path, origin=visitor.origin)
        return OpenedLink(_link(row, path), principal, path, resource, client)

    def ticket(self, token: str, visitor: Visitor) -> str | None:
        """What a browser that showed the password shows from then on, for an hour; None for a link without a password.

        Raises what `open` does.
        """
        self.open(token, visitor)
        now = self._clock()
        with self._database.read() as connection:
            row = _find_open(connection, token, now)
        return None if row.password_hash is None else self._sign(row, now + TICKET_LIFE)

    def begin_download(self, opened: OpenedLink, *, is_part: bool) -> None:
        """Count a use, before the first byte goes out. Raises `LinkOver` when there is none left.

        A request for a part (Range) is none when the same client has begun a download in the last 24 hours: one that goes on
        after a break, or a player that jumps, uses the link once.
        """
        now = self._clock()
        link_id = opened.link.id
        if is_part:
            with self._database.read() as connection:
                if _has_begun(connection, link_id, opened.client, now):
                    return
        has_left = _LINK.max_uses.is_(None) | (_LINK.uses < _LINK.max_uses)
        counted = update(LinkRow).where(_LINK.id == link_id, has_left).values(uses=_LINK.uses + 1, used_at=now)
        own = (LinkUseRow.link_id == link_id) & (LinkUseRow.client == opened.client)
        with self._database.write() as unit:
            if not unit.connection.execute(counted).rowcount:
                raise LinkOver
            if not unit.connection.execute(update(LinkUseRow).where(own).values(began_at=now)).rowcount:
                values = {"link_id": link_id, "client": opened.client, "began_at": now}
                unit.connection.execute(insert(LinkUseRow), values)
                who = opened.principal
                record_stranger(unit, who.owner_id, who.origin, Action.LINK_OPENED, now, opened.link.name)

    def expire(self, work: Work) -> None:
        """Forget who has used links, a day after; and links that ended a month ago."""
        work.keep()
        now = self._clock()
        with self._database.write() as unit:
            unit.connection.execute(delete(LinkUseRow).where(LinkUseRow.began_at <= now - SAME_DOWNLOAD))
            unit.connection.execute(delete(LinkRow).where(LinkRow.expires_at <= now - KEPT_AFTER_END))

    def _check_wish(self, wish: LinkWish) -> None:
        if len(wish.name) > MAX_NAME_CHARS or not wish.name.isprintable():
            raise BadRequest(f"The name of a link has at most {MAX_NAME_CHARS} characters, none of them a control one.")
        if wish.expires_at is not None and wish.expires_at <= self._clock():
            raise BadRequest("The link would have ended already.")
        if wish.max_uses is not None and not 1 <= wish.max_uses < 2**31:
            raise BadRequest("A link can be used once at least.")

    def _client(self, link_id: int, visitor: Visitor) -> str:
        who = f"{link_id}\0{visitor.origin.address}\0{visitor.program}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, who, hashlib.sha256).hex()

    def _is_shown(self, row: Any, visitor: Visitor, now: Micros) -> bool:
        if visitor.ticket is not None:
            until = visitor.ticket.partition(".")[0]
            if until.isascii() and until.isdigit() and len(until) <= 18 and int(until) > now // SECOND:
                expected = self._sign(row, int(until) * SECOND)
                if hmac.compare_digest(expected.encode(), visitor.ticket.encode("utf-8", "surrogatepass")):
                    return True
        if visitor.password is None:
            return False
        self._throttle.before_link_password(str(row.id), visitor.origin.address)
        if self._hasher.verify(visitor.password, row.password_hash):
            return True
        self._throttle.wrong_link_password(str(row.id), visitor.origin.address)
        return False

    def _sign(self, row: Any, until: Micros) -> str:
        # The hash of the password is part of it: another password, or another link of the same number, voids it.
        said = f"{row.id}\0{row.token_hash}\0{row.password_hash}\0{until // SECOND}".encode()
        return f"{until // SECOND}.{hmac.digest(self._secret, said, hashlib.sha256).hex()}"


def _check_may_share(principal: Principal, path: ResourcePath | None) -> None:
    principal.check_write()
    if path is not None:
        principal.check_reach(path)
    elif principal.prefix is not None:
        raise NotFound("There is no such link.")


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _find_open(connection: Connection, token: str, now: Micros) -> Any:
    is_open = _LINK.expires_at.is_(None) | (_LINK.expires_at > now)
    query = (
        select(*_LINK, UserRow.name.label("owner"))
        .join(UserRow, UserRow.id == _LINK.owner_id)
        .where(_LINK.token_hash == _hash_of(token), is_open, UserRow.disabled_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise LinkOver
    return row


def _has_begun(connection: Connection, link_id: int, client: str, now: Micros) -> bool:
    own = (LinkUseRow.link_id == link_id) & (LinkUseRow.client == client)
    recent = LinkUseRow.began_at > now - SAME_DOWNLOAD
    return connection.execute(select(func.count()).where(own, recent)).scalar_one() > 0


def _links(connection: Connection, principal: Principal, rows: Any) -> list[Link]:
    places = places_of(connection, principal.owner_id, {row.resource_id for row in rows}) if rows else {}
    made = [_link(row, places.get(row.resource_id)) for row in rows]
    prefix = principal.prefix
    if prefix is None:
        return made
    return [link if link.path and link.path.is_within(prefix) else replace(link, path=None, name="") for link in made]


def _link(row: Any, path: ResourcePath | None) -> Link:
    return Link(
        id=row.id,
        name=row.name,
        path=path,
        has_password=row.password_hash is not None,
        expires_at=row.expires_at,
        max_uses=row.max_uses,
        uses=row.uses,
        created_at=row.created_at,
        used_at=row.used_at,
    )
