"""The nouns of the API: a file each, and a line each in this list."""

from collections.abc import Sequence
from typing import Final

from davserver.rest import (
    accounts,
    activity,
    devices,
    files,
    infected,
    jobs,
    links,
    me,
    search,
    sessions,
    settings,
    statistics,
    trash,
    users,
)
from davserver.rest.noun import Noun

NOUNS: Final[Sequence[Noun]] = (
    sessions.noun,
    me.noun,
    settings.noun,
    accounts.noun,
    devices.noun,
    activity.noun,
    statistics.noun,
    files.noun,
    search.noun,
    trash.noun,
    links.noun,
    users.noun,
    jobs.noun,
    infected.noun,
)
