"""Faults on purpose: the n-th thing that an action asks of the database, the store or the disk fails, before or after it.

The components are the real ones. What is injected is what they would meet: an error from the driver, a refused commit, a
commit whose answer got lost, a store that is away, an fsync or a rename that the system refuses.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from davserver.db.units import Database
from davserver.domain.errors import StoreUnavailable
from davserver.stores.base import BytesLike, IncompleteBlob, Store, StoredBlob


class When(StrEnum):
    """Before the operation takes effect, or after it has, so that only its answer is lost."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Faults:
    """Counts operations while armed, and makes one of them fail; with `lasting`, all that come after it too."""

    at: int = 0
    """Which operation fails, counted from 1; 0 for none."""
    when: When = When.BEFORE
    lasting: bool = False
    seen: list[str] = field(default_factory=list)
    """Every operation since it was armed."""
    fired: list[str] = field(default_factory=list)
    """Those that failed."""
    armed: bool = False

    def arm(self, at: int, when: When = When.BEFORE, *, lasting: bool = False) -> None:
        """From now on count, and fail at the operation number `at`."""
        self.at, self.when, self.lasting = at, when, lasting
        self.seen, self.fired, self.armed = [], [], True

    def disarm(self) -> None:
        """Let everything work again."""
        self.armed = False

    def count(self, what: str) -> bool:
        """Note an operation; whether it is to fail."""
        if not self.armed:
            return False
        self.seen.append(what)
        number = len(self.seen)
        fails = number == self.at or (self.lasting and 0 < self.at < number)
        if fails:
            self.fired.append(what)
        return fails

    @contextmanager
    def around(self, what: str, error: Callable[[], BaseException]) -> Iterator[None]:
        """An operation that may fail before or after it took effect."""
        fails = self.count(what)
        if fails and self.when is When.BEFORE:
            raise error()
        yield
        if fails:
            raise error()

    @property
    def has_hit_a_commit(self) -> bool:
        """Whether a commit, or what came after one, took effect while the caller was told that it failed."""
        return any(what == "commit" or "commit" in self.seen[: self.seen.index(what)] for what in self.fired)


def driver_error() -> OperationalError:
    """What SQLAlchemy raises when the driver fails."""
    return OperationalError("(injected)", {}, Exception("injected fault"))


def break_database(database: Database, faults: Faults) -> None:
    """Let statements and commits of the database fail. On PostgreSQL the server side of the connection is killed."""
    engine = database.engine
    killer = None if database.is_sqlite else BackendKiller(engine.url.render_as_string(hide_password=False))

    def before(connection: Any, cursor: Any, statement: str, _p: Any, _ctx: Any, _many: Any) -> None:
        if faults.count(f"sql {statement.split(None, 1)[0]}") and faults.when is When.BEFORE:
            fail(connection)
        connection.info["fails"] = bool(faults.armed and faults.fired and faults.fired[-1] is faults.seen[-1])

    def after(connection: Any, cursor: Any, statement: str, _p: Any, _ctx: Any, _many: Any) -> None:
        if faults.armed and connection.info.pop("fails", False) and faults.when is When.AFTER:
            cursor.close()  # as it would be had the driver failed
            fail(connection)

    def fail(connection: Any) -> None:
        if killer is None:
            raise driver_error()
        killer.kill(connection.connection.dbapi_connection.info.backend_pid)
        if faults.when is When.AFTER:
            raise driver_error()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    commit = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        with faults.around("commit", driver_error):
            commit(connection)

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign,assignment]


class BackendKiller:
    """Ends server processes of PostgreSQL, as its out-of-memory killer or an administrator does."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg", "postgresql")

    def kill(self, pid: int) -> None:
        """Return when the server process is gone."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


class FaultyStore:
    """A store in front of which calls fail."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.store = store
        self._faults = faults

    def put(self, key: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        with self._faults.around("store put", StoreUnavailable):
            return self.store.put(key, chunks, size)

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        with self._faults.around("store read", StoreUnavailable):
            return self.store.read(key, start, stop)

    def size(self, key: str) -> int:
        with self._faults.around("store size", StoreUnavailable):
            return self.store.size(key)

    def remove(self, key: str) -> None:
        with self._faults.around("store remove", StoreUnavailable):
            self.store.remove(key)

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        return self.store.list(prefix)

    def incomplete(self) -> Iterator[IncompleteBlob]:
        return self.store.incomplete()

    def remove_incomplete(self, older_than: datetime) -> int:
        with self._faults.around("store remove_incomplete", StoreUnavailable):
            return self.store.remove_incomplete(older_than)

    def check(self) -> None:
        self.store.check()

    def free_bytes(self) -> int | None:
        with self._faults.around("store free_bytes", StoreUnavailable):
            return self.store.free_bytes()

    def close(self) -> None:
        self.store.close()


BREAKABLE = ("open", "write", "fsync", "rename", "unlink", "close")


def break_disk(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    """Let what Python asks of the file system fail: as a full disk for open and write, else as one that is broken."""
    for name in BREAKABLE:
        real = getattr(os, name)

        def call(*args: Any, _name: str = name, _real: Callable[..., Any] = real, **kwargs: Any) -> Any:
            code = errno.ENOSPC if _name in {"open", "write"} else errno.EIO
            fails = faults.count(f"os {_name}")
            if fails and faults.when is When.BEFORE and _name != "close":
                raise OSError(code, "injected fault")
            result = _real(*args, **kwargs)
            if fails:
                if _name == "open":
                    os_close(result)
                raise OSError(code, "injected fault")
            return result

        monkeypatch.setattr(os, name, call)


os_close = os.close
