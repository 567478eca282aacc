"""A worker that is killed in the middle of a job: another one finishes it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from davserver.db.rows import TRASH_ID, JobRow, ResourceRow
from davserver.db.units import Database
from davserver.domain.clock import system_clock
from davserver.jobs.queue import Queue, QueueSettings
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner
from davserver.services.upkeep import Upkeep
from davserver.stores.folder import FolderStore
from tests.support.core import make_core, path

LEASE = 2_000_000

WORKER = """
import os, sys, time
from pathlib import Path
from davserver.db.units import Database
from davserver.domain.clock import system_clock
from davserver.jobs.queue import Queue, QueueSettings
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner
from davserver.services import purging, upkeep
from davserver.stores.folder import FolderStore

database = Database(sys.argv[1])
first = purging.purge_piece  # in small pieces, so that there is a middle to be killed in

def slow_piece(change):
    time.sleep(0.02)
    print("a piece", flush=True)
    return first(change, 7)

upkeep.purge_piece = slow_piece
queue = Queue(database, system_clock, os.urandom, QueueSettings(lease=int(sys.argv[3])))
work = upkeep.Upkeep(database, FolderStore(Path(sys.argv[2])), system_clock)
Runner(queue, Recurring(database, system_clock, {}), work.handlers).look()
"""


@pytest.mark.server
@pytest.mark.timeout(120)
def test_a_job_whose_worker_is_killed_in_the_middle_is_finished_by_another(database_url: str, tmp_path: Path) -> None:
    core = make_core(Database(database_url), FolderStore(tmp_path / "blobs"))
    alice = core.add_user("alice")
    core.mkcol(alice, "/d")
    for number in range(200):
        core.put(alice, f"/d/f{number}", b"x" * (5000 if number % 4 == 0 else 10))
    core.tree.discard(alice, path("/d"))
    core.tree.discard(alice, path("/.trash"))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, database_url, str(tmp_path / "blobs"), str(LEASE)], stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    for _ in range(10):
        assert worker.stdout.readline() == b"a piece\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    left = core.scalar(select(func.count()).select_from(ResourceRow))
    assert 2 < left < 202, "it was not killed in the middle"

    queue = Queue(core.database, system_clock, os.urandom, QueueSettings(lease=LEASE))
    runner = Runner(
        queue,
        Recurring(core.database, system_clock, {}),
        Upkeep(core.database, core.store, system_clock).handlers,
    )
    end = time.monotonic() + 60
    while core.scalar(select(func.count()).select_from(JobRow)):
        assert time.monotonic() < end
        runner.look()
        time.sleep(0.1)
    assert core.scalar(select(func.count()).select_from(ResourceRow)) == TRASH_ID, "the root and the trash"
    assert core.used(alice) == 0
    assert list(core.store.list()) == []
    core.close()
