import os
import threading

import pytest

from davserver.domain.tally import Tally
from davserver.monitoring.meters import BUCKETS, Meters


def counted(meters: Meters, method: str = "GET", status: str = "200", seconds: float = 0.02) -> None:
    meters.begin(method)
    meters.end(method, status, seconds, 3, 5)


def test_requests_bytes_and_times_are_counted() -> None:
    meters = Meters()
    meters.take_place()
    counted(meters)
    counted(meters, seconds=1000)
    counted(meters, "NONSENSE", "-")
    assert sorted(meters.requests()) == [("GET", "200", 2), ("OTHER", "OTHER", 1)]
    times = {method: (buckets, seconds) for method, buckets, seconds in meters.times()}
    buckets, seconds = times["GET"]
    assert seconds == pytest.approx(1000.02)
    assert [count for _, count in buckets] == [0] * 4 + [1] * (len(BUCKETS) - 4) + [2]
    assert (dict(meters.received())["GET"], dict(meters.sent())["GET"]) == (6, 10)


def test_what_is_under_way_is_seen_until_it_ends() -> None:
    meters = Meters()
    meters.take_place()
    meters.begin("PUT")
    assert dict(meters.in_flight())["PUT"] == 1
    meters.end("PUT", "201", 0.1, 0, 0)
    assert dict(meters.in_flight())["PUT"] == 0


def in_a_process(meters: Meters, *, begin_only: bool = False) -> None:
    pid = os.fork()
    if pid == 0:
        meters.take_place()
        if begin_only:
            meters.begin("PUT")
        else:
            counted(meters)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_processes_are_added_up_and_one_that_died_is_not_forgotten() -> None:
    meters = Meters(2)
    meters.take_place()
    counted(meters)
    for _ in range(3):
        in_a_process(meters)
    assert list(meters.requests()) == [("GET", "200", 4)]
    assert meters.processes() == 1


def test_what_a_dead_process_had_under_way_ends_when_another_takes_its_place() -> None:
    meters = Meters(2)
    meters.take_place()
    in_a_process(meters, begin_only=True)
    in_a_process(meters)
    assert dict(meters.in_flight())["PUT"] == 0


def test_no_count_is_lost_between_threads() -> None:
    meters = Meters()
    meters.take_place()

    def work() -> None:
        for _ in range(2000):
            counted(meters)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(meters.requests()) == [("GET", "200", 16000)]
    assert dict(meters.in_flight())["GET"] == 0


def test_what_is_remembered_is_told_with_the_next_request_and_goes_on_in_the_same_place() -> None:
    meters = Meters()
    meters.take_place()
    tally = Tally()
    meters.watch({"answers": tally})
    tally.hits, tally.misses, tally.size = 3, 2, 700
    assert ("answers", 0, 0, 0) in list(meters.caches())
    counted(meters)
    assert ("answers", 3, 2, 700) in list(meters.caches())
    meters.take_place()  # as a process that takes the place of a dead one
    fresh = Tally()
    meters.watch({"answers": fresh})
    assert ("answers", 3, 2, 0) in list(meters.caches())
    fresh.hits = 4
    counted(meters)
    assert ("answers", 7, 2, 0) in list(meters.caches())
