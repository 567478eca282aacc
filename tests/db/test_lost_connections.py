"""A connection that the database ends while somebody has it."""

import logging
from typing import Any

import pytest

from davserver.db.units import Database


def test_a_connection_that_breaks_on_its_way_back_is_told_in_one_line(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(empty_database_url)
    if database.is_sqlite:
        pytest.skip("SQLite has no connections to lose")
    try:
        with caplog.at_level(logging.WARNING):
            _lose(database)
        told = [record for record in caplog.records if record.name.startswith("sqlalchemy.pool")]
        assert ["a connection to the database broke" in record.getMessage() for record in told] == [True]
        assert not any(record.exc_info for record in told)
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    finally:
        database.close()


def _lose(database: Database) -> None:
    lost = database.engine.raw_connection()
    backend: Any = lost.driver_connection
    pid = backend.info.backend_pid
    lost.cursor().execute("SELECT 1")
    with database.read() as other:
        other.exec_driver_sql("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    lost.close()
