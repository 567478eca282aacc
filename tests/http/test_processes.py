"""Processes: how they share the port, how they end, and what becomes of the requests in flight."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from davserver.http.shares import Share, Shares
from tests.http.conftest import Wire

ROOT = Path(__file__).parents[2]
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
UPLOAD = b"PUT /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000

both = pytest.mark.parametrize("processes", [1, 2])


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie whose parent was killed counts as dead."""
    try:
        return not re.search(r"State:\s+Z", Path(f"/proc/{pid}/status").read_text())
    except FileNotFoundError:
        return False


class Program:
    """The program, running."""

    def __init__(self, folder: Path, settings: dict[str, Any], files: int | None) -> None:
        self.log_file = folder / "log"
        self.log_file.touch()
        program = Path(__file__).with_name("program.py")
        command = [sys.executable, str(program), json.dumps(settings), str(self.log_file)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        if files is not None:
            command = ["prlimit", f"--nofile={files}:{files}", *command]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
        )
        self._wires: list[Wire] = []

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        host, port, self.threads_when_ready = json.loads(line)
        self.address = (host, port)

    def connect(self, timeout: float = 10) -> Wire:
        self._wires.append(Wire(self.address, timeout=timeout))
        return self._wires[-1]

    def who(self, wire: Wire | None = None) -> int:
        return int((wire or self.connect()).ask(GET).body.split()[0])

    @property
    def log(self) -> list[str]:
        return self.log_file.read_text().splitlines()

    @property
    def pids(self) -> list[int]:
        return [int(line.split()[1]) for line in self.log if line.startswith("made")]

    def end(self) -> None:
        for wire in self._wires:
            wire.close()
        for pid in [self.process.pid, *self.pids]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


class Start(Protocol):
    def __call__(self, *, fails: bool = False, files: int | None = None, **settings: Any) -> Program: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def begin(*, fails: bool = False, files: int | None = None, **settings: Any) -> Program:
        settings = {"threads": 2, "pin_cpus": False, "drain_seconds": 5, **settings}
        if fails:
            (tmp_path / "log.fail").touch()
        programs.append(Program(tmp_path, settings, files))
        if not fails:
            programs[-1].wait_until_ready()
        return programs[-1]

    yield begin
    for program in programs:
        program.end()


def test_the_application_is_made_in_each_process_after_the_fork(start: Start) -> None:
    program = start(processes=2)
    assert len(program.pids) == 2
    assert program.process.pid not in program.pids
    assert all(line.endswith(f"parent {program.process.pid}") for line in program.log)
    assert program.threads_when_ready == 1


def test_one_process_serves_in_the_calling_one(start: Start) -> None:
    program = start(processes=1)
    assert program.pids == [program.process.pid]
    assert program.who() == program.process.pid


def test_connections_are_spread_evenly_over_the_processes(start: Start) -> None:
    program = start(processes=2)
    wires = [program.connect() for _ in range(20)]
    counts = Counter(program.who(wire) for wire in wires)
    assert len(counts) == 2
    assert min(counts.values()) >= 6


def test_a_process_takes_connections_only_while_none_serves_with_fewer() -> None:
    shares = Shares(3)
    mine, other = Share(shares, 0), Share(shares, 1)
    mine.put(5)
    assert mine.is_least()
    other.put(4)
    assert not mine.is_least()
    other.leave()
    assert mine.is_least()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
@both
def test_each_process_stays_on_one_cpu_if_there_are_enough(start: Start, processes: int) -> None:
    cpus = os.sched_getaffinity(0)
    program = start(processes=processes, pin_cpus=None)
    answers = {program.connect().ask(GET).body.decode() for _ in range(20)}
    pinned = {answer.split()[1] for answer in answers}
    if processes <= len(cpus):
        assert len(pinned) == len(answers)
        assert all("," not in cpu for cpu in pinned)
    else:
        assert pinned == {",".join(map(str, sorted(cpus)))}


@both
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_idle_processes_at_once_and_in_order(start: Start, processes: int, number: int) -> None:
    program = start(processes=processes)
    wires = [program.connect() for _ in range(6)]
    pids = {program.who(wire) for wire in wires}
    program.process.send_signal(number)
    assert program.process.wait(4) == 0
    assert all(wire.is_closed() for wire in wires)
    assert {f"closed {pid}" for pid in pids} <= set(program.log)
    assert program.log[-1] == "returned"
    with pytest.raises(ConnectionRefusedError):
        program.connect()


@both
def test_requests_in_flight_get_time_to_end(start: Start, processes: int) -> None:
    program = start(processes=processes)
    wire = program.connect()
    wire.send(GET.replace(b"/ ", b"/sleep?1 "))
    wait_for(lambda: "sleeping" in program.log)
    program.process.send_signal(signal.SIGTERM)
    answer = wire.answer()
    assert (answer.status, answer.fields["connection"]) == (200, "close")
    assert program.process.wait(4) == 0


@both
def test_an_upload_that_ends_in_time_is_committed(start: Start, processes: int) -> None:
    program = start(processes=processes)
    wire = program.connect()
    wire.send(UPLOAD)
    wait_for(lambda: "upload begun" in program.log)
    program.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    wire.send(b"x" * 999_000)
    assert wire.answer().status == 200
    assert "committed" in program.log


@both
@pytest.mark.parametrize("steady", [False, True], ids=["silent", "sending"])
def test_an_upload_that_does_not_end_in_time_raises_and_is_not_committed(
    start: Start, processes: int, steady: bool
) -> None:
    program = start(processes=processes, drain_seconds=0.5)
    wire = program.connect()
    wire.send(UPLOAD)
    wait_for(lambda: "upload begun" in program.log)
    program.process.send_signal(signal.SIGTERM)
    if steady:
        with contextlib.suppress(ConnectionError):
            for _ in range(300):
                wire.send(b"x" * 100)
                time.sleep(0.01)
    with contextlib.suppress(ConnectionError):
        assert wire.answer().status == 503
    assert program.process.wait(30) == 0
    assert "cut off: The server is being stopped." in program.log
    assert "committed" not in program.log


@both
def test_a_second_signal_ends_everything_at_once(start: Start, processes: int) -> None:
    program = start(processes=processes, drain_seconds=60)
    program.connect().send(GET.replace(b"/ ", b"/sleep?30 "))
    wait_for(lambda: "sleeping" in program.log)
    program.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert program.process.poll() is None
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(20) == 1
    assert "slept" not in program.log
    assert not any(is_alive(pid) for pid in program.pids)


@both
def test_an_application_that_never_ends_does_not_hold_the_end(start: Start, processes: int) -> None:
    program = start(processes=processes, drain_seconds=0.2, grace_seconds=0.3)
    program.connect().send(GET.replace(b"/ ", b"/sleep?60 "))
    wait_for(lambda: "sleeping" in program.log)
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(30) == 0


@both
def test_hangup_is_ignored(start: Start, processes: int) -> None:
    program = start(processes=processes)
    for pid in {program.process.pid, *program.pids}:
        os.kill(pid, signal.SIGHUP)
    time.sleep(0.2)
    assert program.who() in program.pids


def test_a_process_that_dies_is_replaced(start: Start) -> None:
    program = start(processes=2)
    before = set(program.pids)
    wire = program.connect()
    victim = program.who(wire)
    wire.send(GET.replace(b"/ ", b"/die "))
    wait_for(lambda: len(program.pids) == 3)
    wait_for(lambda: len({program.who() for _ in range(6)}) == 2)
    assert victim not in {program.who() for _ in range(6)}
    assert len(before & set(program.pids)) == 2
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(30) == 0


def test_a_process_that_cannot_start_is_given_up_with_a_clear_message(start: Start) -> None:
    program = start(processes=2, fails=True)
    out, err = program.process.communicate(timeout=30)
    assert program.process.returncode == 1
    assert out == ""
    assert "gave up: server processes died 5 times within 5 s of their start, the last with exit status 3" in err
    assert "cannot start" in err


def test_one_process_that_cannot_start_says_why(start: Start) -> None:
    program = start(processes=1, fails=True)
    _, err = program.process.communicate(timeout=30)
    assert program.process.returncode == 1
    assert "RuntimeError: cannot start" in err


def test_processes_end_when_their_supervisor_is_killed(start: Start) -> None:
    program = start(processes=2)
    idle = program.connect()
    assert program.who(idle)
    pids = program.pids
    program.process.kill()
    program.process.wait(30)
    wait_for(lambda: not any(is_alive(pid) for pid in pids), 20)
    assert len([line for line in program.log if line.startswith("closed")]) == 2
    with pytest.raises(ConnectionRefusedError):
        program.connect()


def test_two_servers_cannot_share_an_address_by_mistake(start: Start, tmp_path: Path) -> None:
    first = start(processes=2)
    code = f"from davserver.http import *; serve(lambda: None, HttpConfig(port={first.address[1]}))"
    second = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=20, check=False
    )
    assert "Address already in use" in second.stderr


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit of util-linux")
def test_a_process_without_descriptors_left_recovers(start: Start) -> None:
    program = start(processes=1, files=40)
    wires = [program.connect() for _ in range(60)]
    for wire in wires:
        wire.send(GET[:-2])
    time.sleep(0.5)
    for wire in wires:
        wire.close()
    assert program.who() == program.process.pid
