"""``davserver jobs ...`` and ``davserver worker``: background work, looked at and done."""

import argparse
import os
import signal
import threading
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import Services
from davserver.cli import logs, say
from davserver.cli.opened import opened, run_one
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.config.reading import CONFIG_VARIABLE
from davserver.domain.clock import SECOND
from davserver.domain.errors import ConfigError
from davserver.jobs.bell import Bell
from davserver.jobs.queue import ShownJob


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name."""
    return run_one(_COMMANDS, options, config)


def _list(_: argparse.Namespace, services: Services) -> int:
    jobs = services.queue.shown()
    if not jobs:
        say("There is nothing to do.")
        return 0
    print_table(("ID", "KIND", "STATE", "ATTEMPTS", "NEXT", "ABOUT", "LAST ERROR"), map(_row, jobs))
    return 0


def _row(job: ShownJob) -> tuple[str, ...]:
    at = datetime.fromtimestamp(job.run_at / SECOND, UTC)
    about = job.payload if len(job.payload) <= 60 else job.payload[:57] + "..."
    next_try = f"{at:%Y-%m-%d %H:%M:%S}Z" if job.state == "waiting" else "-"
    return str(job.id), job.kind, job.state, str(job.attempts), next_try, about, job.last_error or "-"


def _retry(options: argparse.Namespace, services: Services) -> int:
    count = services.queue.retry(options.id)
    say(f"{count} {'job is' if count == 1 else 'jobs are'} tried again now.")
    return 0


def _run(_: argparse.Namespace, services: Services) -> int:
    logs.configure(services.config.log_level, services.config.log_format)
    done = services.runner.look()
    left = services.queue.count()
    say(f"{done} {'job was' if done == 1 else 'jobs were'} done; {left} left. davserver jobs list shows them.")
    return 0


_COMMANDS: Final = {"list": _list, "retry": _retry, "run": _run}


def worker(options: argparse.Namespace, config: Config) -> int:
    """Do background work until SIGTERM or SIGINT: as a Celery worker with Redis, else alone."""
    logs.configure(config.log_level, config.log_format)
    if config.redis_url is not None:
        # The background door reads the configuration itself, because Celery's own command starts there too.
        if options.config is not None:
            os.environ[CONFIG_VARIABLE] = str(options.config.absolute())
        from tasks.worker import run as run_celery  # noqa: PLC0415 - it reads what was just set

        return run_celery(with_beat=options.beat, processes=options.processes)
    with opened(config) as services:
        _work_alone(services)
    return 0


def beat(options: argparse.Namespace, config: Config) -> int:
    """Send out what recurs until SIGTERM or SIGINT. Raises `ConfigError` without Redis."""
    logs.configure(config.log_level, config.log_format)
    if config.redis_url is None:
        raise ConfigError("REDIS_URL is not set; without Redis the server itself sees to what recurs.")
    if options.config is not None:
        os.environ[CONFIG_VARIABLE] = str(options.config.absolute())
    from tasks.worker import beat as beat_celery  # noqa: PLC0415 - it reads what was just set

    return beat_celery()


def _work_alone(services: Services) -> None:
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    bell = Bell(services.runner.look, stop=services.runner.stop)
    bell.start()
    say("davserver worker ready")
    asked.wait()
    bell.close()
