"""``davserver keys ...``.

With a key file, the commands change it, and every process that runs follows at once. With DAVSERVER_MASTER_KEYS they print
what to set: an environment cannot be changed from outside.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from davserver.bootstrap import Services, check, key_file
from davserver.cli import EXIT_FAILED, say
from davserver.cli.failures import CannotServe
from davserver.cli.opened import run_one
from davserver.cli.tables import print_table
from davserver.config import Config
from davserver.crypto import keyfile
from davserver.crypto.keyring import KeyRing
from davserver.domain.clock import SECOND, Micros
from davserver.domain.errors import KeyRingError
from davserver.services.keys import REWRAP, not_yet


def run(options: argparse.Namespace, config: Config) -> int:
    """Run the command that the options name."""
    return run_one(_COMMANDS, options, config)


def _list(_: argparse.Namespace, services: Services) -> int:
    keys = services.keys.shown()
    print_table(
        ("ID", "STATE", "CONTENTS", "ADDED", "CURRENT UNTIL"),
        (
            (k.key_id, _state(k.is_current, k.is_known), str(k.blobs), _at(k.added_at), _at(k.superseded_at))
            for k in keys
        ),
    )
    total = sum(key.blobs for key in keys)
    left = total - sum(key.blobs for key in keys if key.is_current)
    jobs = [job for job in services.queue.shown() if job.kind == REWRAP]
    if jobs:
        say(f"Re-wrapping: {total - left} of {total} contents are under the current key; the job is {jobs[0].state}.")
        if jobs[0].last_error:
            say(f"Its last error: {jobs[0].last_error}")
    missing = [key.key_id for key in keys if key.blobs and not key.is_known]
    if missing:
        sys.stderr.write(f"davserver: content is sealed under keys that the key ring lacks: {', '.join(missing)}\n")
        return EXIT_FAILED
    return 0


def _state(is_current: bool, is_known: bool) -> str:
    return "current" if is_current else "known" if is_known else "not here"


def _at(moment: Micros | None) -> str:
    return "-" if moment is None else f"{datetime.fromtimestamp(moment / SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"


def _add(options: argparse.Namespace, services: Services) -> int:
    def changed(ring: KeyRing) -> KeyRing:
        if options.file is None:
            return ring.with_spare_key()
        try:
            return ring.with_keys_of(keyfile.load(options.file))
        except FileNotFoundError:
            raise KeyRingError(f"The key file {options.file} does not exist.") from None

    before = services.keyring.key_ids
    ring = _change(services, changed)
    check(services)
    added = [key_id for key_id in ring.key_ids if key_id not in before]
    say(f"Added: {', '.join(added) or 'nothing that was not there'}." if _has_file(services) else _THEN_ROTATE)
    return 0


_THEN_ROTATE: Final = "Set it on every machine and restart them. When all know the key: davserver keys rotate ID"


def _rotate(options: argparse.Namespace, services: Services) -> int:
    ring = services.keyring
    if options.id is None and not _has_file(services):
        raise CannotServe("With DAVSERVER_MASTER_KEYS: davserver keys add first, then davserver keys rotate ID.")
    if options.id != ring.current:
        wanted = ring.with_new_key() if options.id is None else ring.with_current(options.id)
        if strangers := services.keys.strangers(wanted.current):
            raise CannotServe(not_yet(wanted.current, strangers))
        _change(services, lambda _: wanted)
        if not _has_file(services):
            say(f"Set it on every machine and restart them; then once more: davserver keys rotate {options.id}")
            return 0
    services.keys.check()
    left = services.keys.begin_rewrap()
    say(f"{services.keyring.current} is current. {left} contents are re-wrapped in the background: davserver keys list")
    return 0


def _retire(options: argparse.Namespace, services: Services) -> int:
    key_id = options.id
    if key_id not in services.keyring.key_ids:
        raise KeyRingError(f"The key ring has no key {key_id!r}.")
    if why := services.keys.why_not_retire(key_id):
        raise CannotServe(why)
    if _has_file(services):
        path = key_file(services.config).with_name("keys-retired.json")
        kept = services.keyring.only(key_id)
        with contextlib.suppress(FileNotFoundError):
            kept = keyfile.load(path).with_keys_of(kept)
        keyfile.save(path, kept)
        say(f"{key_id} is retired, and kept in {path}: older backups need it.")
    _change(services, lambda ring: ring.without(key_id))
    services.keys.forget(key_id)
    if not _has_file(services):
        say(f"Set it on every machine and restart them. Keep {key_id} for as long as you keep backups from before.")
    return 0


def _has_file(services: Services) -> bool:
    return services.config.master_keys is None


def _change(services: Services, change: Callable[[KeyRing], KeyRing]) -> KeyRing:
    """Change the key file, or print what to set instead. Returns the new ring."""
    if not _has_file(services):
        ring = change(services.keyring)
        say(f"DAVSERVER_MASTER_KEYS={ring.reveal()}")
        return ring
    path = key_file(services.config)
    with keyfile.changing(path):
        ring = change(keyfile.load(path))
        keyfile.save(path, ring)
    return ring


_COMMANDS: Final = {"list": _list, "add": _add, "rotate": _rotate, "retire": _retire}
