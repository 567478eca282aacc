"""Whether a server may start: the database's tables, and what an operator should hear."""

import re
from importlib.resources import files

from sqlalchemy import inspect, text

from davserver.config import Config
from davserver.db.units import Database
from davserver.domain.errors import ConfigError


def migrate(config: Config, database: Database) -> None:
    """Bring the database to the tables of this release. Costs one query when it is there already.

    Raises `ConfigError` when a newer release has been at it, and `DatabaseUnavailable`.
    """
    known = known_revisions()
    with database.read() as connection:
        found = None
        if inspect(connection).has_table("alembic_version"):
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found == known[-1]:
        return
    if found is not None and found not in known:
        raise ConfigError(
            f"The database is at revision {found}, which this release does not know (it wants {known[-1]}): a newer davserver "
            "has migrated it. Start that one, or restore the backup from before the upgrade (docs/upgrading.md)."
        )
    from davserver.db.migrate import upgrade  # noqa: PLC0415 - Alembic takes half a second to load

    upgrade(config.database.reveal())


def known_revisions() -> tuple[str, ...]:
    """The migrations of this release, oldest first. Their file names begin with their numbers."""
    versions = files("migrations") / "versions"
    return tuple(sorted(f.name.partition("_")[0] for f in versions.iterdir() if re.match(r"\d{4}_\w+\.py", f.name)))


def warnings(config: Config) -> tuple[str, ...]:
    """What an operator should hear at the start, a line each."""
    found = []
    if config.is_shared and config.master_keys is None:
        found.append(
            f"The content is sealed with the keys in {config.data_dir / 'keys.json'}. Every machine that serves this drive needs "
            "the same: set DAVSERVER_MASTER_KEYS on all of them, and keep a copy elsewhere."
        )
    is_local = config.host in {"127.0.0.1", "::1", "localhost"}
    if not is_local and config.tls_cert is None and not config.trusted_proxies:
        found.append(
            "Passwords cross the network in clear unless a proxy in front of this server speaks TLS. If one does, name it in "
            "DAVSERVER_TRUSTED_PROXIES."
        )
    return tuple(found)
