"""``davserver migrate``."""

import argparse

from davserver.bootstrap import known_revisions, migrate, open_database
from davserver.cli import EXIT_FAILED, EXIT_USAGE, fail, say
from davserver.cli.failures import explain
from davserver.config import Config
from davserver.db.migrate import current_revision
from davserver.db.units import Database
from davserver.domain.errors import DavserverError


def run(options: argparse.Namespace, config: Config) -> int:
    """Bring the database to the tables of this release, or say what there is to do."""
    database = open_database(config)
    try:
        return _check(config, database) if options.check else _migrate(config, database)
    finally:
        database.close()


def _migrate(config: Config, database: Database) -> int:
    found, wanted = current_revision(database), known_revisions()[-1]
    migrate(config, database)
    say(
        f"The database is at {wanted}."
        if found == wanted
        else f"The database went from {found or 'nothing'} to {wanted}."
    )
    return 0


def _check(config: Config, database: Database) -> int:
    """0 when it is at this release's tables, 1 when it is behind them, 2 when nobody can tell."""
    known = known_revisions()
    try:
        found = current_revision(database)
    except DavserverError as error:
        return fail(explain(error, config), EXIT_USAGE)
    if found is not None and found not in known:
        return fail(
            f"The database is at {found}, which this release does not know (it wants {known[-1]}): a newer davserver has "
            "migrated it. Start that one, or restore the backup from before the upgrade (docs/upgrading.md).",
            EXIT_USAGE,
        )
    if found != known[-1]:
        left = len(known) - (0 if found is None else known.index(found) + 1)
        return fail(
            f"The database is at {found or 'nothing'}, this release wants {known[-1]} ({left} to go): davserver migrate",
            EXIT_FAILED,
        )
    say(f"The database is at {found}.")
    return 0
