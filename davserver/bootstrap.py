"""The composition root: `Config` -> `Services`. The only place that knows all variants; nobody else asks which one it is."""

import contextlib
import logging
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Final

from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from davserver.config import Config
from davserver.crypto import keyfile
from davserver.crypto.keyring import KeyRing, WrappedKey
from davserver.db.rows import BlobRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock, system_clock
from davserver.domain.errors import ConfigError, Unavailable
from davserver.domain.verdict import Verdict
from davserver.jobs.bell import Bell
from davserver.jobs.queue import Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner
from davserver.limiting.limiter import Limiter
from davserver.limiting.shared import SharedStorage
from davserver.scanning.base import Scanner
from davserver.scanning.none import NoScanner
from davserver.services.accounts import Accounts
from davserver.services.activity import PERIODS as ACTIVITY_PERIODS
from davserver.services.activity import Activity
from davserver.services.archives import Archives
from davserver.services.attaching import KeepReplaced
from davserver.services.content import Content, ContentSettings
from davserver.services.devices import Devices
from davserver.services.folders import Folders
from davserver.services.keys import Keys
from davserver.services.links import PERIODS as LINK_PERIODS
from davserver.services.links import Links
from davserver.services.locks import Locks
from davserver.services.passwords import PasswordHasher
from davserver.services.previews import PERIODS as PREVIEW_PERIODS
from davserver.services.previews import Previews
from davserver.services.properties import Properties
from davserver.services.quarantine import Quarantine
from davserver.services.resets import Resets
from davserver.services.scans import PERIODS as SCAN_PERIODS
from davserver.services.scans import Scans, ScanSettings
from davserver.services.second_factor import SecondFactors
from davserver.services.sessions import Sessions
from davserver.services.signing import Signer, SigningKeys
from davserver.services.statistics import Statistics
from davserver.services.throttle import Throttle
from davserver.services.trash import Trash
from davserver.services.tree import Tree, TreeSettings
from davserver.services.upkeep import PERIODS as UPKEEP_PERIODS
from davserver.services.upkeep import Upkeep
from davserver.stores.base import Store

log = logging.getLogger(__name__)

Random = Callable[[int], bytes]
"""n -> n unpredictable bytes."""

TELL_SECONDS: Final = 20.0
"""Between two messages to workers that do not come, because they or Redis are away."""

_PERIODS: Final = {**UPKEEP_PERIODS, **SCAN_PERIODS, **LINK_PERIODS, **ACTIVITY_PERIODS, **PREVIEW_PERIODS}
_SECRET: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a door needs. One per process: connections do not survive a fork."""

    config: Config
    database: Database
    store: Store
    keyring: KeyRing
    keys: Keys
    accounts: Accounts
    sessions: Sessions
    devices: Devices
    second_factors: SecondFactors
    resets: Resets
    tree: Tree
    content: Content
    locks: Locks
    properties: Properties
    trash: Trash
    links: Links
    archives: Archives
    previews: Previews
    folders: Folders
    quarantine: Quarantine
    activity: Activity
    statistics: Statistics
    queue: Queue
    runner: Runner
    bell: Bell
    """Start it where work is to be done, or workers are to be told; it is closed with the rest."""
    throttle: Throttle
    limiter: Limiter

    def close(self) -> None:
        """Give back connections, files and threads."""
        self.bell.close()
        self.limiter.close()
        with contextlib.suppress(Unavailable):
            self.keys.leave()
        self.store.close()
        self.database.close()


def build(config: Config, *, clock: Clock = system_clock, random: Random = os.urandom) -> Services:
    """Put the services together. Makes what is missing in the data folder; asks no server anything yet (see `check`).

    Raises `ConfigError`, of which `KeyRingError` is one.
    """
    keyring = _keyring(config, random)
    store = open_store(config)
    database = open_database(config)
    content = Content(database, store, keyring, clock, random, _content_settings(config))
    tree_settings = TreeSettings(config.trash_retention * SECOND, config.max_depth)
    tree, queue = Tree(database, clock, tree_settings, store.free_bytes), Queue(database, clock, random)
    upkeep = Upkeep(database, store, clock)
    activity = Activity(database, clock, config.activity_retention * SECOND)
    scans = Scans(database, store, keyring, clock, open_scanner(config), _scan_settings(config))
    limiter = open_limiter(config)
    throttle = Throttle(limiter, is_testing=config.testing)
    links = Links(database, clock, random, _secret(config, random), hasher=PasswordHasher(), throttle=throttle)
    previews = Previews(database, store, keyring, clock, random, content, _content_settings(config))
    keys = Keys(database, keyring, clock, source=key_source(config))
    workers = (upkeep, scans, keys, links, activity, previews)
    handlers = {kind: do for one in workers for kind, do in one.handlers.items()}
    runner = Runner(queue, Recurring(database, clock, _PERIODS), handlers, also=keys.beat)
    bell = _bell(config, queue, runner)
    database.ring_with(bell.ring)
    return Services(
        config=config,
        database=database,
        store=store,
        keyring=keyring,
        keys=keys,
        accounts=open_accounts(config, database, clock=clock, random=random, throttle=throttle),
        sessions=open_sessions(config, database, clock=clock, random=random),
        devices=open_devices(config, database, clock=clock, random=random),
        second_factors=open_second_factors(config, database, clock=clock, random=random),
        resets=open_resets(config, database, clock=clock, random=random),
        tree=tree,
        content=content,
        locks=Locks(database, clock, random, content),
        properties=Properties(database, clock),
        trash=Trash(database, clock, tree, tree_settings),
        links=links,
        archives=Archives(database, content),
        previews=previews,
        folders=Folders(database),
        quarantine=Quarantine(database, clock),
        activity=activity,
        statistics=Statistics(database, clock),
        queue=queue,
        runner=runner,
        bell=bell,
        throttle=throttle,
        limiter=limiter,
    )


def _content_settings(config: Config) -> ContentSettings:
    return ContentSettings(
        inline_limit=config.inline_limit,
        segment_size=config.segment_size,
        keep_replaced=KeepReplaced(config.replaced_retention * SECOND, config.replaced_count),
        scans=config.clamav_host is not None,
        held=_held(config),
    )


def _bell(config: Config, queue: Queue, runner: Runner) -> Bell:
    """Who looks when there is work: a thread here, or, with Redis, whatever Celery worker is free."""
    if config.redis_url is None:
        return Bell(runner.look, stop=runner.stop)
    # The background door stands above this module, which knows it by name only; and Celery takes half a second to load.
    send: Callable[[], None] = import_module("tasks.sending").sender(config.redis_url.reveal())

    def tell() -> None:
        runner.cause_due()
        if queue.is_due():
            send()

    return Bell(tell, every=TELL_SECONDS)


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


def open_accounts(
    config: Config,
    database: Database,
    *,
    clock: Clock = system_clock,
    random: Random = os.urandom,
    throttle: Throttle | None = None,
) -> Accounts:
    """The accounts alone."""
    quota, secret = config.default_quota, _secret(config, random)
    return Accounts(database, clock, secret, hasher=PasswordHasher(), default_quota=quota, throttle=throttle)


def open_sessions(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> Sessions:
    """The sessions alone."""
    secret = _secret(config, random)
    return Sessions(database, clock, random, secret, Signer(SigningKeys.of_secret(secret), clock))


def open_second_factors(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> SecondFactors:
    """The second factors alone."""
    return SecondFactors(database, clock, random, _secret(config, random))


def open_resets(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> Resets:
    """Reset links and invitations alone."""
    signer = Signer(SigningKeys.of_secret(_secret(config, random)), clock)
    accounts = open_accounts(config, database, clock=clock, random=random)
    hasher = PasswordHasher()
    return Resets(database, clock, random, signer, accounts=accounts, hasher=hasher, registration=config.registration)


def open_devices(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> Devices:
    """The device tokens alone."""
    return Devices(database, clock, random, _secret(config, random))


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


def _scan_settings(config: Config) -> ScanSettings:
    return ScanSettings(config.scan_max_size, config.scan_again_per_hour)


def open_limiter(config: Config) -> Limiter:
    """Where tries are counted: in Redis when it is set, else in a file that the processes of this machine share."""
    if config.redis_url is not None:
        return Limiter.over_redis(config.redis_url.reveal())
    try:
        return Limiter(SharedStorage(make_data_dir(config) / "limits"))
    except OSError as error:
        log.warning("limits are counted by each process alone: %s", error)
        return Limiter()


def _held(config: Config) -> frozenset[Verdict]:
    """The verdicts of files that are not served, besides infected ones."""
    unscanned = {Verdict.WAITING, Verdict.FAILED, Verdict.NO_SCANNER} if config.scan_unscanned == "hold" else set()
    return frozenset(unscanned | ({Verdict.TOO_LARGE} if config.scan_too_large == "hold" else set()))


def check(services: Services) -> None:
    """See that the store can be written, and that the key ring opens what is stored.

    Raises `StoreUnavailable`, `StoreFull`, `DatabaseUnavailable`, `KeyRingError`. Looks at one blob per key.
    """
    services.store.check()
    with services.database.read() as connection:
        seen = ""
        # min() behind the last one, again and again: a few steps in the index, however many blobs there are.
        while key_id := connection.execute(select(func.min(BlobRow.key_id)).where(BlobRow.key_id > seen)).scalar():
            seen = key_id
            sealed = select(BlobRow.id, BlobRow.wrapped_key).where(BlobRow.key_id == key_id).limit(1)
            blob = connection.execute(sealed).first()
            if blob is not None:
                services.keyring.unwrap(WrappedKey(key_id, blob.wrapped_key), blob.id)
    services.keys.check()


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
            f"The database is at revision {found}, which this release does not know: start a newer davserver."
        )
    from davserver.db.migrate import upgrade  # noqa: PLC0415 - Alembic takes half a second to load

    upgrade(config.database.reveal())


def known_revisions() -> tuple[str, ...]:
    """The migrations of this release, oldest first. Their file names begin with their numbers."""
    versions = files("migrations") / "versions"
    return tuple(sorted(f.name.partition("_")[0] for f in versions.iterdir() if re.match(r"\d{4}_\w+\.py", f.name)))


def start(config: Config, *, clock: Clock = system_clock, random: Random = os.urandom) -> Services:
    """Services that can work: the database migrated, the store and the key ring checked. Raises what these raise."""
    services = build(config, clock=clock, random=random)
    try:
        migrate(config, services.database)
        check(services)
    except BaseException:
        services.close()
        raise
    return services


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


def make_data_dir(config: Config) -> Path:
    """The data folder, made for this user alone when it is missing. Raises `ConfigError`."""
    folder = config.data_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The data folder {folder} cannot be made: {error.strerror}. Set DAVSERVER_DATA_DIR."
        ) from None
    return folder


def _keyring(config: Config, random: Random) -> KeyRing:
    if config.master_keys is not None:
        return KeyRing.parse(config.master_keys.reveal(), random=random)
    return keyfile.load_or_create(key_file(config), random=random)


def key_file(config: Config) -> Path:
    """Where the key ring lies when the environment does not hold it. Makes the data folder."""
    return make_data_dir(config) / "keys.json"


def key_source(config: Config) -> str:
    """What tells one key ring from another: a file is one for all who read it, an environment is each process's own."""
    host = socket.gethostname()
    return f"environment of {host}:{os.getpid()}" if config.master_keys is not None else f"{host}:{key_file(config)}"


def _secret(config: Config, random: Random) -> bytes:
    """`SECRET_KEY`, or what the file of that name in the data folder holds, made at the first start."""
    if config.secret_key is not None:
        return config.secret_key.reveal().encode("utf-8", "surrogatepass")
    path = make_data_dir(config) / "secret"
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read_secret(path)
        draft = path.with_name(f".secret.{random(8).hex()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(random(32).hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process that starts was faster
                os.link(draft, path)
        finally:
            draft.unlink()
        return _read_secret(path)
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read or made: {error.strerror}.") from None


def _read_secret(path: Path) -> bytes:
    found = path.read_text("ascii", errors="replace").strip()
    if not _SECRET.fullmatch(found):
        raise ConfigError(f"The file {path} does not hold 64 hexadecimal digits; remove it to have a new one made.")
    return bytes.fromhex(found)
