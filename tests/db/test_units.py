"""Units commit whole or not at all, and wait for one another."""

import threading

import pytest
from sqlalchemy import insert, select, update

from davserver.db.rows import JobRow
from davserver.db.units import Database
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
