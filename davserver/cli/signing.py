"""``davserver signing ...``: the keys that sign access tokens, reset links and invitations."""

import argparse
import os
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import migrate, open_database, open_signing_keys
from davserver.cli import say
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.domain.clock import SECOND, Micros
from davserver.services.signing_keys import ShownKey, SigningKeys


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name."""
    database = open_database(config)
    try:
        migrate(config, database)
        return _COMMANDS[options.name_of_command](options, open_signing_keys(config, database))
    finally:
        database.close()


def _list(_: argparse.Namespace, keys: SigningKeys) -> int:
    rows = [
        (key.id, "signs" if key.ends_at is None else "is believed", _at(key.made_at), _at(key.ends_at))
        for key in keys.shown()
    ]
    print_table(("ID", "STATE", "MADE", "UNTIL"), rows)
    return 0


def _row(key: ShownKey) -> tuple[str, ...]:
    return key.id, "signs" if key.ends_at is None else "is believed", _at(key.made_at), _at(key.ends_at)


def _rotate(options: argparse.Namespace, keys: SigningKeys) -> int:
    key_id = keys.rotate(os.urandom, at_once=options.now)
    say(f"The key {key_id} signs from now on, on every machine.")
    say(
        "What the keys before it signed is void."
        if options.now
        else "What the keys before it signed counts until it expires."
    )
    return 0


def _at(at: Micros | None) -> str:
    return "-" if at is None else f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M}Z"


_COMMANDS: Final = {"list": _list, "rotate": _rotate}
