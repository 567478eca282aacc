"""Statements that every request runs, handed to the driver without SQLAlchemy's work of building them each time.

SQLAlchemy takes 100 to 300 microseconds of CPU to run a statement, SQLite 5 and PostgreSQL 20. A `Statement` is built and
compiled once for each kind of database. It takes part in the connection's transaction, its errors are SQLAlchemy's, and
listeners to `before_cursor_execute` and `after_cursor_execute` are told, as with any other statement.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
        return self.ask(connection, params).rows()

    def first(self, connection: Connection, params: Params) -> Any | None:
        """Run it for its first row, a named tuple; None when there is none."""
        return self.ask(connection, params).first()

    def ask(self, connection: Connection, params: Params) -> "Asked":
        """Begin to run it. Within `in_packets`, several are asked before the first answer is waited for."""
        return Asked(self, connection, self._execute(connection, params))

    def one(self, connection: Connection, params: Params) -> Any:
        """Run it for its only row, a named tuple. Raises LookupError when there is none."""
        row = self.first(connection, params)
        if row is None:
            raise LookupError(f"no row for: {self._clause}")
        return row

    def named(self, cursor: Any, row: Row) -> Any:
        """The row as a named tuple."""
        if self._named is None:
            self._named = namedtuple("Named", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
        return self._named._make(row)

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


class Asked:
    """A statement under way; its rows are to be fetched once."""

    def __init__(self, statement: Statement, connection: Connection, cursor: Any) -> None:
        self._statement = statement
        self._connection = connection
        self._cursor = cursor

    def rows(self) -> list[Row]:
        """All rows."""
        with self._fetching():
            rows: list[Row] = self._cursor.fetchall()
        return rows

    def first(self) -> Any | None:
        """The first row, a named tuple; None when there is none."""
        with self._fetching():
            row = self._cursor.fetchone()
            return None if row is None else self._statement.named(self._cursor, row)

    @contextmanager
    def _fetching(self) -> Iterator[None]:
        try:
            yield
        except self._connection.dialect.loaded_dbapi.Error as error:
            raise _translated(self._connection, self._cursor, "(its rows)", None, error) from error
        finally:
            self._cursor.close()


def _given(constants: dict[str, Any], params: Any, order: tuple[str, ...] | None) -> Any:
    """The values of one run as the driver takes them: by name, or in order."""
    values = {**constants, **params}
    return values if order is None else tuple([values[name] for name in order])


@contextmanager
def in_packets(connection: Connection) -> Iterator[Callable[[], None]]:
    """Statements go to PostgreSQL in few packets: when an answer is waited for, all that was begun before goes with it.

    For each `Statement` that is only run, an error is raised later, and undoes the transaction all the same. SQLAlchemy's own
    statements need what this gives to end it before. On SQLite, all of this is nothing.
    """
    if connection.dialect.name != "postgresql":
        yield lambda: None
        return
    with ExitStack() as packets:
        packets.enter_context(_raising_as_sqlalchemy(connection))
        packets.enter_context(connection.connection.dbapi_connection.pipeline())  # type: ignore[union-attr]
        yield packets.close


@contextmanager
def _raising_as_sqlalchemy(connection: Connection) -> Iterator[None]:
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(connection, None, "(several)", None, error) from error


def _translated(connection: Connection, cursor: Any, sql: str, params: Any, error: Any) -> Exception:
    """What SQLAlchemy itself would raise; a connection that is dead is not given back to the pool."""
    if connection.invalidated:
        is_gone = True
    else:
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
    if is_gone and not connection.invalidated:
        # As SQLAlchemy does: the others of the pool will hardly be there either.
        connection.engine.pool._invalidate(connection.connection, error)  # noqa: SLF001
        connection.invalidate(error)
    return wrapped
