"""Single rows by primary key, for requests that are answered thousands of times a second.

SQLAlchemy's way to a connection of its pool and back takes 50 to 100 microseconds of CPU, SQLite's way to a row 5. Here a few
connections of the same engine lie ready, on which every statement is its own transaction. What fails here, or finds all of
them taken, is no error yet: the caller asks again through `Database.read`, which knows how to wait, to reconnect and what
to tell.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from davserver.tracing import Tracing

Row = tuple[Any, ...]

MAX_CONNECTIONS: Final = 8
"""Of one process, beside those of the pool."""


class Connection(Protocol):
    """One connection to a database, for one thread at a time."""

    def first(self, sql: str, values: tuple[int | str, ...]) -> Row | None:
        """See `QuickReads.first`. Raises an error of the driver."""

    def close(self) -> None:
        """End it."""


class QuickReadFailed(Exception):
    """Nothing is known; ask in the ordinary way."""


class Asking(Protocol):
    """One statement over and over on a connection of its own, without waiting for the answer. For one thread, but `connect`."""

    descriptor: int
    """Of the connection, readable when something of an answer has come; -1 while there is none."""

    def connect(self) -> None:
        """Have a connection, if there is none and nobody else is at it; waits for it. From any thread. Raises nothing."""

    def ask(self, values: Sequence[bytes]) -> None:
        """Ask, when no answer is awaited. Raises `QuickReadFailed`, also without a connection."""

    def hear(self) -> list[Row] | None:
        """What has come of the answer: all rows, or None when more is to come. Raises `QuickReadFailed`."""

    def forget(self) -> None:
        """End the connection, which may be in the midst of an answer. `connect` makes another."""


class QuickReads:
    """Reads over an engine, from any thread; `close` when nobody reads any more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kind = _kind_of(engine)
        self._errors: Any = engine.dialect.loaded_dbapi.Error
        self._idle: deque[Connection] = deque()
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        """One is taken by every connection that there is."""
        self._tracing: Tracing | None = None
        self._asking: list[Asking] = []

    def trace_with(self, tracing: Tracing) -> None:
        """Tell of each read, in a span of its own."""
        self._tracing = tracing

    def first(self, sql: str, *values: int | str) -> Row | None:
        """The first row, as the driver gives it; `sql` has a ``?`` for each value. Raises `QuickReadFailed`."""
        if self._tracing is None:
            return self._first(sql, values)
        with self._tracing.span("database read"):
            return self._first(sql, values)

    def _first(self, sql: str, values: tuple[int | str, ...]) -> Row | None:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            row = connection.first(sql, values)
        except self._errors as error:
            self._end(connection)
            raise QuickReadFailed from error
        except BaseException:
            self._end(connection)
            raise
        self._idle.append(connection)
        return row

    def asking(self, sql: str) -> Asking:
        """One who asks `sql` again and again; of PostgreSQL."""
        from davserver.db.quick_postgres import PostgresAsking  # noqa: PLC0415 - SQLite needs no psycopg

        asking = PostgresAsking(self._engine, sql)
        self._asking.append(asking)
        return asking

    def close(self) -> None:
        """Give all connections back."""
        for asking in self._asking:
            asking.forget()
        with contextlib.suppress(IndexError):
            while True:
                self._end(self._idle.pop())

    def _connect(self) -> Connection:
        if not self._places.acquire(blocking=False):
            raise QuickReadFailed
        try:
            return self._kind(detached(self._engine))
        except (SQLAlchemyError, self._errors) as error:
            self._places.release()
            raise QuickReadFailed from error
        except BaseException:
            self._places.release()
            raise

    def _end(self, connection: Connection) -> None:
        with contextlib.suppress(self._errors):
            connection.close()
        self._places.release()


def detached(engine: Engine) -> Any:
    """A new connection of the driver, that takes no place in the engine's pool. Raises SQLAlchemy's errors and the driver's."""
    pooled = engine.raw_connection()
    connection: Any = pooled.dbapi_connection
    pooled.detach()
    return connection


class _Sqlite:
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.close = connection.close

    def first(self, sql: str, values: tuple[int | str, ...]) -> Row | None:
        cursor = self._connection.execute(sql, values)
        row: Row | None = cursor.fetchone()
        cursor.close()
        return row


def _kind_of(engine: Engine) -> Callable[[Any], Connection]:
    if engine.dialect.name == "sqlite":
        return _Sqlite
    from davserver.db.quick_postgres import PostgresConnection  # noqa: PLC0415 - SQLite needs no psycopg

    return PostgresConnection
