"""Statements that every request runs, handed to the driver without SQLAlchemy's work of building them each time.

SQLAlchemy takes 100 to 300 microseconds of CPU to run a statement, SQLite 5 and PostgreSQL 20. A `Statement` is built and
compiled once for each kind of database. It takes part in the connection's transaction, its errors are SQLAlchemy's, and
listeners to `before_cursor_execute` and `after_cursor_execute` are told, as with any other statement.
"""

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

Row = tuple[Any, ...]
Params = Mapping[str, Any]


class Statement:
    """A statement with named parameters, each an int, str, bytes, bool or None.

    Rows come as the driver gives them: on SQLite a boolean is 0 or 1.
    """

    def __init__(self, clause: ClauseElement, *, columns: Sequence[str] | None = None) -> None:
        self._clause = clause
        self._columns = columns
        self._named: Any = None
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None, dict[str, Any]]] = {}

    def run(self, connection: Connection, params: Params) -> None:
        """Run it for what it does."""
        self._execute(connection, params).close()

    def run_many(self, connection: Connection, params: Sequence[Params]) -> None:
        """Run it once for each of `params`, for what it does. On PostgreSQL all of them are sent at once."""
        if len(params) == 1:
            self.run(connection, params[0])
        elif params:
            self._execute(connection, params).close()

    def rows(self, connection: Connection, params: Params) -> list[Row]:
        """Run it for all of its rows."""
        cursor = self._execute(connection, params)
        try:
            rows: list[Row] = cursor.fetchall()
        finally:
            cursor.close()
        return rows

    def first(self, connection: Connection, params: Params) -> Any | None:
        """Run it for its first row, a named tuple; None when there is none."""
        cursor = self._execute(connection, params)
        try:
            row = cursor.fetchone()
            if row is None:
                return None
            if self._named is None:
                self._named = namedtuple("Named", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
        finally:
            cursor.close()
        return self._named._make(row)

    def one(self, connection: Connection, params: Params) -> Any:
        """Run it for its only row, a named tuple. Raises LookupError when there is none."""
        row = self.first(connection, params)
        if row is None:
            raise LookupError(f"no row for: {self._clause}")
        return row

    def _execute(self, connection: Connection, params: Params | Sequence[Params]) -> Any:
        sql, order, constants = self._compiled.get(connection.dialect.name) or self._compile(connection)
        is_one = isinstance(params, Mapping)
        given: Any = _given(constants, params, order) if is_one else [_given(constants, one, order) for one in params]
        cursor = connection.connection.cursor()
        try:
            for tell in connection.dispatch.before_cursor_execute or ():
                sql, given = tell(connection, cursor, sql, given, None, not is_one)
            if is_one:
                cursor.execute(sql, given)
            else:
                cursor.executemany(sql, given)
            for tell in connection.dispatch.after_cursor_execute or ():
                tell(connection, cursor, sql, given, None, not is_one)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _translated(connection, cursor, sql, given, error) from error
        return cursor

    def _compile(self, connection: Connection) -> tuple[str, tuple[str, ...] | None, dict[str, Any]]:
        compiled = self._clause.compile(dialect=connection.dialect, column_keys=self._columns)
        order = compiled.positiontup if compiled.positional else None  # type: ignore[attr-defined]
        # A constant of the statement, such as the 1 of `version + 1`, is a parameter with its value in the statement.
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        made = (str(compiled), None if order is None else tuple(order), constants)
        self._compiled[connection.dialect.name] = made
        return made


def _given(constants: dict[str, Any], params: Any, order: tuple[str, ...] | None) -> Any:
    """The values of one run as the driver takes them: by name, or in order."""
    values = {**constants, **params}
    return values if order is None else tuple([values[name] for name in order])


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """Statements that are run for what they do alone go to PostgreSQL in one packet, and are waited for at the end.

    One that fails raises then, and undoes all of them with the transaction.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    try:
        with connection.connection.dbapi_connection.pipeline():  # type: ignore[union-attr]
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, None, "(several)", None, error) from error


def _translated(connection: Connection, cursor: Any, sql: str, params: Any, error: Any) -> Exception:
    """What SQLAlchemy itself would raise; a connection that is dead is not given back to the pool."""
    is_gone = connection.dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
    wrapped: Exception = DBAPIError.instance(
        sql,
        params,
        error,
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_gone,
        dialect=connection.dialect,
    )
    if is_gone:
        connection.invalidate(error)
    return wrapped
