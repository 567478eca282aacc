"""``davserver worker`` with Redis: Celery's own worker, started with what we want of it."""

from tasks.celery_app import app


def run(*, with_beat: bool, processes: int | None) -> int:
    """Work until SIGTERM or SIGINT, which let the jobs under way end. Returns the exit status."""
    arguments = ["worker", "--loglevel=WARNING", "--without-gossip", "--without-mingle"]
    arguments += ["--beat"] if with_beat else []
    arguments += [f"--concurrency={processes}"] if processes else []
    app.worker_main(arguments)  # type: ignore[no-untyped-call]
    return 0


def beat() -> int:
    """Celery's own beat, alone. It keeps nothing on disk. Returns the exit status."""
    app.start(["beat", "--loglevel=WARNING", "--pidfile="])  # type: ignore[no-untyped-call]
    return 0
