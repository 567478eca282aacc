"""``davserver backup`` and ``davserver restore``."""

import argparse
import os
import sys
from pathlib import Path

from davserver.bootstrap import Services, build, check, known_revisions, migrate
from davserver.cli import EXIT_FAILED, say
from davserver.cli.failures import CannotServe
from davserver.cli.verify import ProgressBar, check_tables
from davserver.config import Config
from davserver.domain.clock import system_clock
from davserver.domain.errors import ConfigError
from davserver.services.backup import Backup, latest
from davserver.services.backup_format import SETS, sets_of
from davserver.services.backup_prune import Keep, Prune
from davserver.services.restore import Restore
from davserver.stores.folder import FolderStore


def backup(options: argparse.Namespace, config: Config) -> int:
    """Make a set, check the latest one, or remove old ones."""
    target: Path = options.target.absolute()
    bar = ProgressBar(sys.stderr)
    if target.resolve().is_relative_to(config.data_dir.resolve()):
        raise ConfigError(f"{target} lies in the data folder; a backup belongs on another disk.")
    if options.prune:
        return _prune(options, target, bar)
    services = build(config)
    try:
        use_case = Backup(services.database, services.store, system_clock, os.urandom, FolderStore)
        if options.check:
            found = use_case.check(target, bar)
            bar.end()
            return _told(found, target)
        check_tables(services.database)
        folder, manifest = use_case.run(target, bar)
        bar.end()
    finally:
        services.close()
    blobs, rows = manifest["blobs"], sum(said["rows"] for said in manifest["tables"].values())
    say(f"{folder}: {rows} rows, {blobs['count']} blobs ({blobs['bytes']} bytes), {blobs['copied']} of them new.")
    say("The keys are not in it: keep the key ring elsewhere (docs/backup.md).")
    if blobs["missing"]:
        raise CannotServe(f"{len(blobs['missing'])} blobs were missing in the store: davserver verify")
    return 0


def _prune(options: argparse.Namespace, target: Path, bar: ProgressBar) -> int:
    keep = Keep(options.keep_last, options.keep_daily, options.keep_weekly, options.keep_monthly)
    if keep == Keep():
        raise ConfigError("Say what to keep: --keep-last, --keep-daily, --keep-weekly or --keep-monthly.")
    done = Prune(system_clock, FolderStore).run(target, keep, only_tell=options.dry_run, progress=bar)
    bar.end()
    for name in sorted((*done.kept, *done.removed)):
        say(f"{'keep  ' if name in done.kept else 'remove'} {name}")
    what = f"{len(done.removed)} sets and {done.blobs} blobs ({done.bytes} bytes)"
    say(f"{what} would be removed." if options.dry_run else f"{what} were removed; {len(done.kept)} sets stay.")
    return 0


def _told(found: list[str], target: Path) -> int:
    for line in found:
        say(line)
    say(f"{latest(target)}: {len(found)} findings." if found else f"{latest(target)}: all is well.")
    return EXIT_FAILED if found else 0


def restore(options: argparse.Namespace, config: Config) -> int:
    """Bring a set up here."""
    source: Path = options.source.absolute()
    folder = latest(source) if options.set is None else source / SETS / options.set
    if folder not in sets_of(source):
        raise ConfigError(f"{source} has no set {options.set}: {', '.join(path.name for path in sets_of(source))}.")
    services = build(config)
    try:
        _restore(services, folder, replace=options.replace)
    finally:
        services.close()
    return 0


def _restore(services: Services, folder: Path, *, replace: bool) -> None:
    bar = ProgressBar(sys.stderr)
    use_case = Restore(services.database, services.store, services.keyring, FolderStore, known_revisions())
    manifest = use_case.run(folder, replace=replace, progress=bar)
    bar.end()
    migrate(services.config, services.database)
    check(services)
    say(f"Restored the drive of {manifest['created_at']}: {manifest['blobs']['count']} blobs in the store.")
    say("Now: davserver verify --deep")
