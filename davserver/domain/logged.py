"""What the log says of a request beside a trace, the same names as in the request's own line. Nothing secret is among these."""

from collections.abc import Mapping
from typing import Any


def request_fields(environ: Mapping[str, Any], path: str) -> dict[str, object]:
    """For `extra={"request": ...}`. `path`: as the log may hold it, without the query; no header field is told."""
    principal = environ.get("davserver.principal")
    return {
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "user": "-" if principal is None else principal.name,
        "device": None if principal is None else principal.origin.device,
        "address": environ.get("REMOTE_ADDR"),
        "request_id": environ.get("davserver.request_id"),
    }
