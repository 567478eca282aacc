"""``davserver user ...``."""

import argparse
import getpass
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from secrets import choice
from typing import Final

from davserver.bootstrap import migrate, open_accounts, open_database, open_resets, open_second_factors
from davserver.cli import say
from davserver.config import Config
from davserver.config.kinds import show_size
from davserver.domain.clock import SECOND, system_clock
from davserver.domain.errors import BadRequest
from davserver.domain.principal import Door, Origin
from davserver.services.accounts import Accounts, User, check_user_name
from davserver.services.resets import INVITATION_SECONDS, RESET_SECONDS, Resets
from davserver.services.users import UserChanges, Users

_READABLE: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits that nobody takes for one another."""


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name, on a database that is brought up to date first."""
    database = open_database(config)
    try:
        migrate(config, database)
        if options.name_of_command in _BY_LINK:
            return _BY_LINK[options.name_of_command](options, open_resets(config, database), config.public_url)
        if options.name_of_command == "nototp":
            open_second_factors(config, database).remove(options.name, Origin(Door.CLI))
            say(f"The second factor of {options.name} is off.")
            return 0
        if options.name_of_command in _BY_OFFICE:
            return _BY_OFFICE[options.name_of_command](options, Users(database, system_clock))
        return _COMMANDS[options.name_of_command](options, open_accounts(config, database))
    finally:
        database.close()


def random_password(pick: Callable[[Sequence[str]], str] = choice) -> str:
    """Sixteen characters that can be read out, such as ``k7fm-2qpd-x9tr-hw4b``: 79 bits."""
    return "-".join("".join(pick(_READABLE) for _ in range(4)) for _ in range(4))


def _add(options: argparse.Namespace, accounts: Accounts) -> int:
    check_user_name(options.name)
    password, is_made_up = _new_password(options)
    accounts.add(options.name, password, email=options.email, is_admin=options.admin, quota_bytes=options.quota)
    say(f"Added {options.name}.")
    return _tell(options.name, password) if is_made_up else 0


def _passwd(options: argparse.Namespace, accounts: Accounts) -> int:
    name = accounts.find(options.name).name
    password, is_made_up = _new_password(options)
    accounts.set_password(name, password)
    say(f"The password of {name} is changed.")
    return _tell(name, password) if is_made_up else 0


def _list(_: argparse.Namespace, accounts: Accounts) -> int:
    rows = [("NAME", "EMAIL", "ROLE", "QUOTA", "STATE", "ADDED"), *map(_row, accounts.users())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _disable(options: argparse.Namespace, accounts: Accounts) -> int:
    accounts.set_disabled(options.name, disabled=True)
    say(f"{options.name} is shut out; the files stay.")
    return 0


def _enable(options: argparse.Namespace, accounts: Accounts) -> int:
    accounts.set_disabled(options.name, disabled=False)
    say(f"{options.name} may sign in again.")
    return 0


def _reset(options: argparse.Namespace, resets: Resets, public_url: str | None) -> int:
    token = resets.reset_token(options.name)
    if public_url is None:
        say(f"Counts once, within {RESET_SECONDS // 60} minutes, for PUT /api/v1/accounts/password as: token")
        say(token)
    else:
        say(f"Works once, within {RESET_SECONDS // 60} minutes:")
        say(f"{public_url}/reset?token={token}")
    return 0


def _invite(_: argparse.Namespace, resets: Resets, __: str | None) -> int:
    say(f"Counts once, within {INVITATION_SECONDS // 86_400} days, for POST /api/v1/accounts as: invitation")
    say(resets.invite())
    return 0


def _change(options: argparse.Namespace, users: Users) -> int:
    changes: UserChanges = {}
    if options.admin is not None:
        changes["is_admin"] = options.admin
    if options.quota is not None:
        changes["quota_bytes"] = None if options.quota == "none" else options.quota
    if options.email is not None:
        changes["email"] = options.email
    if not changes:
        raise BadRequest("Say what to change: --admin, --no-admin, --quota or --email.")
    changed = users.change(_OPERATOR, options.name, changes)
    quota = "none" if changed.quota_bytes is None else show_size(changed.quota_bytes)
    say(
        f"{changed.name}: {'administrator' if changed.is_admin else 'user'}, quota {quota}, {changed.email or 'no e-mail'}."
    )
    return 0


def _delete(options: argparse.Namespace, users: Users) -> int:
    users.delete(_OPERATOR, options.name, options.again)
    say(f"{options.name} is deleted; what is in the store goes in the background.")
    return 0


_OPERATOR: Final = Origin(Door.CLI)
_BY_OFFICE: Final = {"change": _change, "delete": _delete}
_BY_LINK: Final = {"reset": _reset, "invite": _invite}
_COMMANDS: Final = {"add": _add, "passwd": _passwd, "list": _list, "disable": _disable, "enable": _enable}


def _row(user: User) -> tuple[str, ...]:
    added = datetime.fromtimestamp(user.created_at / SECOND, UTC)
    return (
        user.name,
        user.email or "-",
        "admin" if user.is_admin else "user",
        "none" if user.quota_bytes is None else show_size(user.quota_bytes),
        "disabled" if user.disabled_at else "active",
        f"{added:%Y-%m-%d}",
    )


def _new_password(options: argparse.Namespace) -> tuple[str, bool]:
    """The new password, and whether we made it up."""
    if options.password_stdin:
        line = sys.stdin.readline()
        if not line:
            raise BadRequest("There is no password on stdin.")
        return line.rstrip("\r\n"), False
    if not sys.stdin.isatty():
        return random_password(), True
    password = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != password:
        raise BadRequest("The two are not the same; nothing was changed.")
    return password, False


def _tell(name: str, password: str) -> int:
    say(f"The password of {name}, shown this once: {password}")
    return 0
