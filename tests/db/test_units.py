"""Units commit whole or not at all, and wait for one another."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from davserver.db.rows import JobRow
from davserver.db.statements import Statement
from davserver.db.units import PG_TRUSTED_SECONDS, Database
from davserver.domain.errors import DatabaseUnavailable

JOB = {
    "kind": "x",
    "payload": "{}",
    "state": "waiting",
    "attempts": 0,
    "run_at": 0,
    "last_error": "",
    "created_at": 0,
}


def test_a_unit_that_raises_leaves_nothing(database_url: str) -> None:
    database = Database(database_url)
    told: list[str] = []

    def fail_in_the_middle() -> None:
        with database.write() as unit:
            unit.after_commit(lambda: told.append("committed"))
            unit.connection.execute(insert(JobRow), JOB)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_in_the_middle()
    with database.read() as connection:
        assert connection.execute(select(JobRow.id)).all() == []
    assert told == []
    database.close()


def test_what_follows_a_commit_is_told_after_it(database_url: str) -> None:
    database = Database(database_url)
    seen: list[int] = []

    def look() -> None:
        with database.read() as connection:
            seen.append(len(connection.execute(select(JobRow.id)).all()))

    with database.write() as unit:
        unit.after_commit(look)
        unit.connection.execute(insert(JobRow), JOB)
    assert seen == [1]
    database.close()


def test_a_server_waits_for_another_that_works_in_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new.sqlite3"
    first = sqlite3.connect(path, isolation_level=None)
    first.execute(
        "BEGIN IMMEDIATE"
    )  # the file has no write-ahead log yet: SQLite turns the second away without waiting
    monkeypatch.setattr(time, "sleep", lambda _seconds: first.rollback())
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    database.close()
    first.close()


def test_no_update_is_lost_between_writers(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(3)]
    with databases[0].write() as unit:
        unit.connection.execute(insert(JobRow), JOB)

    def count_up(database: Database) -> None:
        for _ in range(20):
            with database.write() as unit:
                before = unit.connection.execute(select(JobRow.attempts).with_for_update()).scalar_one()
                unit.connection.execute(update(JobRow).values(attempts=before + 1))

    threads = [threading.Thread(target=count_up, args=(database,)) for database in databases for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].read() as connection:
        assert connection.execute(select(JobRow.attempts)).scalar_one() == 120
    for database in databases:
        database.close()


def test_a_database_that_is_away_is_an_error_that_says_try_again() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable), database.read():
        pass
    database.close()


def test_a_connection_that_was_not_used_for_a_while_is_asked_before_it_is_used(database_url: str) -> None:
    database = Database(database_url)
    if database.is_sqlite:
        database.close()
        return
    with database.read() as connection:
        killed = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    other = Database(database_url)
    with other.read() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(%s, 5000)", (killed,)).scalar_one()
    other.close()
    for record in list(database.engine.pool._pool.queue):  # type: ignore[attr-defined]
        record.info["used_at"] -= PG_TRUSTED_SECONDS
    for _ in range(3):
        with database.read() as connection:
            assert connection.execute(select(JobRow.id)).all() == []
    database.close()


@pytest.mark.parametrize("fails", [False, True])
def test_a_unit_in_packets_commits_whole_or_not_at_all(database_url: str, fails: bool) -> None:
    database = Database(database_url)
    add = Statement(insert(JobRow), columns=tuple(JOB))
    seen = Statement(select(JobRow.attempts).order_by(JobRow.attempts))
    told: list[str] = []

    def write() -> None:
        with database.write_in_packets() as unit:
            unit.after_commit(lambda: told.append("committed"))
            add.run(unit.connection, JOB)
            asked = [seen.ask(unit.connection, {}), seen.ask(unit.connection, {})]
            assert [one.rows() for one in asked] == [[(0,)], [(0,)]]
            add.run_many(unit.connection, [JOB | {"attempts": 1}, JOB | {"attempts": 2}])
            unit.end_packets()
            assert unit.connection.execute(select(func.count()).select_from(JobRow)).scalar_one() == 3
            # Nobody asks for the answer to this: that it failed is heard at the end.
            add.run(unit.connection, JOB | {"attempts": 3, "state": "odd" if fails else "waiting"})

    if fails:
        with pytest.raises(IntegrityError):
            write()
    else:
        write()
    with database.read() as connection:
        assert [row[0] for row in seen.rows(connection, {})] == ([] if fails else [0, 1, 2, 3])
    assert told == ([] if fails else ["committed"])
    database.close()


def test_what_fails_unheard_within_packets_undoes_the_unit(database_url: str) -> None:
    database = Database(database_url)
    add = Statement(insert(JobRow), columns=tuple(JOB))

    def write() -> None:
        with database.write_in_packets() as unit:
            add.run(unit.connection, JOB)
            add.run(unit.connection, JOB | {"state": "odd"})

    for _ in range(2):
        with pytest.raises(IntegrityError):
            write()
    with database.read() as connection:
        assert connection.execute(select(JobRow.id)).all() == []
    database.close()
