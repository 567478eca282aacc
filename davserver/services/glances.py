"""What remembered answers need to know of the database, for many requests in one question that no thread waits for."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from davserver.db.units import Database
from davserver.services import accounts, devices
from davserver.services.remembered import Expected, Seen

Wanted: TypeAlias = tuple[Expected, int | None]
"""Who comes, and the id of the revision of theirs whose verdict is asked for."""
Found: TypeAlias = tuple[Seen, str | None]
"""Who that is, and the verdict."""

_ACCOUNT: Final = slice(1, 2 + accounts.GLANCED.count(","))
_TOKEN: Final = slice(_ACCOUNT.stop, _ACCOUNT.stop + 1 + devices.GLANCED.count(","))
_SQL: Final = (
    f"SELECT w.n, {accounts.GLANCED}, {devices.GLANCED}, v.verdict"  # noqa: S608 - constants only
    " FROM unnest(CAST(? AS bigint[]), CAST(? AS bigint[]), CAST(? AS bigint[]))"
    " WITH ORDINALITY AS w(user_id, token_id, revision_id, n)"
    " JOIN users u ON u.id = w.user_id AND u.disabled_at IS NULL JOIN tree t ON t.owner_id = u.id"
    " LEFT JOIN device_token d ON d.id = w.token_id AND d.user_id = u.id AND d.prefix IS NULL"
    " LEFT JOIN revision v ON v.owner_id = u.id AND v.id = w.revision_id"
)


class Glances:
    """One question at a time. For one thread, but `connect`."""

    def __init__(self, database: Database) -> None:
        self._asking = database.quick.asking(_SQL)
        self._wanted: Sequence[Wanted] = ()
        self._places: dict[tuple[int, int | None, int | None], int] = {}
        """Of what was asked: where it stands in the question, from 1."""

    @property
    def descriptor(self) -> int:
        """Of the connection; -1 while there is none."""
        return self._asking.descriptor

    def connect(self) -> None:
        """Have a connection. Waits for it; from any thread."""
        self._asking.connect()

    def ask(self, wanted: Sequence[Wanted]) -> None:
        """Ask about all of these; `descriptor` becomes readable then. Raises `QuickReadFailed`."""
        self._wanted, self._places = wanted, {}
        for expected, revision_id in wanted:
            self._places.setdefault((expected.user_id, expected.token_id, revision_id), len(self._places) + 1)
        self._asking.ask([_array(column) for column in zip(*self._places, strict=True)])

    def hear(self) -> list[Found | None] | None:
        """What is known of each of them, in their order; None when more is to come. Raises `QuickReadFailed`."""
        rows = self._asking.hear()
        if rows is None:
            return None
        by_place = {row[0]: row for row in rows}
        found: list[Found | None] = []
        for expected, revision_id in self._wanted:
            row = by_place.get(self._places[expected.user_id, expected.token_id, revision_id])
            if row is None or (expected.token_id is not None and row[_TOKEN.start] is None):
                found.append(None)
                continue
            seen = expected.seen(row[_ACCOUNT] if expected.token_id is None else row[_TOKEN])
            found.append(None if seen is None else (seen, row[-1]))
        return found

    def forget(self) -> None:
        """Nobody waits for an answer any more."""
        self._asking.forget()


def _array(numbers: Sequence[int | None]) -> bytes:
    return ("{" + ",".join("NULL" if number is None else str(number) for number in numbers) + "}").encode()
