"""The server's end: how a process that has work for others says so."""

from collections.abc import Callable

from tasks.application import EXPIRES_SECONDS, LOOK, make_celery


def sender(redis_url: str) -> Callable[[], None]:
    """What sends one message to whatever worker is free. It raises, within seconds, when Redis is away."""
    app = make_celery(redis_url)

    def send() -> None:
        app.send_task(LOOK, expires=EXPIRES_SECONDS, ignore_result=True, retry=False)  # type: ignore[no-untyped-call]

    return send
