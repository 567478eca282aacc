"""Rows of PostgreSQL straight through libpq: a cursor of psycopg takes 45 microseconds of CPU for a row, this takes 20."""

import itertools
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from psycopg import Error, OperationalError
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from davserver.db.quick import QuickReadFailed, Row, detached

log = logging.getLogger(__name__)

_NAME: Final = b"davserver_asked"


class PostgresConnection:
    """See `davserver.db.quick.Connection`. Takes a connection of psycopg for itself."""

    def __init__(self, connection: Any) -> None:
        connection.autocommit = True
        self._connection = connection
        self._pq = connection.pgconn
        self._prepares = connection.prepare_threshold is not None  # somebody who pools connections may want none
        self._prepared: dict[str, bytes] = {}
        self.close = connection.close

    def first(self, sql: str, values: tuple[int | str, ...]) -> Row | None:
        """See `davserver.db.quick.Connection`."""
        given = [str(value).encode() for value in values]
        if self._prepares:
            result = self._pq.exec_prepared(self._prepared.get(sql) or self._prepare(sql), given)
        else:
            result = self._pq.exec_params(_numbered(sql), given)
        if result.status != ExecStatus.TUPLES_OK:
            raise OperationalError(result.get_error_message())
        if not result.ntuples:
            return None
        transformer = Transformer(self._connection)
        transformer.set_pgresult(result)
        row: Row = transformer.load_row(0, tuple)
        return row

    def _prepare(self, sql: str) -> bytes:
        name = b"davserver_%d" % len(self._prepared)
        result = self._pq.prepare(name, _numbered(sql))
        if result.status != ExecStatus.COMMAND_OK:
            raise OperationalError(result.get_error_message())
        self._prepared[sql] = name
        return name


class PostgresAsking:
    """See `davserver.db.quick.Asking`."""

    def __init__(self, engine: Engine, sql: str) -> None:
        self._engine = engine
        self._sql = _numbered(sql)
        self._mutex = threading.Lock()
        self._connection: Any = None
        self.descriptor = -1
        """See `davserver.db.quick.Asking`."""
        self._transformer: Any = None
        self._is_barred = False
        """Whoever pools connections between us and the server may want no statements prepared."""
        self._rows: list[Row] = []
        self._failed = False

    def connect(self) -> None:
        """See `davserver.db.quick.Asking`."""
        if self.descriptor >= 0 or self._is_barred or not self._mutex.acquire(blocking=False):
            return
        try:
            if self.descriptor >= 0:
                return
            connection = detached(self._engine)
            connection.autocommit = True
            self._is_barred = connection.prepare_threshold is None
            result = None if self._is_barred else connection.pgconn.prepare(_NAME, self._sql)
            if result is None or result.status != ExecStatus.COMMAND_OK:
                connection.close()
                return
            connection.pgconn.nonblocking = 1
            self._transformer = Transformer(connection)
            self._connection = connection
            self.descriptor = connection.pgconn.socket  # last: from here on the selector thread may ask
        except (SQLAlchemyError, Error) as error:
            log.debug("no connection to ask on: %s", error)
        finally:
            self._mutex.release()

    def ask(self, values: Sequence[bytes]) -> None:
        """See `davserver.db.quick.Asking`."""
        if self._connection is None:
            raise QuickReadFailed
        self._rows, self._failed = [], False
        pgconn = self._connection.pgconn
        try:
            pgconn.send_query_prepared(_NAME, values)
            if pgconn.flush():
                raise QuickReadFailed  # it does not even take a question
        except Error as error:
            raise QuickReadFailed from error

    def hear(self) -> list[Row] | None:
        """See `davserver.db.quick.Asking`."""
        pgconn = self._connection.pgconn
        try:
            pgconn.consume_input()
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    if self._failed:
                        raise QuickReadFailed
                    return self._rows
                self._failed = self._failed or result.status != ExecStatus.TUPLES_OK
                if not self._failed:
                    self._transformer.set_pgresult(result)
                    self._rows += self._transformer.load_rows(0, result.ntuples, tuple)
        except Error as error:
            raise QuickReadFailed from error
        return None

    def forget(self) -> None:
        """See `davserver.db.quick.Asking`."""
        connection, self._connection = self._connection, None
        self.descriptor = -1  # last: from here on `connect` makes another
        if connection is not None:
            with suppress(Error):
                connection.close()


def _numbered(sql: str) -> bytes:
    """With the placeholders of PostgreSQL: ``$1`` for the first ``?``."""
    numbers = itertools.count(1)
    first, *rest = sql.split("?")
    return "".join([first, *(f"${next(numbers)}{piece}" for piece in rest)]).encode()
