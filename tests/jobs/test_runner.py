"""The runner and the bell: handlers are called, what fails is told, and nothing is lost when a worker goes."""

import logging
import threading
import time
from collections.abc import Callable

import pytest

from davserver.db.units import Database
from davserver.domain.clock import SECOND
from davserver.domain.errors import StoreUnavailable
from davserver.jobs.bell import Bell
from davserver.jobs.outbox import enqueue
from davserver.jobs.queue import Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Handler, Runner, Work
from tests.support.core import CountingRandom, ManualClock

AddJob = Callable[..., None]


def make_runner(database: Database, queue: Queue, clock: ManualClock, **handlers: Handler) -> Runner:
    return Runner(queue, Recurring(database, clock, {}), handlers)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def test_all_that_is_due_is_done_also_what_was_caused_meanwhile(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    done: list[object] = []

    def cause(work: Work) -> None:
        done.append(work.payload["number"])
        with database.write() as unit:
            enqueue(unit, "effect", {}, clock())

    runner = make_runner(database, queue, clock, cause=cause, effect=lambda work: done.append(work.kind))
    add_job("cause", number=1)
    assert runner.look() == 2
    assert done == [1, "effect"]
    assert queue.count() == 0


def test_a_handler_that_raises_costs_only_its_own_job(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Work) -> None:
        raise ValueError("no good")

    runner = make_runner(database, queue, clock, bad=fail, good=lambda _: None)
    add_job("bad")
    add_job("good")
    with caplog.at_level(logging.ERROR):
        assert runner.look() == 1
    assert [(job.kind, job.state, job.last_error) for job in queue.shown()] == [
        ("bad", "waiting", "ValueError: no good")
    ]
    assert "no good" in caplog.text


def test_what_is_away_is_waited_for_and_an_unknown_kind_is_kept(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    def no_store(_: Work) -> None:
        raise StoreUnavailable

    runner = make_runner(database, queue, clock, waits=no_store)
    add_job("waits")
    add_job("unknown")
    for _ in range(15):
        assert runner.look() == 0
        clock.advance(4000)
    assert {job.kind: job.state for job in queue.shown()} == {"waits": "waiting", "unknown": "failed"}


def test_a_handler_that_keeps_its_job_has_it_for_as_long_as_it_needs(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    seconds = 0.0
    seen: list[object] = []

    def slow(work: Work) -> None:
        nonlocal seconds
        for _ in range(10):
            seconds += 60
            clock.advance(60)
            work.keep()
            seen.append(queue.claim())

    add_job("slow")
    runner = Runner(queue, Recurring(database, clock, {}), {"slow": slow}, timer=lambda: seconds)
    assert runner.look() == 1
    assert seen == [None] * 10


def test_a_handler_that_sleeps_too_long_is_stopped_when_it_wakes(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 0.0
    after: list[str] = []

    def sleepy(work: Work) -> None:
        nonlocal seconds
        seconds += 500
        clock.advance(500)
        assert Queue(database, clock, CountingRandom(5)).claim() is not None
        work.keep()
        after.append("it went on")

    add_job("sleepy")
    runner = Runner(queue, Recurring(database, clock, {}), {"sleepy": sleepy}, timer=lambda: seconds)
    assert runner.look() == 0
    assert after == []
    assert queue.shown()[0].state == "running"
    assert "another worker has it" in caplog.text


def test_looking_ends_after_its_time_and_leaves_the_rest(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    seconds = 0.0

    def tick(_: Work) -> None:
        nonlocal seconds
        seconds += 1

    for _ in range(10):
        add_job("tick")
    runner = Runner(queue, Recurring(database, clock, {}), {"tick": tick}, timer=lambda: seconds)
    assert runner.look(3) == 3
    assert queue.count() == 7


def test_what_recurs_is_caused_once_a_period_however_many_processes_look(database_url: str, clock: ManualClock) -> None:
    databases = [Database(database_url) for _ in range(3)]
    lookers = [Recurring(each, clock, {"tidy": 60 * SECOND}) for each in databases]
    queue = Queue(databases[0], clock, CountingRandom())
    caused: list[str] = []

    def look(recurring: Recurring) -> None:
        caused.extend(recurring.cause_due())

    def all_look_at_once() -> int:
        caused.clear()
        threads = [threading.Thread(target=look, args=(each,)) for each in lookers for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(caused)

    assert all_look_at_once() == 0  # seen for the first time
    for _ in range(3):
        clock.advance(61)
        assert all_look_at_once() == 1
        assert all_look_at_once() == 0
        assert [job.kind for job in queue.shown()] == ["tidy"], "one at a time, even if nobody does it"
    for each in databases:
        each.close()


def test_what_recurs_and_failed_is_tried_again_in_its_next_period(
    database: Database, queue: Queue, clock: ManualClock
) -> None:
    recurring = Recurring(database, clock, {"tidy": 100_000 * SECOND})
    recurring.cause_due()
    clock.advance(100_001)
    assert recurring.cause_due() == ("tidy",)
    while (job := queue.claim()) is not None:
        queue.fail(job, ValueError())
        clock.advance(5000)
    assert queue.shown()[0].state == "failed"
    clock.advance(100_001)
    recurring.cause_due()
    assert [(job.state, job.attempts) for job in queue.shown()] == [("waiting", 0)]


def test_the_bell_has_work_done_at_once_and_by_the_clock(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    done = threading.Event()
    runner = make_runner(database, queue, clock, x=lambda _: done.set())
    bell = Bell(runner.look, stop=runner.stop, every=3600)
    database.ring_with(bell.ring)
    bell.start()
    wait_until(lambda: bool(database.engine.pool.checkedin()))  # type: ignore[attr-defined]
    add_job("x")
    assert done.wait(10), "nobody looked after the commit"
    bell.close()

    done.clear()
    patient = Bell(make_runner(database, queue, clock, x=lambda _: done.set()).look, every=0.05)
    database.ring_with(lambda: None)
    patient.start()
    add_job("x")
    assert done.wait(10), "nobody looked by the clock"
    patient.close()


def test_a_unit_that_is_undone_rings_no_bell(database: Database) -> None:
    rung: list[str] = []
    database.ring_with(lambda: rung.append("rung"))

    def undone() -> None:
        with database.write() as unit:
            enqueue(unit, "x", {}, 0)
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        undone()
    assert rung == []
    with database.write() as unit:
        enqueue(unit, "x", {}, 0)
        enqueue(unit, "y", {}, 0)
        assert rung == []
    assert rung == ["rung"]


def test_closing_the_bell_gives_back_what_is_under_way_within_seconds(
    database: Database, queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    begun = threading.Event()

    def endless(work: Work) -> None:
        while True:
            begun.set()
            time.sleep(0.01)
            work.keep()

    runner = make_runner(database, queue, clock, endless=endless)
    bell = Bell(runner.look, stop=runner.stop)
    bell.start()
    add_job("endless")
    bell.ring()
    assert begun.wait(10)
    before = time.monotonic()
    bell.close()
    assert time.monotonic() - before < 30
    assert [(job.state, job.attempts) for job in queue.shown()] == [("waiting", 0)]


def test_the_bell_survives_a_look_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) < 3:
            raise RuntimeError("the database is away")

    bell = Bell(look, every=0.01)
    bell.start()
    wait_until(lambda: len(looks) > 3)
    bell.close()
    assert caplog.text.count("the database is away") == 1, "it is told once, not with every look"
