"""Where Celery's own command comes in: ``celery -A tasks.celery_app worker``, and ``... beat`` for what recurs.

The configuration is that of the server: its file and environment, read when this module is imported.
"""

import os
import threading
from dataclasses import dataclass
from typing import Any, Final

from celery import Celery, signals

from davserver import bootstrap
from davserver.bootstrap import Services
from davserver.config import load
from davserver.domain.errors import ConfigError
from tasks.application import LOOK, make_celery

LOOK_SECONDS: Final = 20.0
"""After so long a worker takes the next message, and with it a chance to stop."""

config: Final = load(os.environ)
if config.redis_url is None:
    raise ConfigError("REDIS_URL is not set; without Redis, `davserver worker` works alone, and the server by itself.")
app: Final[Celery] = make_celery(config.redis_url.reveal())


@dataclass
class _Here:
    """The services of this process: connections do not survive the fork of a worker."""

    services: Services | None = None
    pid: int = -1


_here: Final = _Here()
_lock: Final = threading.Lock()


def services_here() -> Services:
    """The services, made at the first call in each process."""
    with _lock:
        if _here.services is None or _here.pid != os.getpid():
            _here.services, _here.pid = bootstrap.build(config), os.getpid()
        return _here.services


@app.task(name=LOOK, ignore_result=True)  # type: ignore[untyped-decorator, no-untyped-call]
def look() -> int:
    """Do what is due. Returns how many jobs were done."""
    services = services_here()
    done = services.runner.look(LOOK_SECONDS)
    if services.queue.is_due():
        look.apply_async(expires=None, retry=False)
    return done


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def close_services(**_: Any) -> None:
    """Give back what this process holds."""
    if _here.services is not None and _here.pid == os.getpid():
        _here.services.close()
        _here.services = None
