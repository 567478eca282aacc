"""The trash and the background work beside a `Core`, done when a test says so and by the clock of the test."""

from dataclasses import dataclass
from typing import Any

from davserver.domain.principal import Principal
from davserver.jobs.outbox import enqueue
from davserver.jobs.queue import Job, Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner, Work
from davserver.services.changes import open_change
from davserver.services.purging import purge_piece
from davserver.services.settings import UserSettings
from davserver.services.trash import Trash
from davserver.services.tree import TreeSettings
from davserver.services.upkeep import PERIODS, Upkeep
from tests.support.core import Core


@dataclass
class Helpers:
    """What works on a core behind the scenes."""

    core: Core
    trash: Trash
    queue: Queue
    recurring: Recurring
    upkeep: Upkeep
    settings: UserSettings

    def work(self) -> int:
        """Do all that is due, and return how many jobs that were; none may fail."""
        done = self.look()
        assert not self.queue.shown(), "a job was not done"
        return done

    def look(self) -> int:
        """Do all that is due, and return how many jobs were done."""
        return Runner(self.queue, self.recurring, self.upkeep.handlers).look()

    def do(self, kind: str, **payload: Any) -> None:
        """Do a job of that kind here and now, without the queue."""
        job = Job(0, kind, payload, 1, self.core.clock(), "claim")
        self.upkeep.handlers[kind](Work(job, lambda: None))

    def work_once(self) -> None:
        """Do the one job that is due for longest."""
        job = self.queue.claim()
        assert job is not None
        self.upkeep.handlers[job.kind](Work(job, lambda: None))
        self.queue.finish(job)

    def recur(self) -> None:
        """Do all that recurs, as if its time had come, and what it causes."""
        with self.core.database.write() as unit:
            for kind in PERIODS:
                enqueue(unit, kind, {}, self.core.clock())
        self.work()

    def purge_piece(self, owner: Principal, size: int) -> bool:
        """One unit of a purge."""
        with self.core.database.write() as unit:
            return purge_piece(open_change(unit, owner.owner_id, self.core.clock()), size)


def helpers_of(core: Core) -> Helpers:
    """Put them together, as the composition root does."""
    return Helpers(
        core,
        Trash(core.database, core.clock, core.tree, TreeSettings()),
        Queue(core.database, core.clock, core.random),
        Recurring(core.database, core.clock, PERIODS),
        Upkeep(core.database, core.store, core.clock),
        UserSettings(core.database, core.clock, TreeSettings().trash_retention),
    )
