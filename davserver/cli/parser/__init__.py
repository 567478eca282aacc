"""The options of all commands: parsing only, and quick. What a command needs is loaded when it runs."""

import argparse
import sys
from pathlib import Path

from davserver.cli.parser.adding import add_group
from davserver.cli.parser.drive import add_link_commands, add_scan_commands, add_trash_commands
from davserver.cli.parser.operation import (
    add_backup_commands,
    add_job_commands,
    add_key_commands,
    add_mail_commands,
    add_server_commands,
)
from davserver.cli.parser.people import (
    add_activity_command,
    add_signing_commands,
    add_stats_command,
    add_token_commands,
    add_user_commands,
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each namespace holds the `command` to call and the `config` file or None."""
    parser = argparse.ArgumentParser(
        prog="davserver",
        description="A multi-user, encrypted WebDAV file server.",
        epilog="Every command has --help. Settings: docs/configuration.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file (default: ./wsgidav.yaml)")
    parser.add_argument("--version", action=_Version, nargs=0, help="say which release this is")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_server_commands(commands)
    add_user_commands(add_group(commands, "user", "Add, list and change users."))
    add_token_commands(add_group(commands, "token", "Make, list and revoke passwords of single devices."))
    add_trash_commands(add_group(commands, "trash", "Look into a user's trash, restore and purge."))
    add_link_commands(add_group(commands, "link", "Make, list and take back download links."))
    add_job_commands(add_group(commands, "jobs", "Look at background work."))
    add_backup_commands(commands)
    add_key_commands(add_group(commands, "keys", "Look at the keys that seal the content, and change them."))
    add_signing_commands(add_group(commands, "signing", "Look at the keys that sign access tokens, and change them."))
    add_mail_commands(add_group(commands, "mail", "See that mail works."))
    add_activity_command(commands)
    add_stats_command(commands)
    add_scan_commands(add_group(commands, "scan", "Look at what was found by scans for viruses."))
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - no other command needs it

        sys.stdout.write(f"davserver {version('davserver')}\n")
        parser.exit()
