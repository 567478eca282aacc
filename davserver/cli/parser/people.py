"""Users, their device tokens, and what they did."""

import argparse
from typing import Final

from davserver.cli.parser.adding import Commands, add_command, duration, later, size, size_or_none
from davserver.domain.activity import Action
from davserver.domain.principal import Door

_USER: Final = later("users")
_TOKEN: Final = later("tokens")
_ACTIVITY: Final = later("activity")
_SIGNING: Final = later("signing")
_STATS: Final = later("stats")


def add_user_commands(users: Commands) -> None:
    """``user ...``."""
    add = add_command(users, "add", _USER, "Add a user.", "davserver user add ada --email ada@example.org --quota 10G")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--email", metavar="E", help="e-mail address")
    add.add_argument("--admin", action="store_true", help="make the user an administrator")
    add.add_argument("--quota", type=size, metavar="SIZE", help="such as 10G; default: the setting default_quota")
    passwd = add_command(
        users, "passwd", _USER, "Set a user's password; the old one is void at once.", "davserver user passwd ada"
    )
    passwd.add_argument("name", metavar="NAME")
    for parser in (add, passwd):
        parser.add_argument(
            "--password-stdin", action="store_true",
            help="read the password from the first line of stdin (default: ask; make one up where nobody can be asked)",
        )  # fmt: skip
    add_command(users, "list", _USER, "List all users.", "davserver user list")
    disable = add_command(
        users, "disable", _USER, "Shut a user out at once, and keep the files.", "davserver user disable ada"
    )
    enable = add_command(users, "enable", _USER, "Let a disabled user in again.", "davserver user enable ada")
    reset = add_command(
        users, "reset", _USER, "Print a token to set a new password with, once.", "davserver user reset ada"
    )
    factor = add_command(
        users, "nototp", _USER, "Switch a user's second factor off, when it is lost.", "davserver user nototp ada"
    )
    add_command(users, "invite", _USER, "Print an invitation for one new user.", "davserver user invite")
    for parser in (disable, enable, reset, factor, *_add_offices(users)):
        parser.add_argument("name", metavar="NAME")


def _add_offices(users: Commands) -> tuple[argparse.ArgumentParser, ...]:
    change = add_command(
        users, "change", _USER, "Change a user's role, quota or address.", "davserver user change ada --admin"
    )
    role = change.add_mutually_exclusive_group()
    role.add_argument("--admin", action="store_true", default=None, help="make the user an administrator")
    role.add_argument("--no-admin", dest="admin", action="store_false", help="an ordinary user again")
    change.add_argument("--quota", type=size_or_none, metavar="SIZE", help="such as 10G; or: none")
    change.add_argument("--email", metavar="E", help="e-mail address")
    delete = add_command(
        users, "delete", _USER, "Delete a disabled user with all files, for good.",
        "davserver user delete ada --again ada",
    )  # fmt: skip
    delete.add_argument("--again", metavar="NAME", required=True, help="the name again, so that it is no slip")
    return change, delete


def add_token_commands(tokens: Commands) -> None:
    """``token ...``."""
    add = add_command(
        tokens, "add", _TOKEN, "Make a password for one device, and print it once.", "davserver token add ada laptop"
    )
    listing = add_command(tokens, "list", _TOKEN, "List a user's device tokens.", "davserver token list ada")
    revoke = add_command(tokens, "revoke", _TOKEN, "End a token at once.", "davserver token revoke ada laptop")
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
    add.add_argument("--expires", metavar="TIME", type=duration, help="such as 90d (default: never)")


def add_stats_command(commands: Commands) -> None:
    """``stats``."""
    stats = add_command(commands, "stats", _STATS, "Show drives in figures.", "davserver stats ada")
    stats.add_argument("user", metavar="USER", nargs="?", help="one drive, with types and the ten largest files")


def add_activity_command(commands: Commands) -> None:
    """``activity``."""
    activity = add_command(
        commands, "activity", _ACTIVITY, "Say what was done to a user's drive and account, or what concerns everybody's safety.",
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


def add_signing_commands(signing: Commands) -> None:
    """``signing ...``."""
    add_command(
        signing, "list", _SIGNING, "List the keys that sign, and until when what they signed is believed.",
        "davserver signing list",
    )  # fmt: skip
    rotate = add_command(
        signing, "rotate", _SIGNING, "Sign with a new key from now on, on every machine.", "davserver signing rotate"
    )
    rotate.add_argument("--now", action="store_true", help="what was signed before is void at once (a key got out)")
