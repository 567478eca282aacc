"""``davserver scan ...``: viruses, as an administrator sees them."""

import argparse
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import Services, open_scanner
from davserver.cli import say
from davserver.cli.opened import named, run_one
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.config.kinds import show_size
from davserver.domain.clock import SECOND
from davserver.domain.errors import ScannerUnavailable
from davserver.domain.paths import ResourcePath
from davserver.domain.verdict import Verdict
from davserver.services.quarantine import Found


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name."""
    return run_one(_COMMANDS, options, config)


def _status(_: argparse.Namespace, services: Services) -> int:
    try:
        version = open_scanner(services.config).version()
    except ScannerUnavailable as error:
        version = error.detail
    say(version or "Nothing scans: CLAMAV_HOST is not set.")
    counts = services.quarantine.counts()
    print_table(("VERDICT", "WHY", "CONTENTS"), [(v.word, v.reason or "-", str(counts.get(v, 0))) for v in Verdict])
    return 0


def _list(_: argparse.Namespace, services: Services) -> int:
    found = services.quarantine.found()
    if not found:
        say("No file is infected.")
        return 0
    print_table(("USER", "PATH", "VERDICT", "SIGNATURE", "SCANNED", "SIZE"), map(_row, found))
    return 0


def _row(found: Found) -> tuple[str, ...]:
    at = found.scan.scanned_at
    scanned = "-" if at is None else f"{datetime.fromtimestamp(at / SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"
    return found.owner, found.path, found.scan.verdict.word, found.scan.signature, scanned, show_size(found.size)


def _release(options: argparse.Namespace, services: Services) -> int:
    signature = services.quarantine.release(named(services, options.user), _path(options.path))
    say(f"{options.path} can be read again, its copies too, in spite of {signature}.")
    return 0


def _rescan(options: argparse.Namespace, services: Services) -> int:
    if options.path is not None:
        services.quarantine.scan_again(named(services, options.user), _path(options.path))
        say(f"{options.path} is scanned again as soon as somebody is free.")
        return 0
    who = None if options.user is None else named(services, options.user)
    count = services.quarantine.scan_all_again(who)
    say(f"{count} {'content is' if count == 1 else 'contents are'} scanned again in the background.")
    return 0


def _path(text: str) -> ResourcePath:
    """A path as people write it, not percent-encoded. Raises `InvalidName`."""
    return ResourcePath.of(name for name in text.split("/") if name)


_COMMANDS: Final = {"status": _status, "list": _list, "release": _release, "rescan": _rescan}
