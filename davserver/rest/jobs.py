"""Background work, for administrators."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from davserver.domain.errors import Conflict, NotFound
from davserver.jobs.queue import ShownJob
from davserver.rest import paging
from davserver.rest.context import principal, services
from davserver.rest.models import Answer, Given, Id, Page, Paged, moment
from davserver.rest.noun import Access, Noun

noun = Noun("jobs", "For administrators: background work that waits, runs or failed.")

State = Literal["waiting", "running", "failed"]


class JobsQuery(Paged):
    """Which jobs: those that both hold for."""

    state: State | None = None
    kind: Annotated[str | None, Field(max_length=100)] = None


class JobShown(Answer):
    """A job. What is done is no job any more."""

    id: int
    kind: str
    state: State
    about: Annotated[dict[str, Any], Field(description="Ids of what it works on.")]
    attempts: int
    run_at: Annotated[datetime, Field(description="When it is tried next; of one that runs, when it is given up.")]
    last_error: str
    created_at: datetime


class JobPage(Page[JobShown]):
    """A page of jobs, the newest first."""


class JobPath(Given):
    """Which job."""

    job_id: Id


@noun.on("GET", "/admin/jobs", gives=JobPage, access=Access.ADMIN)
def list_jobs(query: JobsQuery) -> Any:
    """See what waits, runs or failed, the newest first."""
    key = paging.decode_cursor(query.cursor, int)
    after = None if key is None else int(key[0] or 0)
    wanted = {"state": query.state, "kind": query.kind}
    found = services().background.list(principal(), **wanted, after=after, limit=query.limit + 1)
    return paging.page(found, query.limit, _shown, lambda job: (job.id,))


@noun.on("GET", "/admin/jobs/<int:job_id>", gives=JobShown, access=Access.ADMIN, errors=(NotFound,))
def get_job(path: JobPath) -> JobShown:
    """See a job."""
    return _shown(services().background.find(principal(), path.job_id))


@noun.on("POST", "/admin/jobs/<int:job_id>/retry", access=Access.ADMIN, errors=(NotFound, Conflict))
def retry_job(path: JobPath) -> None:
    """Have a job tried now, with all its attempts."""
    services().background.retry(principal(), path.job_id)


@noun.on("DELETE", "/admin/jobs/<int:job_id>", access=Access.ADMIN, errors=(NotFound, Conflict))
def forget_job(path: JobPath) -> None:
    """Forget a job that failed. What it was to do stays undone."""
    services().background.forget(principal(), path.job_id)


def _shown(job: ShownJob) -> JobShown:
    return JobShown.model_validate(
        {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "about": json.loads(job.payload),
            "attempts": job.attempts,
            "run_at": moment(job.run_at),
            "last_error": job.last_error,
            "created_at": moment(job.created_at),
        }
    )
