"""What lies outside the process, opened as the configuration names it: the database, the store, the scanner, the limits."""

import logging
import os

from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from davserver.bootstrap.secrets import Random, make_data_dir
from davserver.config import Config
from davserver.db.units import Database
from davserver.domain.clock import Clock, system_clock
from davserver.domain.errors import ConfigError
from davserver.limiting.limiter import Limiter
from davserver.limiting.shared import SharedStorage
from davserver.mailing.base import Mailer
from davserver.mailing.none import NoMailer
from davserver.scanning.base import Scanner
from davserver.scanning.none import NoScanner
from davserver.stores.base import Store

log = logging.getLogger(__name__)


def open_database(config: Config) -> Database:
    """The database alone, for what needs no more. Raises `ConfigError`."""
    if config.database_url is None:
        make_data_dir(config)
    try:
        return Database(config.database.reveal())
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigError(f"DATABASE_URL cannot be read: {config.database!r}.") from None
    except OSError as error:
        raise ConfigError(f"The folder of the database {config.database!r} cannot be made: {error.strerror}.") from None


def open_store(config: Config) -> Store:
    """Where sealed blobs lie: S3 when an endpoint is set, else a folder."""
    if config.minio_endpoint is None:
        from davserver.stores.folder import FolderStore  # noqa: PLC0415 - each variant loads what it needs

        return FolderStore(make_data_dir(config) / "blobs")
    from davserver.stores.s3 import S3Store  # noqa: PLC0415 - minio takes a third of a second to load

    assert config.minio_access_key is not None  # noqa: S101 - `load` has seen to it
    assert config.minio_secret_key is not None  # noqa: S101 - the same
    return S3Store(
        config.minio_endpoint,
        config.minio_access_key.reveal(),
        config.minio_secret_key.reveal(),
        config.minio_bucket,
        secure=config.minio_secure,
        region=config.minio_region,
    )


def open_scanner(config: Config) -> Scanner:
    """Who scans for viruses: clamd when its host is set, else nobody."""
    if config.clamav_host is None:
        return NoScanner()
    from davserver.scanning.clamd import ClamdScanner  # noqa: PLC0415 - each variant loads what it needs

    return ClamdScanner(config.clamav_host, config.clamav_port)


def open_limiter(config: Config) -> Limiter:
    """Where tries are counted: in Redis when it is set, else in a file that the processes of this machine share."""
    if config.redis_url is not None:
        return Limiter.over_redis(config.redis_url.reveal())
    try:
        return Limiter(SharedStorage(make_data_dir(config) / "limits"))
    except OSError as error:
        log.warning("limits are counted by each process alone: %s", error)
        return Limiter()


def open_mailer(config: Config, *, clock: Clock = system_clock, random: Random = os.urandom) -> Mailer:
    """Who takes mail: a mail server when its host is set, else nobody. Raises `ConfigError`."""
    if config.smtp_host is None:
        return NoMailer()
    from davserver.mailing.smtp import SmtpMailer  # noqa: PLC0415 - each variant loads what it needs

    try:
        return SmtpMailer(
            config.smtp_host,
            config.smtp_port,
            security=config.smtp_security,
            sender=config.smtp_from or "",
            clock=clock,
            random=random,
            user=config.smtp_user,
            password=None if config.smtp_password is None else config.smtp_password.reveal(),
        )
    except ValueError:
        raise ConfigError("smtp_from must be an address such as Drive <drive@example.org>.") from None
