"""The command line: parsing and printing only. What a command needs is imported when it runs, so that each starts fast."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from davserver.cli.failures import CannotServe, explain
from davserver.config import Config, load
from davserver.config.kinds import parse_duration, parse_size
from davserver.domain.activity import Action
from davserver.domain.errors import ConfigError, DavserverError
from davserver.domain.principal import Door

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

Command = Callable[[argparse.Namespace, Config], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when it failed, 2 when it was called or configured wrongly."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())  # a failure is told in one line, by us
    os.umask(0o077)  # whatever is made is for this user alone
    config: Config | None = None
    try:
        config = load(os.environ | _given(options), options.config)
        command: Command = options.command
        return command(options, config)
    except ConfigError as error:
        return _fail(str(error), EXIT_USAGE)
    except DavserverError as error:
        return _fail(explain(error, config), EXIT_FAILED)
    except CannotServe as error:
        return _fail(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        return 130


def _given(options: argparse.Namespace) -> dict[str, str]:
    """Settings that a command took as options, as if they stood in the environment."""
    named = {"tls_cert": "DAVSERVER_TLS_CERT", "tls_key": "DAVSERVER_TLS_KEY"}
    return {variable: value for option, variable in named.items() if (value := getattr(options, option, None))}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each namespace holds the `command` to call and the `config` file or None."""
    parser = argparse.ArgumentParser(
        prog="davserver",
        description="A multi-user, encrypted WebDAV file server.",
        epilog="Every command has --help. Settings: docs/configuration.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default: ./wsgidav.yaml)")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve = _add(
        commands, "serve", _serve, "Serve the drive until SIGTERM or Ctrl-C.",
        "davserver serve --tls-cert cert.pem --tls-key key.pem",
    )  # fmt: skip
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM): serve HTTPS")
    serve.add_argument("--tls-key", metavar="FILE", help="its private key (PEM), if that is not in the same file")
    migrate = _add(
        commands, "migrate", _migrate, "Bring the database to this release's tables.", "davserver migrate --check"
    )
    migrate.add_argument("--check", action="store_true", help="change nothing; exit 1 when there is something to do")
    _add_user_commands(_group(commands, "user", "Add, list and change users."))
    verify = _add(
        commands, "verify", _verify, "Compare database and store, and each with itself.", "davserver verify --deep"
    )
    verify.add_argument("--deep", action="store_true", help="open every segment of every file")
    verify.add_argument("--repair", action="store_true", help="mend what can be mended without a loss")
    _add_token_commands(_group(commands, "token", "Make, list and revoke passwords of single devices."))
    _add_trash_commands(_group(commands, "trash", "Look into a user's trash, restore and purge."))
    _add_link_commands(_group(commands, "link", "Make, list and take back download links."))
    _add_job_commands(_group(commands, "jobs", "Look at background work."))
    _add_backup_commands(commands)
    _add_key_commands(_group(commands, "keys", "Look at the keys that seal the content, and change them."))
    _add_activity_command(commands)
    _add_scan_commands(_group(commands, "scan", "Look at what was found by scans for viruses."))
    worker = _add(
        commands, "worker", _worker, "Do background work until SIGTERM or Ctrl-C: with Redis as a Celery worker.",
        "davserver worker --beat",
    )  # fmt: skip
    worker.add_argument("--beat", action="store_true", help="also send out what recurs (one worker is enough)")
    worker.add_argument("--processes", type=int, metavar="N", help="with Redis: processes (default: one per core)")
    _add(commands, "beat", _beat, "With Redis: send out what recurs, until SIGTERM or Ctrl-C.", "davserver beat")
    show = _group(commands, "config", "Look at the configuration.")
    _add(
        show, "show", _config_show, "Print every setting, its value and where it came from.",
        "DAVSERVER_PORT=9000 davserver config show",
    )  # fmt: skip
    return parser


def _add_user_commands(users: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = _add(users, "add", _user, "Add a user.", "davserver user add ada --email ada@example.org --quota 10G")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--email", metavar="E", help="e-mail address")
    add.add_argument("--admin", action="store_true", help="make the user an administrator")
    add.add_argument("--quota", type=_size, metavar="SIZE", help="such as 10G; default: the setting default_quota")
    passwd = _add(
        users, "passwd", _user, "Set a user's password; the old one is void at once.", "davserver user passwd ada"
    )
    passwd.add_argument("name", metavar="NAME")
    for parser in (add, passwd):
        parser.add_argument(
            "--password-stdin", action="store_true",
            help="read the password from the first line of stdin (default: ask; make one up where nobody can be asked)",
        )  # fmt: skip
    _add(users, "list", _user, "List all users.", "davserver user list")
    disable = _add(
        users, "disable", _user, "Shut a user out at once, and keep the files.", "davserver user disable ada"
    )
    enable = _add(users, "enable", _user, "Let a disabled user in again.", "davserver user enable ada")
    reset = _add(users, "reset", _user, "Print a token to set a new password with, once.", "davserver user reset ada")
    factor = _add(
        users, "nototp", _user, "Switch a user's second factor off, when it is lost.", "davserver user nototp ada"
    )
    _add(users, "invite", _user, "Print an invitation for one new user.", "davserver user invite")
    for parser in (disable, enable, reset, factor):
        parser.add_argument("name", metavar="NAME")


def _add_trash_commands(trash: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    listing = _add(trash, "list", _trash, "List what is in a user's trash.", "davserver trash list ada")
    restore = _add(
        trash, "restore", _trash, "Bring something back to where it was.",
        'davserver trash restore ada "report (2).pdf" --to /old/report.pdf',
    )  # fmt: skip
    purge = _add(
        trash, "purge", _trash, "Remove something in the trash for good.", "davserver trash purge ada photos/2001"
    )
    empty = _add(trash, "empty", _trash, "Remove all that is in the trash for good.", "davserver trash empty ada")
    settings = _add(
        trash, "settings", _trash, "Show or change how a user's trash works.", "davserver trash settings ada --hide"
    )
    for parser in (listing, restore, purge, empty, settings):
        parser.add_argument("user", metavar="USER")
    restore.add_argument("entry", metavar="ENTRY", help="its name in the trash")
    restore.add_argument("--to", metavar="PATH", help="another place")
    restore.add_argument("--overwrite", action="store_true", help="what stands there goes to the trash")
    purge.add_argument("entry", metavar="ENTRY", help="its name in the trash, or a path below it")
    settings.add_argument(
        "--keep", type=_duration_or_server, metavar="TIME", help="such as 12h, within the server's; or: server"
    )
    shown = settings.add_mutually_exclusive_group()
    shown.add_argument("--hide", dest="hidden", action="store_true", default=None, help="leave it out of listings")
    shown.add_argument("--show", dest="hidden", action="store_false", help="list it")


def _add_link_commands(links: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = _add(
        links, "add", _link, "Make a download link to a file or a folder.",
        "davserver link add ada /photos/2026 --expires 7d --uses 10",
    )  # fmt: skip
    listing = _add(links, "list", _link, "List a user's download links.", "davserver link list ada")
    revoke = _add(links, "revoke", _link, "Take a download link back, at once.", "davserver link revoke ada 7")
    for parser in (add, listing, revoke):
        parser.add_argument("user", metavar="USER")
    add.add_argument("path", metavar="PATH", help="the file or folder in the user's drive")
    add.add_argument("--name", metavar="NAME", help="what the list calls it (default: the name of the file)")
    add.add_argument("--expires", type=_duration, metavar="TIME", help="when it ends, such as 12h or 7d")
    add.add_argument("--uses", type=int, metavar="N", help="how many downloads it is good for")
    add.add_argument("--password-stdin", action="store_true", help="ask for the password on the first line of stdin")
    add.add_argument("--url", default="", metavar="URL", help="the server's address, to print the whole link")
    revoke.add_argument("id", metavar="ID", type=int)


def _add_token_commands(tokens: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = _add(
        tokens, "add", _token, "Make a password for one device, and print it once.", "davserver token add ada laptop"
    )
    listing = _add(tokens, "list", _token, "List a user's device tokens.", "davserver token list ada")
    revoke = _add(tokens, "revoke", _token, "End a token at once.", "davserver token revoke ada laptop")
    for parser in (add, listing, revoke):
        parser.add_argument("user", metavar="USER")
    for parser in (add, revoke):
        parser.add_argument("name", metavar="NAME", help="of the token, such as: laptop")
    add.add_argument("--prefix", metavar="PATH", help="the folder that it opens (default: the whole drive)")
    add.add_argument("--read-only", action="store_true", help="nothing can be changed with it")
    add.add_argument("--hide-trash", action="store_true", help="listings leave out the trash")
    add.add_argument(
        "--network", metavar="CIDR", action="append", default=[], help="such as 192.168.1.0/24; repeatable"
    )
    add.add_argument("--expires", metavar="TIME", type=_duration, help="such as 90d (default: never)")


def _add_job_commands(jobs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _add(jobs, "list", _jobs, "List what is to be done, what failed first.", "davserver jobs list")
    retry = _add(jobs, "retry", _jobs, "Try again now what failed.", "davserver jobs retry 42")
    retry.add_argument("id", metavar="ID", type=int, nargs="?", help="this one alone (default: all that failed)")
    _add(jobs, "run", _jobs, "Do here and now what is due.", "davserver jobs run")


def _add_backup_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    backup = _add(
        commands,
        "backup",
        _backup,
        "Copy the drive, as it is at one moment, into a folder.",
        "davserver backup /mnt/backup",
    )
    backup.add_argument("target", metavar="TARGET", type=Path, help="a folder; made when it is missing")
    backup.add_argument("--check", action="store_true", help="read the latest set and see that it is whole")
    restore = _add(commands, "restore", _restore, "Bring a backup up here.", "davserver restore /mnt/backup")
    restore.add_argument("source", metavar="SOURCE", type=Path, help="the folder of the backup")
    restore.add_argument("--set", metavar="NAME", help="the name of a set (default: the latest)")
    restore.add_argument("--replace", action="store_true", help="forget what the database holds now")


def _add_key_commands(keys: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _add(
        keys,
        "list",
        _keys,
        "List the keys, what is sealed under each, and how far re-wrapping is.",
        "davserver keys list",
    )
    add = _add(keys, "add", _keys, "Add a key that seals nothing yet.", "davserver keys add")
    add.add_argument("--import", dest="file", type=Path, metavar="FILE", help="the keys of another key file instead")
    rotate = _add(
        keys, "rotate", _keys, "Make a key current, and bring all content under it in the background.",
        "davserver keys rotate",
    )  # fmt: skip
    rotate.add_argument("id", metavar="ID", nargs="?", help="default: a fresh key (with a key file)")
    retire = _add(
        keys, "retire", _keys, "Take a key out that nothing is sealed under.", "davserver keys retire k5f0c21aa"
    )
    retire.add_argument("id", metavar="ID")


def _add_scan_commands(scans: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _add(scans, "status", _scan, "Say what scans, and how many contents have which verdict.", "davserver scan status")
    _add(scans, "list", _scan, "List all files that a virus was found in.", "davserver scan list")
    release = _add(
        scans, "release", _scan, "Let an infected file be read all the same.", "davserver scan release ada /probe.exe"
    )
    release.add_argument("user", metavar="USER")
    release.add_argument("path", metavar="PATH", help="as davserver scan list shows it")
    rescan = _add(scans, "rescan", _scan, "Scan a file, or all of them, again.", "davserver scan rescan ada /probe.exe")
    rescan.add_argument("user", metavar="USER", nargs="?", help="default: everybody")
    rescan.add_argument("path", metavar="PATH", nargs="?", help="default: all the user's files, in the background")


def _add_activity_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    activity = _add(
        commands, "activity", _activity, "Say what was done to a user's drive and account, or what concerns everybody's safety.",
        "davserver activity ada --path /photos --action deleted --action moved",
    )  # fmt: skip
    activity.add_argument("user", metavar="USER", nargs="?", help="default: the audit log, which is about everybody")
    actions = [action.value for action in Action]
    activity.add_argument(
        "--action", action="append", choices=actions, metavar="ACTION", help=f"only these: {', '.join(actions)}"
    )
    activity.add_argument("--path", metavar="PATH", help="only what was done there or below")
    activity.add_argument("--door", choices=[door.value for door in Door], help="only what came that way")
    activity.add_argument("--audit", action="store_true", help="leave out everyday work on files")
    activity.add_argument("--count", type=int, default=50, metavar="N", help="the newest N (default: 50)")


def _group(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    text: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, epilog=f"Example: {example}", allow_abbrev=False)
    # Also behind the command; there it must not undo what stood before it.
    parser.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="configuration file")
    parser.set_defaults(command=command, name_of_command=name)
    return parser


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 10G") from None


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 12h or 7d") from None


def _duration_or_server(text: str) -> int | str:
    try:
        return text if text == "server" else parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 12h") from None


def _serve(_: argparse.Namespace, config: Config) -> int:
    from davserver.cli.serving import serve  # noqa: PLC0415

    return serve(config)


def _migrate(options: argparse.Namespace, config: Config) -> int:
    from davserver.bootstrap import migrate, open_database  # noqa: PLC0415
    from davserver.db.migrate import current_revision, head_revision  # noqa: PLC0415

    database = open_database(config)
    try:
        found, wanted = current_revision(database), head_revision()
        if found != wanted and options.check:
            return _fail(
                f"The database is at {found or 'nothing'}, this release wants {wanted}: davserver migrate", EXIT_FAILED
            )
        migrate(config, database)
    finally:
        database.close()
    say(
        f"The database is at {wanted}."
        if found == wanted
        else f"The database went from {found or 'nothing'} to {wanted}."
    )
    return 0


def _user(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import users  # noqa: PLC0415

    return users.run(options, config)


def _verify(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import verify  # noqa: PLC0415

    return verify.run(options, config)


def _trash(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import trash  # noqa: PLC0415

    return trash.run(options, config)


def _link(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import links  # noqa: PLC0415

    return links.run(options, config)


def _token(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import tokens  # noqa: PLC0415

    return tokens.run(options, config)


def _activity(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import activity  # noqa: PLC0415

    return activity.run(options, config)


def _jobs(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import jobs  # noqa: PLC0415

    return jobs.run(options, config)


def _backup(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import backup  # noqa: PLC0415

    return backup.backup(options, config)


def _restore(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import backup  # noqa: PLC0415

    return backup.restore(options, config)


def _keys(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import keys  # noqa: PLC0415

    return keys.run(options, config)


def _scan(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import scans  # noqa: PLC0415

    return scans.run(options, config)


def _worker(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import jobs  # noqa: PLC0415

    return jobs.worker(options, config)


def _beat(options: argparse.Namespace, config: Config) -> int:
    from davserver.cli import jobs  # noqa: PLC0415

    return jobs.beat(options, config)


def _config_show(_: argparse.Namespace, config: Config) -> int:
    from davserver.config.reading import describe  # noqa: PLC0415

    rows = [(key, value or "-", source) for key, value, source in describe(config)]
    widths = [max(len(row[n]) for row in rows) for n in (0, 1)]
    for key, value, source in rows:
        say(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return 0


def say(text: str = "") -> None:
    """Print a line for people, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"davserver: {' '.join(text.split())}\n")
    return status
