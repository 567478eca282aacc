"""The queue: every job is done at least once, by one worker at a time, and none is forgotten."""

import threading
from collections.abc import Callable

import pytest

from davserver.db.units import Database
from davserver.domain.clock import HOUR, SECOND
from davserver.domain.errors import NotFound, StoreUnavailable
from davserver.jobs.outbox import enqueue
from davserver.jobs.queue import ClaimLost, Queue
from tests.support.core import CountingRandom, ManualClock

AddJob = Callable[..., None]


def test_a_job_exists_exactly_when_its_cause_does(database: Database, queue: Queue) -> None:
    def fail_after_enqueue() -> None:
        with database.write() as unit:
            enqueue(unit, "x", {}, 0)
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        fail_after_enqueue()
    assert queue.claim() is None
    with database.write() as unit:
        enqueue(unit, "x", {"a": 1}, 0)
        assert queue.count() == 0, "it is visible before the unit has committed"
    job = queue.claim()
    assert job is not None
    assert (job.kind, job.payload, job.attempts) == ("x", {"a": 1}, 1)


def test_a_claimed_job_is_nobody_elses(queue: Queue, add_job: AddJob) -> None:
    add_job("x")
    assert queue.claim() is not None
    assert queue.claim() is None


def test_what_is_due_for_longest_comes_first_and_what_is_not_due_not_at_all(
    database: Database, queue: Queue, clock: ManualClock
) -> None:
    with database.write() as unit:
        enqueue(unit, "later", {}, clock.now, run_at=clock.now + 60 * SECOND)
        enqueue(unit, "second", {}, clock.now, run_at=clock.now - 1)
        enqueue(unit, "first", {}, clock.now, run_at=clock.now - 2)
    claimed = [job.kind for job in (queue.claim(), queue.claim()) if job]
    assert claimed == ["first", "second"]
    assert queue.claim() is None
    clock.advance(60)
    job = queue.claim()
    assert job is not None
    assert job.kind == "later"


def test_a_finished_job_is_gone(queue: Queue, add_job: AddJob) -> None:
    add_job("x")
    job = queue.claim()
    assert job is not None
    queue.finish(job)
    assert queue.count() == 0


def test_what_a_dead_worker_had_is_taken_by_another_when_the_lease_is_over(
    queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    add_job("x")
    first = queue.claim()
    clock.advance(119)
    assert queue.claim() is None
    clock.advance(2)
    second = queue.claim()
    assert first is not None
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
    assert "worker" in queue.shown()[0].last_error


def test_a_worker_that_says_that_it_lives_keeps_its_job(queue: Queue, clock: ManualClock, add_job: AddJob) -> None:
    add_job("x")
    job = queue.claim()
    assert job is not None
    for _ in range(5):
        clock.advance(100)
        queue.renew(job)
        assert queue.claim() is None


def test_a_worker_that_was_taken_for_dead_cannot_touch_the_job_any_more(
    queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    add_job("x")
    sleeper = queue.claim()
    clock.advance(121)
    owner = queue.claim()
    assert sleeper is not None
    assert owner is not None
    with pytest.raises(ClaimLost):
        queue.renew(sleeper)
    queue.finish(sleeper)
    queue.fail(sleeper, RuntimeError())
    queue.release(sleeper)
    shown = queue.shown()[0]
    assert (shown.state, shown.attempts) == ("running", 2)
    queue.renew(owner)


def test_a_failing_job_is_tried_again_with_growing_pauses_and_then_kept(
    queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    add_job("x")
    pauses = []
    while True:
        job = queue.claim()
        assert job is not None
        at = clock.now
        if queue.fail(job, ValueError("no good")):
            break
        pauses.append((queue.shown()[0].run_at - at) / SECOND)
        assert queue.claim() is None
        clock.now = queue.shown()[0].run_at
    assert len(pauses) == 9
    for number, pause in enumerate(pauses):
        middle = min(10 * 2**number, 3600)
        assert 0.74 * middle <= pause <= 1.26 * middle
    kept = queue.shown()[0]
    assert (kept.state, kept.attempts, kept.last_error) == ("failed", 10, "ValueError: no good")
    clock.advance(1e6)
    assert queue.claim() is None


def test_failed_jobs_are_tried_again_when_somebody_says_so(queue: Queue, clock: ManualClock, add_job: AddJob) -> None:
    add_job("x")
    add_job("y")
    for _ in range(20):
        while (job := queue.claim()) is not None:
            queue.fail(job, ValueError())
        clock.advance(5000)
    assert {job.state for job in queue.shown()} == {"failed"}
    assert queue.retry(queue.shown()[0].id) == 1
    assert queue.claim() is not None
    assert queue.claim() is None
    assert queue.retry() == 1
    assert queue.claim() is not None
    with pytest.raises(NotFound):
        queue.retry(123456)


def test_a_job_that_kills_its_workers_is_kept_as_failed(queue: Queue, clock: ManualClock, add_job: AddJob) -> None:
    add_job("x")
    claims = 0
    while queue.claim() is not None:
        claims += 1
        clock.advance(121)
    assert claims == 10
    assert queue.shown()[0].state == "failed"


def test_what_waits_for_a_server_that_is_away_never_fails_of_it(
    queue: Queue, clock: ManualClock, add_job: AddJob
) -> None:
    add_job("x")
    pauses = []
    began = clock.now
    while clock.now - began < 48 * HOUR:
        job = queue.claim()
        assert job is not None
        at = clock.now
        queue.postpone(job, StoreUnavailable())
        shown = queue.shown()[0]
        assert shown.state == "waiting"
        pauses.append((shown.run_at - at) // SECOND)
        clock.now = shown.run_at
    assert pauses[0] <= 13
    assert 449 <= min(pauses[-20:]) <= max(pauses[-20:]) <= 750


def test_a_released_job_is_there_for_another_at_once_and_its_attempt_does_not_count(
    queue: Queue, add_job: AddJob
) -> None:
    add_job("x")
    job = queue.claim()
    assert job is not None
    queue.release(job)
    again = queue.claim()
    assert again is not None
    assert again.attempts == 1


def test_many_workers_do_each_of_many_jobs_exactly_once(database_url: str, clock: ManualClock, add_job: AddJob) -> None:
    for number in range(60):
        add_job("x", number=number)
    databases = [Database(database_url) for _ in range(3)]
    seen: list[int] = []

    def work(database: Database, seed: int) -> None:
        mine = Queue(database, clock, CountingRandom(seed))
        while (job := mine.claim()) is not None:
            seen.append(job.payload["number"])
            mine.finish(job)

    threads = [threading.Thread(target=work, args=(databases[n % 3], n)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in databases:
        each.close()
    assert sorted(seen) == list(range(60))
