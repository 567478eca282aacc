"""What most commands begin and end with."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from davserver.bootstrap import Services, build, migrate
from davserver.config import Config
from davserver.domain.principal import Door, Origin, Principal

ServiceCommand = Callable[[argparse.Namespace, Services], int]


@contextmanager
def opened(config: Config) -> Iterator[Services]:
    """The services, on a database that is brought up to date first. Raises what `build` and `migrate` do."""
    services = build(config)
    try:
        migrate(config, services.database)
        yield services
    finally:
        services.close()


def run_one(commands: Mapping[str, ServiceCommand], options: argparse.Namespace, config: Config) -> int:
    """Run the one of the commands that the options name."""
    with opened(config) as services:
        return commands[options.name_of_command](options, services)


def named(services: Services, name: str) -> Principal:
    """The user of that name, as somebody who acts through the command line. Raises `NotFound`."""
    user = services.accounts.find(name)
    return Principal(user.id, user.name, user.is_admin, origin=Origin(Door.CLI))
