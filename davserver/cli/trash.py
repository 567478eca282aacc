"""``davserver trash ...``: an administrator's way to a user's trash."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import Services
from davserver.cli import say
from davserver.cli.opened import named, opened
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.config.kinds import show_duration, show_size
from davserver.domain.clock import SECOND, Micros
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.domain.trash import TrashEntry
from davserver.services.trash import TRASH


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name."""
    with opened(config) as services:
        return _COMMANDS[options.name_of_command](options, services, named(services, options.user))


def _list(_: argparse.Namespace, services: Services, who: Principal) -> int:
    entries = services.trash.entries(who)
    if not entries:
        say(f"The trash of {who.name} is empty.")
        return 0
    print_table(("NAME", "FROM", "FILES", "SIZE", "DISCARDED", "PURGED AFTER", "WHY"), map(_row, entries))
    return 0


def _row(entry: TrashEntry) -> tuple[str, ...]:
    discarded = entry.discarded
    return (
        entry.resource.name + "/" * entry.resource.is_collection,
        "/" + "/".join(discarded.origin.names),
        str(entry.files),
        show_size(entry.size),
        _time(discarded.discarded_at),
        _time(discarded.purge_at),
        "replaced" if discarded.is_replaced else "deleted",
    )


def _time(at: Micros) -> str:
    return f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"


def _restore(options: argparse.Namespace, services: Services, who: Principal) -> int:
    to = None if options.to is None else _path(options.to)
    place = services.trash.restore(
        who, options.entry.rstrip("/"), to=to, overwrite=options.overwrite, max_depth=services.config.max_depth
    )
    say(f"Restored to /{'/'.join(place.names)}")
    return 0


def _purge(options: argparse.Namespace, services: Services, who: Principal) -> int:
    services.trash.purge(who, ResourcePath((*TRASH.names, *_path(options.entry).names)))
    say(f"{options.entry} is gone for good.")
    return 0


def _empty(_: argparse.Namespace, services: Services, who: Principal) -> int:
    services.trash.empty(who)
    say(f"The trash of {who.name} is empty.")
    return 0


def _settings(options: argparse.Namespace, services: Services, who: Principal) -> int:
    found = services.settings.of(who)
    retention = found.trash_retention
    if options.keep is not None:
        retention = None if options.keep == "server" else options.keep * SECOND
    hidden = found.hides_trash if options.hidden is None else options.hidden
    wanted = services.settings.change(who, lambda now: replace(now, trash_retention=retention, hides_trash=hidden))
    kept = services.config.trash_retention if retention is None else retention // SECOND
    note = ", as the server says" if retention is None else ""
    say(f"What {who.name} deletes is kept for {show_duration(kept)}{note}.")
    say("The trash is hidden from listings." if wanted.hides_trash else "The trash is listed.")
    return 0


def _path(text: str) -> ResourcePath:
    """A path as people write it, not percent-encoded. Raises `InvalidName`."""
    return ResourcePath.of(name for name in text.split("/") if name)


_COMMANDS: Final = {
    "list": _list,
    "restore": _restore,
    "purge": _purge,
    "empty": _empty,
    "settings": _settings,
}
