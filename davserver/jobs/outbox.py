"""The outbox: a job is a row, written by the unit that causes it, so that it exists exactly when its cause does."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import insert

from davserver.db.rows import JobRow
from davserver.db.statements import Statement
from davserver.db.units import Unit
from davserver.domain.clock import Micros

Payload = Mapping[str, str | int | Sequence[str]]
"""What a job is about: ids, never secrets or content. Shown by ``davserver jobs list``."""


_INSERT: Final = Statement(
    insert(JobRow),
    columns=("kind", "payload", "state", "attempts", "run_at", "claim", "last_error", "created_at"),
)


def enqueue(unit: Unit, kind: str, payload: Payload, now: Micros, *, run_at: Micros | None = None) -> None:
    """Add a job of `kind`, to be done at `run_at` (now when None). Once the unit has committed, the bell rings."""
    enqueue_all(unit, kind, [payload], now, run_at=run_at)


def enqueue_all(
    unit: Unit, kind: str, payloads: Sequence[Payload], now: Micros, *, run_at: Micros | None = None
) -> None:
    """The same with a job for each payload."""
    rows = [
        {
            "kind": kind,
            "payload": json.dumps(payload, separators=(",", ":")),
            "state": "waiting",
            "attempts": 0,
            "run_at": now if run_at is None else run_at,
            "claim": None,
            "last_error": "",
            "created_at": now,
        }
        for payload in payloads
    ]
    if rows:
        _INSERT.run_many(unit.connection, rows)
        unit.ring()
