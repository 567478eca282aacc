"""The runner: does the jobs that are due, in whatever process or thread calls it."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from davserver.domain.errors import Unavailable
from davserver.jobs.queue import ClaimLost, Job, Queue
from davserver.jobs.recurring import Recurring

log = logging.getLogger(__name__)

RECURRING_SECONDS: Final = 15.0
"""Between two looks at what recurs."""


class Stopped(Exception):
    """The worker has to go: leave the job as it is. Raised by `Work.keep`."""


class Work:
    """A job under way, as its handler sees it."""

    def __init__(self, job: Job, keep: Callable[[], None]) -> None:
        self.kind = job.kind
        self.payload: Mapping[str, Any] = job.payload
        self.created_at = job.created_at
        self.attempts = job.attempts
        self._keep = keep

    def keep(self) -> None:
        """To be called at every point where the job could stop and begin again, at least every few seconds.

        Raises `ClaimLost` or `Stopped`, which the handler lets pass.
        """
        self._keep()


Handler = Callable[[Work], None]
"""Does a job. It may be called again for one that is done, wholly or half, and by then must find nothing to do.

What it raises is tried again: `Unavailable` (something is away) without end, all else a number of times.
"""


class Runner:
    """`handlers`: what does which kind of job. `also` is called beside each look at what recurs.

    `timer` gives seconds of a clock that only goes on.
    """

    def __init__(
        self,
        queue: Queue,
        recurring: Recurring,
        handlers: Mapping[str, Handler],
        *,
        also: Callable[[], None] = lambda: None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._recurring = recurring
        self._handlers = dict(handlers)
        self._also = also
        self._timer = timer
        self._recurring_at = float("-inf")
        self._stopping = threading.Event()

    def look(self, seconds: float = float("inf")) -> int:
        """Do what is due until nothing is, `stop` was called, or after `seconds` a job ends. Returns how many were done."""
        end = self._timer() + seconds
        self.cause_due()
        done = 0
        while not self._stopping.is_set() and self._timer() < end:
            job = self._queue.claim()
            if job is None:
                break
            done += self._do(job)
        return done

    def cause_due(self) -> None:
        """Make jobs of what recurs and is due; looks only every few seconds."""
        if self._timer() >= self._recurring_at:
            self._recurring_at = self._timer() + RECURRING_SECONDS
            self._also()
            self._recurring.cause_due()

    def stop(self) -> None:
        """Make `look` return soon, in whatever thread it is. What it is doing is given back."""
        self._stopping.set()

    def _do(self, job: Job) -> bool:
        work = Work(job, self._keeper(job))
        try:
            self._handlers.get(job.kind, _unknown)(work)
        except ClaimLost:
            log.warning("job %d (%s) took so long here that another worker has it now", job.id, job.kind)
        except Stopped:
            self._queue.release(job)
        except Unavailable as error:
            log.warning("job %d (%s) waits: %s", job.id, job.kind, error)
            self._queue.postpone(job, error)
        except Exception as error:
            kept = self._queue.fail(job, error)
            log.exception("job %d (%s) failed, attempt %d%s", job.id, job.kind, job.attempts, ", the last" * kept)
        else:
            self._queue.finish(job)
            return True
        return False

    def _keeper(self, job: Job) -> Callable[[], None]:
        """What `Work.keep` calls: it writes to the database only when a third of the lease is over."""
        pause = self._queue.settings.lease / 3_000_000
        renew_at = self._timer() + pause

        def keep() -> None:
            nonlocal renew_at
            if self._stopping.is_set():
                raise Stopped
            if self._timer() >= renew_at:
                self._queue.renew(job)
                renew_at = self._timer() + pause

        return keep


def _unknown(work: Work) -> None:
    raise LookupError(f"This release has nothing that does jobs of the kind {work.kind!r}.")
