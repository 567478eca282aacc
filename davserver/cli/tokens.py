"""``davserver token ...``: passwords of single devices."""

import argparse
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import migrate, open_accounts, open_database, open_devices
from davserver.cli import say
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.domain.clock import SECOND, Micros, system_clock
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Door, Origin, Principal
from davserver.services.devices import Devices, DeviceToken, Limits


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name, on a database that is brought up to date first."""
    database = open_database(config)
    try:
        migrate(config, database)
        user = open_accounts(config, database).find(options.user)
        who = Principal(user.id, user.name, user.is_admin, origin=Origin(Door.CLI))
        return _COMMANDS[options.name_of_command](options, open_devices(config, database), who)
    finally:
        database.close()


def _add(options: argparse.Namespace, devices: Devices, who: Principal) -> int:
    limits = Limits(
        prefix=None if options.prefix is None else ResourcePath.of(n for n in options.prefix.split("/") if n),
        read_only=options.read_only,
        hides_trash=options.hide_trash,
        networks=tuple(options.network),
        expires_at=None if options.expires is None else system_clock() + options.expires * SECOND,
    )
    made = devices.add(who, options.name, limits)
    say(f"The token {made.token.name} of {who.name}, shown this once: {made.secret}")
    return 0


def _list(_: argparse.Namespace, devices: Devices, who: Principal) -> int:
    tokens = devices.list(who)
    if not tokens:
        say(f"{who.name} has no tokens.")
        return 0
    print_table(("NAME", "OPENS", "MAY", "FROM", "EXPIRES", "LAST USED", "ADDRESS"), map(_row, tokens))
    return 0


def _revoke(options: argparse.Namespace, devices: Devices, who: Principal) -> int:
    devices.revoke(who, options.name)
    say(f"The token {options.name} of {who.name} is revoked.")
    return 0


_COMMANDS: Final = {"add": _add, "list": _list, "revoke": _revoke}


def _row(token: DeviceToken) -> tuple[str, ...]:
    limits = token.limits
    return (
        token.name,
        "/" if limits.prefix is None else "/" + "/".join(limits.prefix.names),
        "read" if limits.read_only else "read and write",
        ", ".join(limits.networks) or "anywhere",
        _when(limits.expires_at),
        _when(token.used_at),
        token.used_address or "-",
    )


def _when(at: Micros | None) -> str:
    return "-" if at is None else f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M}"
