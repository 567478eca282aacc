"""``davserver stats``: drives in figures."""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from davserver.bootstrap import Services
from davserver.cli import say
from davserver.cli.opened import named, opened
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.config.kinds import show_size
from davserver.domain.clock import SECOND, Micros
from davserver.domain.principal import Principal
from davserver.services.statistics import DriveFigures, Statistics


def run(options: argparse.Namespace, config: Config) -> int:
    """Print what is in one user's drive, or a line for everybody's."""
    with opened(config) as services:
        if options.user is None:
            _everybody(services.statistics)
        else:
            _one(services, named(services, options.user))
    return 0


def _everybody(statistics: Statistics) -> None:
    print_table(
        ("NAME", "FILES", "FOLDERS", "SIZE", "TRASH", "USED", "QUOTA", "COUNTED"), map(_line, _drives(statistics))
    )


def _drives(statistics: Statistics) -> Iterator[DriveFigures]:
    after = ""
    while page := statistics.everybody(after=after):
        yield from page
        after = page[-1].name_key


def _line(drive: DriveFigures) -> tuple[str, ...]:
    quota = "-" if drive.quota is None else show_size(drive.quota)
    found = drive.figures
    if found is None:
        return drive.name, "-", "-", "-", "-", show_size(drive.used), quota, "not yet"
    return (
        drive.name,
        str(found.total.files),
        str(found.folders),
        show_size(found.total.size),
        show_size(found.trash.size),
        show_size(drive.used),
        quota,
        _time(found.as_of),
    )


def _one(services: Services, who: Principal) -> None:
    figures = services.statistics.of(who)
    usage = services.tree.usage(who)
    say(f"The drive of {who.name}, as of {_time(figures.as_of)}")
    say(f"  files    {figures.total.files}, {show_size(figures.total.size)}")
    say(f"  folders  {figures.folders}")
    say(f"  trash    {figures.trash.files} files, {show_size(figures.trash.size)}")
    left = "no limit" if usage.available is None else f"{show_size(usage.available)} left"
    say(f"  quota    {show_size(usage.used)} used, {left}")
    types = sorted(figures.by_type.items(), key=lambda item: (-item[1].size, item[0]))
    if types:
        say()
        print_table(("TYPE", "FILES", "SIZE"), ((name, str(one.files), show_size(one.size)) for name, one in types))
    largest = services.statistics.largest(who)
    if largest:
        say()
        print_table(
            ("LARGEST", "SIZE", "CHANGED"),
            (("/" + "/".join(one.path.names), show_size(one.size), _time(one.modified_at)) for one in largest),
        )


def _time(at: Micros) -> str:
    return f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"
