"""Running the server: background work, backup, keys."""

from pathlib import Path
from typing import Final

from davserver.cli.parser.adding import Commands, add_command, add_group, later, number

_SERVE: Final = later("serving", "serve")
_MIGRATE: Final = later("migrating")
_DOCTOR: Final = later("doctor")
_VERIFY: Final = later("verify")
_WORKER: Final = later("jobs", "worker")
_BEAT: Final = later("jobs", "beat")
_CONFIG_SHOW: Final = later("settings", "show")
_JOBS: Final = later("jobs")
_BACKUP: Final = later("backup", "backup")
_RESTORE: Final = later("backup", "restore")
_KEYS: Final = later("keys")
_MAIL: Final = later("mail")


def add_server_commands(commands: Commands) -> None:
    """``serve``, ``worker``, ``beat``, ``migrate``, ``verify``, ``doctor`` and ``config show``."""
    serve = add_command(
        commands, "serve", _SERVE, "Serve the drive until SIGTERM or Ctrl-C.",
        "davserver serve --tls-cert cert.pem --tls-key key.pem",
    )  # fmt: skip
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM): serve HTTPS")
    serve.add_argument("--tls-key", metavar="FILE", help="its private key (PEM), if that is not in the same file")
    migrate = add_command(
        commands, "migrate", _MIGRATE, "Bring the database to this release's tables.", "davserver migrate --check"
    )
    migrate.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 when it is behind, 2 when nobody can tell"
    )
    worker = add_command(
        commands, "worker", _WORKER, "Do background work until SIGTERM or Ctrl-C: with Redis as a Celery worker.",
        "davserver worker --beat",
    )  # fmt: skip
    worker.add_argument("--beat", action="store_true", help="also send out what recurs (one worker is enough)")
    worker.add_argument("--processes", type=int, metavar="N", help="with Redis: processes (default: one per core)")
    add_command(commands, "beat", _BEAT, "With Redis: send out what recurs, until SIGTERM or Ctrl-C.", "davserver beat")
    verify = add_command(
        commands, "verify", _VERIFY, "Compare database and store, and each with itself.", "davserver verify --deep"
    )
    verify.add_argument("--deep", action="store_true", help="open every segment of every file")
    verify.add_argument("--repair", action="store_true", help="mend what can be mended without a loss")
    doctor = add_command(
        commands, "doctor", _DOCTOR, "Say what is wrong with the set-up, and what to do.", "davserver doctor --json"
    )
    doctor.add_argument("--json", action="store_true", help="the report for programs")
    show = add_group(commands, "config", "Look at the configuration.")
    add_command(
        show, "show", _CONFIG_SHOW, "Print every setting, its value and where it came from.",
        "DAVSERVER_PORT=9000 davserver config show",
    )  # fmt: skip


def add_job_commands(jobs: Commands) -> None:
    """``jobs ...``."""
    add_command(jobs, "list", _JOBS, "List what is to be done, what failed first.", "davserver jobs list")
    retry = add_command(jobs, "retry", _JOBS, "Try again now what failed.", "davserver jobs retry 42")
    retry.add_argument("id", metavar="ID", type=int, nargs="?", help="this one alone (default: all that failed)")
    add_command(jobs, "run", _JOBS, "Do here and now what is due.", "davserver jobs run")


def add_backup_commands(commands: Commands) -> None:
    """``backup`` and ``restore``."""
    backup = add_command(
        commands,
        "backup",
        _BACKUP,
        "Copy the drive, as it is at one moment, into a folder.",
        "davserver backup /mnt/backup",
    )
    backup.add_argument("target", metavar="TARGET", type=Path, help="a folder; made when it is missing")
    instead = backup.add_mutually_exclusive_group()
    instead.add_argument("--check", action="store_true", help="read the latest set and see that it is whole")
    instead.add_argument("--prune", action="store_true", help="remove old sets, and the content that only they have")
    for name, what in (("last", "sets"), ("daily", "days"), ("weekly", "weeks"), ("monthly", "months")):
        backup.add_argument(
            f"--keep-{name}", type=number, default=0, metavar="N", help=f"with --prune: keep the last N {what}"
        )
    backup.add_argument("--dry-run", action="store_true", help="with --prune: only say what would go")
    restore = add_command(commands, "restore", _RESTORE, "Bring a backup up here.", "davserver restore /mnt/backup")
    restore.add_argument("source", metavar="SOURCE", type=Path, help="the folder of the backup")
    restore.add_argument("--set", metavar="NAME", help="the name of a set (default: the latest)")
    restore.add_argument("--replace", action="store_true", help="forget what the database holds now")


def add_key_commands(keys: Commands) -> None:
    """``keys ...``."""
    add_command(
        keys,
        "list",
        _KEYS,
        "List the keys, what is sealed under each, and how far re-wrapping is.",
        "davserver keys list",
    )
    add = add_command(keys, "add", _KEYS, "Add a key that seals nothing yet.", "davserver keys add")
    add.add_argument("--import", dest="file", type=Path, metavar="FILE", help="the keys of another key file instead")
    rotate = add_command(
        keys, "rotate", _KEYS, "Make a key current, and bring all content under it in the background.",
        "davserver keys rotate",
    )  # fmt: skip
    rotate.add_argument("id", metavar="ID", nargs="?", help="default: a fresh key (with a key file)")
    retire = add_command(
        keys, "retire", _KEYS, "Take a key out that nothing is sealed under.", "davserver keys retire k5f0c21aa"
    )
    retire.add_argument("id", metavar="ID")


def add_mail_commands(mail: Commands) -> None:
    """``mail ...``."""
    test = add_command(mail, "test", _MAIL, "Send a mail, to see that it works.", "davserver mail test ada@example.org")
    test.add_argument("address", metavar="ADDRESS")
