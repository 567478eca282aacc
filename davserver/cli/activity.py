"""``davserver activity``: what was done, for an administrator."""

import argparse
from datetime import UTC, datetime

from davserver.bootstrap import Services
from davserver.cli import say
from davserver.cli.opened import opened
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.domain.activity import Action, ActivityEntry, ActivityFilter
from davserver.domain.clock import SECOND
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Door, Origin, Principal


def run(options: argparse.Namespace, config: Config) -> int:
    """Print the newest entries that the options ask for, the latest first."""
    wanted = ActivityFilter(
        actions=None if options.action is None else frozenset(map(Action, options.action)),
        path=None if options.path is None else ResourcePath.of(name for name in options.path.split("/") if name),
        door=None if options.door is None else Door(options.door),
        audit_only=options.audit,
    )
    with opened(config) as services:
        entries = _entries(services, options, wanted)
    if not entries:
        say("Nothing of that kind is in the log.")
        return 0
    print_table(("WHEN", "OWNER", "BY", "ACTION", "WHERE", "DOOR", "ADDRESS", "DEVICE", "MORE"), map(_row, entries))
    return 0


def _entries(services: Services, options: argparse.Namespace, wanted: ActivityFilter) -> list[ActivityEntry]:
    origin = Origin(Door.CLI)
    read = services.activity.of
    if options.user is None:
        who, read = Principal(0, "", is_admin=True, origin=origin), services.activity.audit
    else:
        user = services.accounts.find(options.user)
        who = Principal(user.id, user.name, user.is_admin, origin=origin)
    found: list[ActivityEntry] = []
    after: str | None = None
    while len(found) < options.count:
        page = read(who, wanted, after=after, limit=min(options.count - len(found), 1_000))
        found += page.items
        after = page.next
        if after is None:
            break
    return found


def _row(entry: ActivityEntry) -> tuple[str, ...]:
    where = entry.path or ""
    return (
        f"{datetime.fromtimestamp(entry.at / SECOND, UTC):%Y-%m-%d %H:%M:%S}Z",
        entry.owner or "-",
        entry.actor or "-",
        entry.action.value,
        f"{where} -> {entry.to_path}" if entry.to_path else where or "-",
        entry.origin.door.value,
        entry.origin.address or "-",
        entry.origin.device or "-",
        entry.detail or "",
    )
