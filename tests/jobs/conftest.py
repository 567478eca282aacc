from collections.abc import Iterator

import pytest

from davserver.db.units import Database
from davserver.jobs.outbox import enqueue
from davserver.jobs.queue import Queue
from tests.support.core import CountingRandom, ManualClock


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database, SQLite and PostgreSQL in turn."""
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(database: Database, clock: ManualClock) -> Queue:
    return Queue(database, clock, CountingRandom())


@pytest.fixture
def add_job(database: Database, clock: ManualClock) -> object:
    """Add a job: `add_job("kind", number=1)`."""

    def add(kind: str, **payload: str | int) -> None:
        with database.write() as unit:
            enqueue(unit, kind, payload, clock())

    return add
