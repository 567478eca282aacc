"""``davserver link ...``: download links to what is in a user's drive."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import Services
from davserver.cli import say
from davserver.cli.opened import named, opened
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.domain.clock import SECOND, Micros, system_clock
from davserver.domain.errors import BadRequest
from davserver.domain.link import Link
from davserver.domain.paths import ResourcePath
from davserver.domain.principal import Principal
from davserver.services.links import LinkWish

_PAGE: Final = 500


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name."""
    with opened(config) as services:
        return _COMMANDS[options.name_of_command](options, services, named(services, options.user))


def _add(options: argparse.Namespace, services: Services, who: Principal) -> int:
    path = ResourcePath.of((name for name in options.path.split("/") if name), max_depth=services.config.max_depth)
    ends = None if options.expires is None else system_clock() + options.expires * SECOND
    password = _password() if options.password_stdin else None
    made = services.links.create(who, path, LinkWish(options.name or "", password, ends, options.uses))
    say(f"Link {made.link.id}; whoever has this address can download it, and it is shown this once:")
    say(f"{options.url.rstrip('/')}/s/{made.token}")
    return 0


def _password() -> str:
    line = sys.stdin.readline()
    if not line:
        raise BadRequest("There is no password on stdin.")
    return line.rstrip("\r\n")


def _list(_: argparse.Namespace, services: Services, who: Principal) -> int:
    rows: list[tuple[str, ...]] = []
    after: int | None = None
    while page := services.links.links(who, after=after, limit=_PAGE):
        rows += map(_row, page)
        after = page[-1].id
    if rows:
        print_table(("ID", "NAME", "LEADS TO", "PASSWORD", "USES", "ENDS"), rows)
    else:
        say(f"{who.name} has no links.")
    return 0


def _row(link: Link) -> tuple[str, ...]:
    uses = f"{link.uses}" if link.max_uses is None else f"{link.uses} of {link.max_uses}"
    where = "(in the trash)" if link.path is None else "/" + "/".join(link.path.names)
    ends = "never" if link.expires_at is None else _time(link.expires_at)
    return str(link.id), link.name, where, "yes" if link.has_password else "no", uses, ends


def _time(at: Micros) -> str:
    return f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"


def _revoke(options: argparse.Namespace, services: Services, who: Principal) -> int:
    services.links.revoke(who, options.id)
    say(f"Link {options.id} leads nowhere any more.")
    return 0


_COMMANDS: Final = {"add": _add, "list": _list, "revoke": _revoke}
