"""``davserver migrate``."""

import argparse

from davserver.bootstrap import migrate, open_database
from davserver.cli import EXIT_FAILED, fail, say
from davserver.config import Config
from davserver.db.migrate import current_revision, head_revision


def run(options: argparse.Namespace, config: Config) -> int:
    """Bring the database to the tables of this release, or say what there is to do."""

    database = open_database(config)
    try:
        found, wanted = current_revision(database), head_revision()
        if found != wanted and options.check:
            return fail(
                f"The database is at {found or 'nothing'}, this release wants {wanted}: davserver migrate", EXIT_FAILED
            )
        migrate(config, database)
    finally:
        database.close()
    say(
        f"The database is at {wanted}."
        if found == wanted
        else f"The database went from {found or 'nothing'} to {wanted}."
    )
    return 0
