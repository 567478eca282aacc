"""What users set for themselves, and what other services ask about it."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, select, update

from davserver.db.rows import UserRow
from davserver.db.units import Database
from davserver.domain.activity import Action
from davserver.domain.clock import SECOND, Clock, Micros
from davserver.domain.errors import BadRequest
from davserver.domain.preferences import USUAL_NOTICES, UTC_NAME, Notice, Preferences, check_time_zone
from davserver.domain.principal import Principal
from davserver.services.activity import record
from davserver.services.credentials import check_credential

_U: Final = UserRow.__table__.c
_COLUMNS: Final = (_U.trash_retention, _U.hides_trash, _U.hides_quota, _U.time_zone, _U.notices)


class UserSettings:
    """Use cases on a user's own settings. `longest`: what the server keeps in the trash, at most."""

    def __init__(self, database: Database, clock: Clock, longest: Micros) -> None:
        self._database = database
        self._clock = clock
        self.longest = longest

    def of(self, principal: Principal) -> Preferences:
        """What the user has set."""
        with self._database.read() as connection:
            return preferences_of(connection, principal.user_id)

    def change(self, principal: Principal, change: Callable[[Preferences], Preferences]) -> Preferences:
        """Set what `change` makes of what is set, within one unit; what it raises undoes all. Returns what is set now.

        A new retention counts for what is discarded from then on. Raises `BadRequest`, `ReadOnlyToken`, `Unauthenticated`.
        """
        principal.check_write()
        with self._database.write() as unit:
            now = self._clock()
            check_credential(unit.connection, principal, now)
            before = preferences_of(unit.connection, principal.user_id, lock=True)
            wanted = change(before)
            changed = [name for name in Preferences.__slots__ if getattr(before, name) != getattr(wanted, name)]
            if changed:
                self._check(wanted)
                mine = update(UserRow).where(_U.id == principal.user_id)
                unit.connection.execute(mine.values(_values(wanted)))
                record(unit, principal, Action.SETTINGS_CHANGED, now, detail=", ".join(changed))
        return wanted

    def wants(self, user_id: int, notice: Notice) -> bool:
        """Whether a user wants to be told of this by mail."""
        with self._database.read() as connection:
            return wants(connection, user_id, notice)

    def _check(self, wanted: Preferences) -> None:
        check_time_zone(wanted.time_zone)
        retention = wanted.trash_retention
        if retention is not None and not 0 <= retention <= self.longest:
            raise BadRequest(f"This server keeps what was deleted for at most {self.longest // SECOND} seconds.")


def wants(connection: Connection, user_id: int, notice: Notice) -> bool:
    """The same, inside a unit. Of a user that there is not: no."""
    row = connection.execute(select(_U.notices).where(_U.id == user_id)).first()
    return row is not None and notice in _notices(row.notices)


def time_zone_of(connection: Connection, user_id: int) -> str:
    """The name of the user's time zone."""
    found: str | None = connection.execute(select(_U.time_zone).where(_U.id == user_id)).scalar()
    return found or UTC_NAME


def preferences_of(connection: Connection, user_id: int, *, lock: bool = False) -> Preferences:
    """What a user has set; with `lock`, nobody else sets anything before the unit ends."""
    query = select(*_COLUMNS).where(_U.id == user_id)
    row: Any = connection.execute(query.with_for_update() if lock else query).one()
    return Preferences(
        row.trash_retention, row.hides_trash, row.hides_quota, row.time_zone or UTC_NAME, _notices(row.notices)
    )


def _notices(stored: str | None) -> frozenset[Notice]:
    if stored is None:
        return USUAL_NOTICES
    # A later release may know more of them.
    return frozenset(notice for notice in Notice if notice in stored.split(","))


def _values(wanted: Preferences) -> dict[str, Any]:
    return {
        "trash_retention": wanted.trash_retention,
        "hides_trash": wanted.hides_trash,
        "hides_quota": wanted.hides_quota,
        "time_zone": wanted.time_zone,
        "notices": None if wanted.notices == USUAL_NOTICES else ",".join(sorted(wanted.notices)),
    }
