"""How the log on stderr looks: a line for people, or a JSON object a line."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Final

log = logging.getLogger(__name__)

_OURS: Final = ("davserver", "providers", "tasks")


class ReadableFormatter(logging.Formatter):
    """``2026-01-31 12:00:00.123 INFO    message``, then the trace if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self._second = (-1, "")

    def usesTime(self) -> bool:  # noqa: N802 - logging's name
        """No: `formatMessage` makes the time, once a second."""
        return False

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line. What came from outside cannot begin another one."""
        message = record.message
        if not message.isprintable():
            message = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in message)
        second = self._second  # one read: another thread may replace it
        if second[0] != int(record.created):
            now = int(record.created)
            second = self._second = (now, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)))
        return f"{second[1]}.{int(record.msecs):03d} {record.levelname:<7} {message}"


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
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # costs time, and no format shows it
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ReadableFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(capture=True)
