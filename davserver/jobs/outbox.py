"""The outbox: a job is a row, written by the unit that causes it, so that it exists exactly when its cause does."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import insert

from davserver.db.rows import JobRow
from davserver.db.units import Unit
from davserver.domain.clock import Micros

Payload = Mapping[str, str | int | Sequence[str]]
"""What a job is about: ids, never secrets or content. Shown by ``davserver jobs list``."""


def enqueue(unit: Unit, kind: str, payload: Payload, now: Micros, *, run_at: Micros | None = None) -> None:
    """Add a job of `kind`, to be done at `run_at` (now when None). Once the unit has committed, the bell rings."""
    unit.connection.execute(
        insert(JobRow),
        {
            "kind": kind,
            "payload": json.dumps(payload, separators=(",", ":")),
            "state": "waiting",
            "attempts": 0,
            "run_at": now if run_at is None else run_at,
            "claim": None,
            "last_error": "",
            "created_at": now,
        },
    )
    unit.ring()
