"""The composition root: `Config` -> `Services`. The only place that knows all variants; nobody else asks which one it is."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

from sqlalchemy import func, select

from davserver.bootstrap.outside import open_database, open_limiter, open_mailer, open_scanner, open_store
from davserver.bootstrap.people import (
    open_accounts,
    open_devices,
    open_resets,
    open_second_factors,
    open_sessions,
    open_signing_keys,
    post_of,
)
from davserver.bootstrap.readiness import known_revisions, migrate, warnings
from davserver.bootstrap.secrets import Random, key_file, key_source, make_data_dir, open_keyring, secret_of
from davserver.config import Config
from davserver.crypto.keyring import KeyRing, WrappedKey
from davserver.db.rows import BlobRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock, system_clock
from davserver.domain.errors import Unavailable
from davserver.domain.verdict import Verdict
from davserver.jobs.bell import Bell
from davserver.jobs.queue import Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Handler, Runner, Work
from davserver.limiting.limiter import Limiter
from davserver.mailing.base import Mailer
from davserver.services.accounts import Accounts
from davserver.services.activity import PERIODS as ACTIVITY_PERIODS
from davserver.services.activity import Activity
from davserver.services.archives import Archives
from davserver.services.attaching import KeepReplaced
from davserver.services.background import BackgroundWork
from davserver.services.content import Content, ContentSettings
from davserver.services.devices import Devices
from davserver.services.folders import Folders
from davserver.services.keys import Keys
from davserver.services.links import PERIODS as LINK_PERIODS
from davserver.services.links import Links
from davserver.services.locks import Locks
from davserver.services.mails import PERIODS as MAIL_PERIODS
from davserver.services.mails import Mails
from davserver.services.passwords import PasswordHasher
from davserver.services.previews import PERIODS as PREVIEW_PERIODS
from davserver.services.previews import Previews
from davserver.services.properties import Properties
from davserver.services.quarantine import Quarantine
from davserver.services.remembered import Remembered
from davserver.services.resets import Resets
from davserver.services.rollup import PERIODS as ROLL_UP_PERIODS
from davserver.services.scans import PERIODS as SCAN_PERIODS
from davserver.services.scans import Scans, ScanSettings
from davserver.services.search import Search
from davserver.services.second_factor import SecondFactors
from davserver.services.sessions import Sessions
from davserver.services.settings import UserSettings
from davserver.services.statistics import Statistics
from davserver.services.throttle import Throttle
from davserver.services.trash import Trash
from davserver.services.tree import Tree, TreeSettings
from davserver.services.upkeep import PERIODS as UPKEEP_PERIODS
from davserver.services.upkeep import Upkeep
from davserver.services.users import Users
from davserver.stores.base import Store
from davserver.stores.traced import TracedStore
from davserver.tracing import Tracing, open_tracing

__all__ = [
    "Random",
    "Services",
    "build",
    "check",
    "key_file",
    "known_revisions",
    "make_data_dir",
    "migrate",
    "open_accounts",
    "open_database",
    "open_devices",
    "open_mailer",
    "open_resets",
    "open_scanner",
    "open_second_factors",
    "open_sessions",
    "open_signing_keys",
    "open_store",
    "start",
    "warnings",
]

TELL_SECONDS: Final = 20.0
"""Between two messages to workers that do not come, because they or Redis are away."""

_PERIODS: Final = {
    **UPKEEP_PERIODS,
    **SCAN_PERIODS,
    **LINK_PERIODS,
    **ACTIVITY_PERIODS,
    **PREVIEW_PERIODS,
    **ROLL_UP_PERIODS,
    **MAIL_PERIODS,
}


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
    mailer: Mailer
    mails: Mails
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
    users: Users
    background: BackgroundWork
    activity: Activity
    search: Search
    settings: UserSettings
    statistics: Statistics
    queue: Queue
    runner: Runner
    bell: Bell
    """Start it where work is to be done, or workers are to be told; it is closed with the rest."""
    remembered: Remembered[Any]
    """Answers that the WebDAV door has given."""
    throttle: Throttle
    limiter: Limiter
    tracing: Tracing | None

    def close(self) -> None:
        """Give back connections, files and threads."""
        self.bell.close()
        self.limiter.close()
        with contextlib.suppress(Unavailable):
            self.keys.leave()
        self.store.close()
        self.database.close()
        if self.tracing is not None:
            self.tracing.close()


def build(config: Config, *, clock: Clock = system_clock, random: Random = os.urandom) -> Services:
    """Put the services together. Makes what is missing in the data folder; asks no server anything yet (see `check`).

    Raises `ConfigError`, of which `KeyRingError` is one.
    """
    keyring = open_keyring(config, random)
    tracing, database = _tracing(config), open_database(config)
    store = open_store(config)
    if tracing is not None:
        database.trace_with(tracing)
        store = TracedStore(store, tracing)
    about_content = _content_settings(config)
    content = Content(database, store, keyring, clock, random, about_content)
    tree_settings = TreeSettings(config.trash_retention * SECOND, config.max_depth)
    tree, queue = Tree(database, clock, tree_settings, store.free_bytes), Queue(database, clock, random)
    upkeep = Upkeep(database, store, clock, post=post_of(config))
    activity = Activity(database, clock, config.activity_retention * SECOND)
    scans = Scans(database, store, keyring, clock, open_scanner(config), _scan_settings(config), post=post_of(config))
    limiter = open_limiter(config)
    throttle = Throttle(limiter, is_testing=config.testing)
    links = Links(database, clock, random, secret_of(config, random), hasher=PasswordHasher(), throttle=throttle)
    previews = Previews(database, store, keyring, clock, random, content, about_content)
    keys = Keys(database, keyring, clock, source=key_source(config))
    resets = open_resets(config, database, clock=clock, random=random)
    mailer = open_mailer(config, clock=clock, random=random)
    mails = Mails(database, clock, mailer, resets, throttle, config.public_url or "")
    statistics = Statistics(database, clock)
    workers = (mails, upkeep, scans, keys, links, activity, previews, statistics)
    handlers = {kind: _traced(do, tracing) for one in workers for kind, do in one.handlers.items()}
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
        resets=resets,
        mailer=mailer,
        mails=mails,
        tree=tree,
        content=content,
        locks=Locks(database, clock, random, content),
        properties=Properties(database, clock),
        trash=Trash(database, clock, tree, tree_settings),
        links=links,
        archives=Archives(database, content),
        previews=previews,
        folders=Folders(database),
        quarantine=Quarantine(database, clock, config.trash_retention * SECOND),
        users=Users(database, clock),
        background=BackgroundWork(database, clock),
        activity=activity,
        search=Search(database),
        settings=UserSettings(database, clock, config.trash_retention * SECOND),
        statistics=statistics,
        queue=queue,
        runner=runner,
        bell=bell,
        remembered=Remembered(),
        throttle=throttle,
        limiter=limiter,
        tracing=tracing,
    )


def _tracing(config: Config) -> Tracing | None:
    endpoint = config.otlp_endpoint
    if endpoint is None:
        return None
    return open_tracing(endpoint.reveal(), version=version("davserver"), percent=config.trace_percent)


def _traced(do: Handler, tracing: Tracing | None) -> Handler:
    """A job in a span of its own."""
    if tracing is None:
        return do

    def traced(work: Work) -> None:
        with tracing.span(f"job {work.kind}", davserver__job__attempts=work.attempts):
            do(work)

    return traced


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


def _scan_settings(config: Config) -> ScanSettings:
    return ScanSettings(config.scan_max_size, config.scan_again_per_hour)


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
