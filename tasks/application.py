"""The Celery application: one task, which says "look". What there is to do stands in the database, not in Redis."""

from typing import Any, Final

from celery import Celery

LOOK: Final = "davserver.look"
BEAT_SECONDS: Final = 30.0
EXPIRES_SECONDS: Final = 60
"""A message that waited so long for a worker is passed over: others came after it."""
_NETWORK_SECONDS: Final = 2.0


def make_celery(redis_url: str) -> Celery:
    """The application over this broker, without tasks yet. It connects to nothing."""
    app = Celery("davserver", broker=redis_url, set_as_current=False)  # type: ignore[no-untyped-call]
    app.conf.update(
        task_ignore_result=True,
        task_default_queue="davserver",
        # Lost messages are no loss, so none is kept back for a worker that died.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=_NETWORK_SECONDS,
        broker_transport_options=_transport(),
        beat_scheduler="celery.beat:Scheduler",  # there is nothing to remember between two starts
        beat_schedule={"look": {"task": LOOK, "schedule": BEAT_SECONDS, "options": {"expires": EXPIRES_SECONDS}}},
    )
    return app


def _transport() -> dict[str, Any]:
    return {"socket_connect_timeout": _NETWORK_SECONDS, "max_retries": 1, "interval_start": 0, "interval_max": 0.5}
