"""Quick reads: right, bounded, and no error when they fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import event

from davserver.db.quick import MAX_CONNECTIONS, QuickReadFailed, QuickReads
from davserver.db.units import Database


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.close()


def test_a_row_comes_as_it_is_committed(database: Database) -> None:
    with database.write() as unit:
        unit.connection.exec_driver_sql("CREATE TABLE quick (id INTEGER PRIMARY KEY, word TEXT)")
        unit.connection.exec_driver_sql("INSERT INTO quick VALUES (1, 'old')")
    assert database.quick.first("SELECT word FROM quick WHERE id = ?", 1) == ("old",)
    assert database.quick.first("SELECT word FROM quick WHERE id = ?", 2) is None
    with database.write() as unit:
        unit.connection.exec_driver_sql("UPDATE quick SET word = 'new'")
        assert database.quick.first("SELECT word FROM quick WHERE id = ?", 1) == ("old",)
    assert database.quick.first("SELECT word FROM quick WHERE id = ?", 1) == ("new",)


def test_values_come_as_the_ordinary_way_gives_them(database: Database) -> None:
    with database.write() as unit:
        unit.connection.exec_driver_sql(
            "CREATE TABLE quick (id BIGINT PRIMARY KEY, word TEXT, other TEXT, large BIGINT, missing BIGINT)"
        )
        unit.connection.exec_driver_sql(f"INSERT INTO quick VALUES (1, 'é?$1', '', {2**62}, NULL)")
    with database.read() as connection:
        ordinary = connection.exec_driver_sql("SELECT id, word, other, large, missing, id = 1 FROM quick").one()
    sql = "SELECT id, word, other, large, missing, id = 1 FROM quick WHERE id = ? AND word = ?"
    assert database.quick.first(sql, 1, "é?$1") == tuple(ordinary)
    assert database.quick.first(sql, 1, "é") is None


def test_who_wants_no_statements_prepared_gets_the_same(database: Database) -> None:
    if not database.is_sqlite:
        event.listen(database.engine, "connect", lambda connection, _: setattr(connection, "prepare_threshold", None))
    for number in range(3):
        assert database.quick.first("SELECT CAST(? AS integer)", number) == (number,)
    if not database.is_sqlite:
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one() == 0
        assert database.quick.first("SELECT count(*) FROM pg_prepared_statements WHERE ? = 1", 1) == (0,)


def test_what_fails_is_asked_again_and_leaves_no_connection_behind(database: Database) -> None:
    for _ in range(3 * MAX_CONNECTIONS):
        with pytest.raises(QuickReadFailed):
            database.quick.first("SELECT word FROM nowhere WHERE id = ?", 1)
    assert database.quick.first("SELECT CAST(? AS integer)", 7) == (7,)


def test_many_threads_share_few_connections(database: Database) -> None:
    together = Barrier(4 * MAX_CONNECTIONS)

    def ask(number: int) -> int:
        together.wait(60)
        answers = 0
        for _ in range(50):
            try:
                assert database.quick.first("SELECT CAST(? AS integer)", number) == (number,)
                answers += 1
            except QuickReadFailed:
                pass
        return answers

    with ThreadPoolExecutor(together.parties) as pool:
        answers = list(pool.map(ask, range(together.parties)))
    assert sum(answers) > 0
    assert 0 < len(database.quick._idle) <= MAX_CONNECTIONS


def test_without_a_database_nothing_is_known_and_nothing_is_raised_that_others_would_tell() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    try:
        reads: QuickReads = database.quick
        with pytest.raises(QuickReadFailed):
            reads.first("SELECT 1")
    finally:
        database.close()
