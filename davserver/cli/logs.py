"""How the log on stderr looks: a line for people, or a JSON object a line."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

log = logging.getLogger(__name__)

_OURS: Final = ("davserver", "providers", "tasks")


class ReadableFormatter(logging.Formatter):
    """``2026-01-31 12:00:00.123 INFO    message``, then the trace if there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line. What came from outside cannot begin another one."""
        if not record.message.isprintable():
            record.message = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """``time``, ``level``, ``logger``, ``message``; for a request its fields; ``trace`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        content: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            content["trace"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=True)


def configure(level: str, form: str) -> None:
    """Log to stderr: ours from `level` up, libraries' warnings. A library's debug log would hold what nobody may read."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ReadableFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(capture=True)
