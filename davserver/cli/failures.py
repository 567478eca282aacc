"""Errors in one line for who runs a command: what failed, where, and why, without a password."""

from davserver.config import Config
from davserver.domain.errors import DatabaseUnavailable, DavserverError, StoreFull, StoreUnavailable

_LONGEST = 300


class CannotServe(Exception):
    """The address cannot be had, or the processes do not stay alive."""


def explain(error: DavserverError, config: Config | None) -> str:
    """The error's own words; for a server that is away also which one it is, and what the driver said."""
    if config is None:
        return error.detail
    if isinstance(error, DatabaseUnavailable):
        return f"The database {config.database!r} does not answer{_reason(error)}"
    if isinstance(error, StoreUnavailable | StoreFull):
        full = "is full" if isinstance(error, StoreFull) else "cannot be used"
        where = f"bucket {config.minio_bucket} at {config.minio_endpoint}" if config.minio_endpoint else "blobs"
        place = where if config.minio_endpoint else str(config.data_dir / where)
        return f"The content store {place} {full}{_reason(error)}"
    return error.detail


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error.__context__
    if cause is None:
        return "."
    said = str(getattr(cause, "orig", cause)).strip() or type(cause).__name__
    line = " ".join(said.splitlines()[0].split())
    return ": " + (line if len(line) <= _LONGEST else line[:_LONGEST] + " ...")
