"""Single rows by primary key, for requests that are answered thousands of times a second.

SQLAlchemy's way to a connection of its pool and back takes 50 to 100 microseconds of CPU, SQLite's way to a row 5. Here each
thread keeps a connection of its own, of the same engine, on which every statement is its own transaction. What fails here is
no error yet: the caller asks again through `Database.read`, which knows how to wait, to reconnect and what to tell.
"""

import contextlib
import threading
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

Row = tuple[Any, ...]


class QuickReadFailed(Exception):
    """Nothing is known; ask in the ordinary way."""


class QuickReads:
    """Reads over an engine; `close` when no thread reads any more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._own = threading.local()
        self._mutex = threading.Lock()
        self._open: set[Any] = set()

    def first(self, sql: str, *values: int | str) -> Row | None:
        """The first row, as the driver gives it; `sql` has a ``?`` for each value. Raises `QuickReadFailed`."""
        connection = getattr(self._own, "connection", None) or self._connect()
        try:
            cursor = connection.execute(sql if self._is_sqlite else sql.replace("?", "%s"), values)
            row: Row | None = cursor.fetchone()
            cursor.close()
        except self._engine.dialect.loaded_dbapi.Error as error:
            self._drop(connection)
            raise QuickReadFailed from error
        return row

    def close(self) -> None:
        """Give all connections back."""
        with self._mutex:
            connections, self._open = self._open, set()
            self._own = threading.local()
        for connection in connections:
            connection.close()

    def _connect(self) -> Any:
        try:
            pooled = self._engine.raw_connection()
            connection: Any = pooled.dbapi_connection
            pooled.detach()  # it is this thread's from now on, and takes no place in the pool
            if not self._is_sqlite:
                connection.autocommit = True
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error) as error:
            raise QuickReadFailed from error
        with self._mutex:
            self._open.add(connection)
        self._own.connection = connection
        return connection

    def _drop(self, connection: Any) -> None:
        self._own.connection = None
        with self._mutex:
            self._open.discard(connection)
        with contextlib.suppress(self._engine.dialect.loaded_dbapi.Error):
            connection.close()
