"""The keys that sign statements, by their ids. A new one signs from the moment that it is made, in every process and on every
machine; what the ones before signed is believed until it expires.

A key is derived from the deployment's secret and a salt that lies in the database: whoever has one of the two has no key. As
long as none was ever made, the first key signs, which has no salt and no row.
"""

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select, update

from davserver.db.rows import SigningKeyRow
from davserver.db.units import Database, Unit
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.principal import Door, Origin
from davserver.services.activity import record_stranger

LONGEST: Final = 7 * 86_400 * SECOND
"""No statement counts longer (an invitation does that long), so no key has to."""
FRESH: Final = 5 * SECOND
"""So long a process believes a key without another look whether it still counts."""
_FIRST: Final = b"davserver access token 1"
_ID: Final = re.compile("[0-9a-f]{8}")
_MOST: Final = 100
_K: Final = SigningKeyRow.__table__.c


@dataclass(frozen=True, slots=True)
class ShownKey:
    """What is known of a key; not the key."""

    id: str
    made_at: Micros | None
    """None: it is the first."""
    ends_at: Micros | None
    """From when on nothing that it signed is believed; None while it signs."""


class SigningKeys:
    """The keys over one database and one secret."""

    def __init__(self, database: Database, clock: Clock, secret: bytes) -> None:
        self._database = database
        self._clock = clock
        self._secret = secret
        self._first = hmac.digest(secret, _FIRST, hashlib.sha256)
        self._first_id = hashlib.sha256(self._first).hexdigest()[:8]
        self._mutex = threading.Lock()
        self._seen: dict[str, tuple[bytes, Micros]] = {}

    def current(self) -> tuple[str, bytes]:
        """The id of the key that signs, and the key. One query: signing in is rare."""
        query = select(_K.id, _K.salt).where(_K.ends_at.is_(None)).order_by(_K.made_at.desc(), _K.id).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return (self._first_id, self._first) if row is None else (row.id, self._key(row.salt))

    def find(self, key_id: str) -> bytes | None:
        """The key of that id, when what it signed is still believed. Now and then one query."""
        if not _ID.fullmatch(key_id):
            return None
        now = self._clock()
        seen = self._seen.get(key_id)
        if seen is not None and now < seen[1]:
            return seen[0]
        with self._database.read() as connection:
            row = connection.execute(select(_K.salt, _K.ends_at).where(_K.id == key_id)).one_or_none()
        key = self._first if row is None and key_id == self._first_id else None
        if row is not None and (row.ends_at is None or row.ends_at > now):
            key = self._key(row.salt)
        with self._mutex:
            self._seen.pop(key_id, None)
            if key is not None:
                if len(self._seen) >= _MOST:
                    self._seen.clear()
                self._seen[key_id] = key, now + FRESH
        return key

    def shown(self) -> tuple[ShownKey, ...]:
        """All keys that still count, the one that signs first."""
        now = self._clock()
        with self._database.read() as connection:
            rows = connection.execute(select(_K.id, _K.made_at, _K.salt, _K.ends_at).order_by(_K.made_at.desc())).all()
        found = [ShownKey(r.id, r.made_at if r.salt else None, r.ends_at) for r in rows]
        if not rows:
            return (ShownKey(self._first_id, None, None),)
        return tuple(key for key in found if key.ends_at is None or key.ends_at > now)

    def rotate(self, random: Callable[[int], bytes], *, at_once: bool = False) -> str:
        """Make a key that signs from now on; returns its id.

        `at_once`: what the ones before signed counts no more, after `FRESH` at the latest: everybody signs in again where
        they do not have a refresh token, and reset links and invitations that are on their way are void.
        """
        now = self._clock()
        key_id = random(4).hex()
        ends_at = now if at_once else now + LONGEST
        with self._database.write() as unit:
            self._note_first(unit)
            still = _K.ends_at.is_(None) | (_K.ends_at > ends_at)
            unit.connection.execute(update(SigningKeyRow).where(still).values(ends_at=ends_at))
            values = {"id": key_id, "salt": random(32), "made_at": now, "ends_at": None}
            unit.connection.execute(insert(SigningKeyRow), values)
            detail = f"{key_id}, the ones before are void" if at_once else key_id
            record_stranger(unit, None, Origin(Door.CLI), Action.SIGNING_KEY_ROTATED, now, detail)
        return key_id

    def _note_first(self, unit: Unit) -> None:
        """The first key gets a row when it is not the only one any more, to have an end as the others."""
        known = unit.connection.execute(select(_K.id).where(_K.id == self._first_id)).first()
        if known is None:
            values = {"id": self._first_id, "salt": b"", "made_at": 0, "ends_at": None}
            unit.connection.execute(insert(SigningKeyRow), values)

    def _key(self, salt: bytes) -> bytes:
        if not salt:
            return self._first
        return hmac.digest(self._secret, b"davserver signing key 2" + bytes(salt), hashlib.sha256)
