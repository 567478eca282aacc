"""``davserver verify``."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TextIO

from davserver.bootstrap import build
from davserver.cli import EXIT_FAILED, say
from davserver.cli.failures import CannotServe
from davserver.config import Config
from davserver.db.migrate import current_revision, head_revision
from davserver.db.units import Database
from davserver.domain.clock import system_clock
from davserver.services.verify import Finding, Report, Stage, Verify

_BAR: Final = 30
_EVERY_SECONDS: Final = 0.2
_LINE_EVERY_SECONDS: Final = 10.0


def run(options: argparse.Namespace, config: Config) -> int:
    """Verify, print what was found, and return 1 when there was anything."""
    services = build(config)
    try:
        check_tables(services.database)
        bar = ProgressBar(sys.stderr)
        verify = Verify(services.database, services.store, services.keyring, system_clock)
        report = verify.run(deep=options.deep, repair=options.repair, progress=bar)
        bar.end()
    finally:
        services.close()
    for line in lines(report, deep=options.deep):
        say(line)
    return 0 if report.is_clean else EXIT_FAILED


def check_tables(database: Database) -> None:
    """Raises `CannotServe` unless the database has the tables of this release."""
    found, wanted = current_revision(database), head_revision()
    if found != wanted:
        raise CannotServe(f"The database is at {found or 'nothing'}, this release wants {wanted}: davserver migrate")


def lines(report: Report, *, deep: bool) -> list[str]:
    """The report for people."""
    checked = report.checked
    opened = f", {_amount(checked.get('bytes', 0))} opened" if deep else ""
    trees = f"{checked.get('users', 0)} users, {checked.get('resources', 0)} files and collections"
    store = f"{checked.get('blobs', 0)} blobs and {checked.get('objects', 0)} objects in the store"
    said = [f"Looked at {trees}, {store}{opened}."]
    said += _section("Found:", report.findings, report) + _section("In order, and worth knowing:", report.notes, report)
    if report.is_clean:
        return [*said, "All is well."]
    found = sum(count for kind, count in report.counts.items() if any(f.kind is kind for f in report.findings))
    repaired = sum(finding.repaired for finding in report.findings)
    ending = f"{repaired} of them repaired." if repaired else "Nothing was changed."
    return [*said, f"{found} finding{'s' * (found != 1)}. {ending} What each means: docs/cli.md."]


def _section(title: str, found: tuple[Finding, ...], report: Report) -> list[str]:
    if not found:
        return []
    said = ["", title]
    for kind in dict.fromkeys(finding.kind for finding in found):
        same = [finding for finding in found if finding.kind is kind]
        said.append(f"  {kind.value} ({report.counts[kind]})")
        for finding in same:
            detail = f": {finding.detail}" if finding.detail else ""
            said.append(f"    {finding.what}{detail}{' - repaired' if finding.repaired else ''}")
        if len(same) < report.counts[kind]:
            said.append(f"    and {report.counts[kind] - len(same)} more")
    return [*said, ""]


def _amount(size: int) -> str:
    for unit, power in (("GB", 3), ("MB", 2), ("kB", 1)):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size} bytes"


class ProgressBar:
    """A bar that is drawn over itself on a terminal; elsewhere a line now and then. `timer` gives seconds."""

    def __init__(self, stream: TextIO, timer: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._timer = timer
        self._is_drawn = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._every = _EVERY_SECONDS if self._is_drawn else _LINE_EVERY_SECONDS
        self._next = timer() + (0.0 if self._is_drawn else self._every)
        self._stage: StrEnum | None = None
        self._began = timer()

    def __call__(self, stage: StrEnum, done: int, total: int) -> None:
        """Show it, unless the last time was a moment ago."""
        now = self._timer()
        if stage is not self._stage:
            self._stage, self._began = stage, now
        if now < self._next and not (self._is_drawn and done == total):
            return
        self._next = now + self._every
        amount = f"{_amount(done)} of {_amount(total)}" if stage.value == Stage.BYTES.value else f"{done} of {total}"
        left = (now - self._began) * (total - done) / done if done else 0.0
        text = f"{stage.value}: {amount}, {left:.0f} s left"
        if self._is_drawn:
            filled = _BAR * done // max(1, total)
            self._write(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {text}\x1b[K")
        else:
            self._write(f"{text}\n")

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._is_drawn:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
