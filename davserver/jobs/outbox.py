"""The outbox: a job is a row, written by the unit that causes it, so that it exists exactly when its cause does."""

import json
from collections.abc import Mapping

from sqlalchemy import insert

from davserver.db.rows import JobRow
from davserver.db.units import Unit
from davserver.domain.clock import Micros

Payload = Mapping[str, str | int]


def enqueue(unit: Unit, kind: str, payload: Payload, now: Micros, *, run_at: Micros | None = None) -> None:
    """Add a job of `kind`, to be done at `run_at` (now when None)."""
    unit.connection.execute(
        insert(JobRow),
        {
            "kind": kind,
            "payload": json.dumps(payload, separators=(",", ":")),
            "state": "waiting",
            "attempts": 0,
            "run_at": now if run_at is None else run_at,
            "last_error": "",
            "created_at": now,
        },
    )
