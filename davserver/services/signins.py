"""Sign-ins in the activity log: the good ones now and then, the bad ones within bounds. For services only.

WebDAV clients send the password with every request. Of what is right one entry an hour is enough, and a request costs one look
into a dictionary. Of what is wrong the first is noted at once, and those of the same minute are counted: whoever guesses
passwords cannot fill the disk with the log of it.
"""

import logging
import threading
from collections import OrderedDict
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, Generic, TypeVar

from sqlalchemy import bindparam, func, select, text

from davserver.db.rows import ActivityRow
from davserver.db.statements import Statement
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import HOUR, SECOND, Clock, Micros
from davserver.domain.errors import DavserverError
from davserver.domain.preferences import Notice
from davserver.domain.principal import Door, Origin, Principal
from davserver.services.activity import record, record_stranger
from davserver.services.post import SILENT, Post

log = logging.getLogger(__name__)

SEEN: Final = HOUR
"""A sign-in by the same user through the same door, from the same address, with the same device is noted once in so long."""
QUIET: Final = 60 * SECOND
"""After a wrong password, further ones for the same account from the same address are only counted for so long."""
MOST_FAILURES: Final = 60
"""Wrong passwords that one process notes in `QUIET`, for all accounts and addresses together."""
MOST_REMEMBERED: Final = 10_000

K = TypeVar("K")
V = TypeVar("V")

_activity = ActivityRow.__table__.c
_LAST: Final = Statement(
    select(func.max(_activity.at)).where(
        text("is_audit"),
        _activity.owner_id == bindparam("owner"),
        _activity.at > bindparam("since"),
        _activity.action == Action.SIGNED_IN.value,
        _activity.door == bindparam("door"),
        func.coalesce(_activity.address, "") == bindparam("address"),
        func.coalesce(_activity.device, "") == bindparam("device"),
    )
)

REMEMBERED_PLACES: Final = 90 * 24 * HOUR
"""From where somebody signed in so long ago or later is no new place."""
_PLACES: Final = (
    select(_activity.address)
    .where(
        text("is_audit"),
        _activity.owner_id == bindparam("owner"),
        _activity.at > bindparam("since"),
        _activity.action == Action.SIGNED_IN.value,
    )
    .distinct()
    .limit(1_000)
)


def network_of(address: str | None) -> IPv4Network | IPv6Network | None:
    """What counts as one place: phones and homes change their address within a network all the time. None: this machine."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None) or found
    return ip_network((mapped, 24 if mapped.version == 4 else 48), strict=False)


class SignIns:
    """What doors tell of those who sign in. Never raises a `DavserverError`: nobody is shut out because a note failed."""

    def __init__(self, database: Database, clock: Clock, *, post: Post = SILENT) -> None:
        self._database = database
        self._clock = clock
        self._post = post
        self._seen: _Recent[tuple[int, Origin], Micros] = _Recent()
        self._failed: _Recent[tuple[str, Door, str | None], tuple[Micros, int]] = _Recent()
        self._mutex = threading.Lock()
        self._window = (0, 0)

    def good(self, principal: Principal) -> None:
        """Somebody signed in; noted when they had not for a while."""
        key = (principal.user_id, principal.origin)
        until = self._seen.get(key)
        now = self._clock()
        if until is not None and now < until:
            return
        self._seen.put(key, now + SEEN)  # before the note is made: others that come now do not make it too
        try:
            self._note_good(principal, now)
        except DavserverError as error:
            log.warning("the sign-in of user %d was not noted (%s)", principal.user_id, error.code)

    def bad(self, account: str, user_id: int | None, origin: Origin, reason: str) -> None:
        """Somebody was refused. `account`: the key of the name; `user_id`: whose it is, None when there is none of that name.

        What was given as a name is not noted then: people type passwords there. A name that nobody has costs what one costs
        that somebody has, entry for entry, or the time of an answer would tell the two apart.
        """
        key = (account, origin.door, origin.address)
        now = self._clock()
        until, uncounted = self._failed.get(key) or (0, 0)
        if now < until:
            self._failed.put(key, (until, uncounted + 1))
            return
        if not self._is_room(now):
            return
        self._failed.put(key, (now + QUIET, 0))
        detail = f"{reason}; {uncounted} more since the last entry" if uncounted else reason
        try:
            with self._database.write() as unit:
                record_stranger(unit, user_id, origin, Action.SIGN_IN_FAILED, now, detail)
        except DavserverError as error:
            log.warning("a sign-in that was refused was not noted (%s)", error.code)

    def _note_good(self, principal: Principal, now: Micros) -> None:
        origin = principal.origin
        wanted = {"owner": principal.user_id, "since": now - SEEN, "door": origin.door.value}
        where = {"address": origin.address or "", "device": origin.device or ""}
        with self._database.read() as connection:
            last = _LAST.one(connection, {**wanted, **where})[0]  # another process may have seen them
        if last is not None:
            self._seen.put((principal.user_id, origin), last + SEEN)
            return
        with self._database.write() as unit:
            is_new = self._post.is_on and self._is_from_a_new_place(unit, principal, now)
            record(unit, principal, Action.SIGNED_IN, now)
            if is_new:
                about = {"address": origin.address or ""}
                self._post.notify(unit, principal.user_id, Notice.NEW_SIGN_IN, now, **about)

    def _is_from_a_new_place(self, unit: Unit, principal: Principal, now: Micros) -> bool:
        """Whether they signed in before, and never from this network; the first time is no news. One query."""
        here = network_of(principal.origin.address)
        known = unit.connection.execute(_PLACES, {"owner": principal.user_id, "since": now - REMEMBERED_PLACES})
        places = {network_of(address) for address in known.scalars()}
        return here is not None and bool(places) and here not in places

    def _is_room(self, now: Micros) -> bool:
        with self._mutex:
            began, count = self._window
            if now - began >= QUIET:
                began, count = now, 0
            self._window = (began, count + 1)
            if count == MOST_FAILURES:
                log.warning("more sign-ins fail than are noted, %d a minute", MOST_FAILURES)
            return count < MOST_FAILURES


class _Recent(Generic[K, V]):
    """The last things by their keys: bounded, and safe to use from several threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._items.get(key)

    def put(self, key: K, value: V) -> None:
        with self._mutex:
            self._items[key] = value
            self._items.move_to_end(key)
            while len(self._items) > MOST_REMEMBERED:
                self._items.popitem(last=False)
