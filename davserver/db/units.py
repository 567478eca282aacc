"""Units: a transaction, on SQLite and PostgreSQL alike.

`Database.read` gives a connection for queries; `Database.write` a `Unit` that commits at its end or undoes everything. No
body byte and no network call belongs inside either. What must follow a commit (a bell) is told with `Unit.after_commit`.
"""

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from davserver.db.quick import QuickReads
from davserver.db.statements import in_packets
from davserver.domain.errors import DatabaseUnavailable, StoreFull
from davserver.tracing import Tracing

log = logging.getLogger(__name__)


def _without_trace(record: logging.LogRecord) -> bool:
    """A connection that breaks on its way back to the pool is news, but no fault in here: one line, and no trace."""
    if record.exc_info and isinstance(record.exc_info[1], Exception):
        record.msg, record.args = "a connection to the database broke: %s", (record.exc_info[1],)
        record.exc_info = None
    return True


logging.getLogger("sqlalchemy.pool.impl.QueuePool").addFilter(_without_trace)

SQLITE_BUSY_MS: Final = 20_000
_PAUSE: Final = 0.005
PG_LOCK_TIMEOUT_MS: Final = 15_000
PG_STATEMENT_TIMEOUT_MS: Final = 60_000
PG_TRUSTED_SECONDS: Final = 1.0
"""A connection that was used so lately is taken to be there. One that is older is asked first: PostgreSQL may have restarted."""
_PG_JOINS: Final = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material")
_PG_BY_INDEX: Final = " ".join([*(f"-c {setting}=off" for setting in _PG_JOINS), "-c random_page_cost=1.1"])
"""A use case walks from the few rows that it is about to others, by an index. By statistics that are old, as they are while a
tree grows, PostgreSQL would rather read all rows of the owner: COPY of one file took 300 ms in a tree of 100,000."""


class Unit:
    """A transaction under way."""

    def __init__(
        self,
        connection: Connection,
        bell: Callable[[], None] = lambda: None,
        end_packets: Callable[[], None] = lambda: None,
    ) -> None:
        self.connection = connection
        self.end_packets = end_packets
        """From now on each statement is waited for (`Database.write_in_packets`)."""
        self._bell = bell
        self._after_commit: list[Callable[[], None]] = []

    def ring(self) -> None:
        """Tell whoever does background work to look, once the transaction is durable."""
        if self._bell not in self._after_commit:
            self._after_commit.append(self._bell)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do `action` once the transaction is durable; never when it is undone."""
        self._after_commit.append(action)

    def _committed(self) -> None:
        for action in self._after_commit:
            action()


class Database:
    """The database behind a URL, ``sqlite:///PATH`` or ``postgresql://...``."""

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        parsed = normalise_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(parsed) if self.is_sqlite else _postgresql_engine(parsed, pool_size)
        self.quick = QuickReads(self.engine)
        self._writer = self.engine.execution_options(davserver_write=True)
        self._packer = self.engine.execution_options(davserver_packets=True, isolation_level="AUTOCOMMIT")
        self._gate = _WriterGate(parsed) if self.is_sqlite else None
        self._bell: Callable[[], None] = lambda: None
        self._span: Callable[[str], AbstractContextManager[object]] = _no_span

    def trace_with(self, tracing: Tracing) -> None:
        """Tell of each unit and each read, in a span of its own."""
        self._span = tracing.span
        self.quick.trace_with(tracing)

    def ring_with(self, bell: Callable[[], None]) -> None:
        """Call `bell` after each unit that left work to do. It must neither wait nor raise."""
        self._bell = bell

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for queries. Each query sees what is committed when it starts."""
        with self._span("database read"), _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose queries all see one moment, however long they take together; for what reads whole tables."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with (
            self._span("database read"),
            _translated(),
            self.engine.connect().execution_options(**options) as connection,
        ):
            if not self.is_sqlite:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                for setting in _PG_JOINS:
                    connection.exec_driver_sql(f"SET LOCAL {setting} = on")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """A unit: commits when the block ends, undoes all of it when the block raises."""
        writer = self._writer
        with self._span("database write"), _translated(), self._gate or nullcontext(), writer.begin() as connection:
            unit = Unit(connection, self._bell)
            yield unit
        unit._committed()  # noqa: SLF001 - the two are one piece

    @contextmanager
    def write_in_packets(self) -> Iterator[Unit]:
        """As `write`, for a unit of a `Statement` each: to PostgreSQL they go in few packets (`statements.in_packets`)."""
        if self.is_sqlite:
            with self.write() as unit:
                yield unit
            return
        with (
            self._span("database write"),
            _translated(),
            self._packer.connect() as connection,
            in_packets(connection) as end_packets,
            connection.begin(),
        ):
            unit = Unit(connection, self._bell, end_packets)
            yield unit
        unit._committed()  # noqa: SLF001 - the two are one piece

    def close(self) -> None:
        """Give all connections back."""
        self.quick.close()
        self.engine.dispose()
        if self._gate is not None:
            self._gate.close()


def _no_span(_: str) -> AbstractContextManager[object]:
    return nullcontext()


def normalise_url(url: str) -> URL:
    """The URL with the driver that is used here."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


class _WriterGate:
    """One writer at a time, across threads and processes, first come first served as far as the system does so.

    SQLite takes one writer at a time anyway, but makes the others poll with sleeps of up to 100 ms; waiting on a file lock
    wakes the next one at once.
    """

    def __init__(self, url: URL) -> None:
        self._mutex = threading.Lock()
        database = url.database or ""
        self._path = None if database in {"", ":memory:"} else Path(database + "-writer")
        self._file: int | None = None
        self._pid = -1

    def __enter__(self) -> None:
        self._mutex.acquire()
        if self._path is None:
            return
        try:
            if self._file is None or self._pid != os.getpid():
                # A descriptor from before a fork would share its lock with the parent's.
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._pid = os.getpid()
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            self._mutex.release()
            raise DatabaseUnavailable from error
        except BaseException:
            self._mutex.release()
            raise

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._path is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._mutex.release()

    def close(self) -> None:
        if self._file is not None and self._pid == os.getpid():
            with suppress(OSError):
                os.close(self._file)
        self._file = None


def _sqlite_engine(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=32, max_overflow=32, connect_args={"timeout": SQLITE_BUSY_MS / 1000})

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _record: Any) -> None:
        # The driver would begin transactions late, as readers; we begin them ourselves.
        dbapi.isolation_level = None
        cursor = dbapi.cursor()
        _keep_log(cursor)
        for pragma in (
            "synchronous=FULL",  # a commit that was answered survives a power cut
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-32768",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("davserver_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _keep_log(cursor: sqlite3.Cursor) -> None:
    """Give the file a write-ahead log, if it has none yet.

    Where two do this at once, as servers that start together on a new file, SQLite does not wait: it tells one of them that
    the file is locked. So it is asked again here, for as long as it would wait elsewhere.
    """
    deadline = time.monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _postgresql_engine(url: URL, pool_size: int) -> Engine:
    limits = f"-c lock_timeout={PG_LOCK_TIMEOUT_MS} -c statement_timeout={PG_STATEMENT_TIMEOUT_MS}"
    options = f"{limits} -c timezone=UTC {_PG_BY_INDEX}"
    given = url.query.get("options")
    if given:
        # What the URL asks for (a search_path, say) stays, and wins.
        options = f"{options} {given if isinstance(given, str) else ' '.join(given)}"
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=20,
        connect_args={"options": options, "connect_timeout": 5, "application_name": "davserver"},
    )

    @event.listens_for(engine, "checkin")
    def _checkin(_dbapi: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(dbapi: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used_at", float("inf")) < PG_TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(dbapi)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # all of them are as old as that

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("davserver_packets", False):
            # The driver would wait for the answer to its own.
            connection.connection.cursor().execute("BEGIN")

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what a driver says when the database is away into an error that a client can act on."""
    try:
        yield
    except PoolTimeout as error:
        log.warning("no database connection became free: %s", error)
        raise DatabaseUnavailable from error
    except (OperationalError, InterfaceError) as error:
        log.warning("the database failed: %s", error.orig)
        if "disk is full" in str(error.orig) or "No space left" in str(error.orig):
            raise StoreFull from error
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated:
            log.warning("the database went away: %s", error.orig)
            raise DatabaseUnavailable from error
        raise
