"""What `davserver doctor` looks at beyond this machine's files: database, keys, store, background work, broker, scanner."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, inspect, select, text

from davserver.bootstrap import Random, known_revisions, open_database, open_scanner, open_store
from davserver.bootstrap.outside import open_mailer
from davserver.config import Config
from davserver.crypto import keyfile
from davserver.crypto.keyring import KeyRing
from davserver.db.rows import BlobRow, JobRow
from davserver.db.units import Database
from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import BlobMissing, ContentDamaged, KeyRingError, KeyUnknown
from davserver.monitoring.checkup import Finding, off, ok, wrong
from davserver.monitoring.readiness import ping
from davserver.services.blobs import open_blob, sealed_blob
from davserver.stores.base import Store, blob_key

_SKEW: Final = 2 * SECOND
_PROBE: Final = 64 * 1024
_OLD_SIGNATURES: Final = timedelta(days=7)
_LATE: Final = 600 * SECOND
_DURABLE: Final = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}


@contextmanager
def reached(config: Config) -> Iterator[Database | None]:
    """The database; None when it is a file that is not there yet, which looking at it would make."""
    path = config.database.reveal().partition(":///")[2] if config.database.scheme == "sqlite" else ""
    if path and not Path(path).exists():
        yield None
        return
    database = open_database(config)
    try:
        yield database
    finally:
        database.close()


def database(config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether it answers, has our tables, keeps what it commits, and has our time."""
    with reached(config) as found:
        if found is None:
            yield off("database", f"{config.database!r} is not there yet; the first start makes it.")
            return
        with found.read() as connection:
            yield from _durability(connection, is_sqlite=found.is_sqlite)
            yield from _tables(connection)
            if not found.is_sqlite:
                yield _skew(connection, clock)


def _durability(connection: Connection, *, is_sqlite: bool) -> Iterator[Finding]:
    if is_sqlite:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar()
        version = connection.execute(text("SELECT sqlite_version()")).scalar()
        if mode != "wal":
            yield wrong(
                "database", f"SQLite cannot keep a write-ahead log here (journal_mode {mode}).",
                "Put the data folder on a local disk that this user can write to.",
            )  # fmt: skip
            return
        yield ok("database", f"SQLite {version}, with a write-ahead log that is synced.")
        return
    values = {name: connection.execute(text(f"SHOW {name}")).scalar() for name in _DURABLE}
    bad = {name: value for name, value in values.items() if value not in _DURABLE[name]}
    for name, value in bad.items():
        yield wrong(
            "database", f"PostgreSQL has {name} = {value}: what it said yes to can be lost in a crash.",
            f"Set {name} = on in postgresql.conf (or ALTER DATABASE/ROLE ... RESET {name}), and reload.",
        )  # fmt: skip
    if not bad:
        version = connection.execute(text("SHOW server_version")).scalar()
        yield ok("database", f"PostgreSQL {version} answers, and keeps what it commits.")


def _tables(connection: Connection) -> Iterator[Finding]:
    known = known_revisions()
    found = None
    if inspect(connection).has_table("alembic_version"):
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found == known[-1]:
        yield ok("migrations", f"The tables are those of this release ({found}).")
    elif found is None or found in known:
        said = f"The database is at {found or 'nothing'}, this release wants {known[-1]}."
        yield wrong("migrations", said, "davserver migrate (a server does it when it starts); docs/upgrading.md")
    else:
        said = f"A newer release has migrated the database, to {found}; this one knows {known[-1]}."
        yield wrong("migrations", said, "Install that release here too.")


def _skew(connection: Connection, clock: Clock) -> Finding:
    before = clock()
    there = int(
        connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")).scalar_one()
    )
    after = clock()
    skew = there - (before + after) // 2
    if abs(skew) > _SKEW + (after - before) // 2:
        how = "behind" if skew > 0 else "ahead of"
        return wrong(
            "clock", f"This machine's clock is {abs(skew) / SECOND:.0f} seconds {how} the database's.",
            "Let all machines follow a time server (systemd-timesyncd, chrony): locks, links and tokens end by these clocks.",
        )  # fmt: skip
    return ok("clock", f"It differs from the database's by {abs(skew) / SECOND:.3f} seconds.")


def store(config: Config, random: Random) -> Iterator[Finding]:
    """Whether bytes can be written, read and removed, and how many more there is room for."""
    place = f"bucket {config.minio_bucket} at {config.minio_endpoint}" if config.minio_endpoint else "the folder blobs"
    if config.minio_endpoint is None and not config.data_dir.exists():
        yield off("store", "The folder blobs is not there yet; the first start makes it.")
        return
    opened = open_store(config)
    try:
        opened.check()
        if _probe(opened, random) is False:
            yield wrong(
                "store", f"{place} gave back other bytes than it was given.", "Do not use it: look at its disks."
            )
            return
        free = opened.free_bytes()
        room = "" if free is None else f", with room for {free / 1024**3:.1f} GiB"
        yield ok("store", f"A probe was written to {place}, read and removed{room}.")
    finally:
        opened.close()


def _probe(opened: Store, random: Random) -> bool:
    key, content = blob_key(random(16).hex()), random(_PROBE)
    try:
        opened.put(key, iter((content,)), len(content))
        return b"".join(opened.read(key, 0, len(content))) == content
    finally:
        opened.remove(key)


def keys(config: Config, random: Random) -> Iterator[Finding]:
    """Whether the key ring opens the newest content, and has every key that content is sealed under."""
    with reached(config) as found:
        ring = _ring(config, random)
        if found is None or not _has_blobs(found):
            yield (
                ok("keys", f"{len(ring.key_ids)} in the ring; nothing is sealed yet.")
                if ring
                else off("keys", "There is no key ring yet; the first start makes it.")
            )
            return
        if ring is None:
            yield wrong(
                "keys", "There is sealed content, and no key ring.", "Put keys.json back, or set DAVSERVER_MASTER_KEYS."
            )
            return
        with found.read() as connection:
            used = list(connection.execute(select(BlobRow.key_id).distinct()).scalars())
            newest = connection.execute(select(BlobRow).order_by(BlobRow.created_at.desc()).limit(1)).first()
        missing = sorted(set(used) - set(ring.key_ids))
        if missing:
            said = f"Content is sealed under keys that the ring lacks: {', '.join(missing)}."
            yield wrong("keys", said, "Put them back (docs/keys.md); without them that content is lost.")
        yield _opens(config, ring, newest)


def _ring(config: Config, random: Random) -> KeyRing | None:
    if config.master_keys is not None:
        return KeyRing.parse(config.master_keys.reveal(), random=random)
    path = config.data_dir.absolute() / "keys.json"
    return keyfile.load(path, random=random) if path.exists() else None


def _has_blobs(found: Database) -> bool:
    with found.read() as connection:
        if not inspect(connection).has_table(BlobRow.__tablename__):
            return False
        return connection.execute(select(BlobRow.id).limit(1)).first() is not None


def _opens(config: Config, ring: KeyRing, newest: object) -> Finding:
    blob = sealed_blob(newest)
    opened = open_store(config)
    try:
        size = sum(map(len, open_blob(blob, opened, ring, 0, min(blob.size, blob.envelope.segment_size))))
    except (KeyUnknown, KeyRingError):
        return wrong("keys", "The key ring does not open the newest content.", "Put the right one back (docs/keys.md).")
    except BlobMissing:
        return wrong(
            "keys", "The newest content is not in the store.", "Is it the store of this database? davserver verify"
        )
    except ContentDamaged:
        return wrong("keys", "The newest content cannot be opened: it is damaged, or the ring has another key by that id.",
                     "Put the right key ring back (docs/keys.md), then: davserver verify --deep")  # fmt: skip
    finally:
        opened.close()
    return ok("keys", f"{ring.current} is current; the newest content opens ({size} bytes looked at).")


def background(config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether work is done, and in time."""
    with reached(config) as found:
        if found is None:
            return
        with found.read() as connection:
            if not inspect(connection).has_table(JobRow.__tablename__):
                return
            counted = connection.execute(select(JobRow.state, func.count()).group_by(JobRow.state)).all()
            oldest = connection.execute(select(func.min(JobRow.run_at)).where(JobRow.state == "waiting")).scalar()
    counts = {str(state): int(count) for state, count in counted}
    late = 0 if oldest is None else clock() - oldest
    if failed := counts.get("failed"):
        yield wrong(
            "jobs", f"{failed} jobs have failed for good.", "davserver jobs list says why; then: davserver jobs retry"
        )
    if late > _LATE:
        yield wrong("jobs", f"A job has been due for {late // (60 * SECOND)} minutes: nobody does them.",
                    "Start a server, or with Redis: davserver worker --beat")  # fmt: skip
    if not failed and late <= _LATE:
        yield ok("jobs", f"{sum(counts.values())} to do, none late.")


def broker(config: Config) -> Iterator[Finding]:
    """Whether Redis answers."""
    if config.redis_url is None:
        yield off("broker", "No Redis: a thread of each server does the background work.")
        return
    try:
        ping(config.redis_url.reveal())
    except Exception as error:  # noqa: BLE001 - the client's errors are many
        yield wrong("broker", f"{config.redis_url!r} does not answer: {type(error).__name__}.",
                    "Start it, or correct REDIS_URL. Work waits in the database meanwhile, and nothing is lost.")  # fmt: skip
    else:
        yield ok("broker", f"{config.redis_url!r} answers.")


def scanner(config: Config, clock: Clock) -> Iterator[Finding]:
    """Whether clamd answers, and how old its signatures are."""
    if config.clamav_host is None:
        yield off("scanner", "Files are not scanned for viruses (CLAMAV_HOST).")
        return
    version = open_scanner(config).version()
    dated = version.rpartition("/")[2].strip()
    try:
        at = datetime.strptime(dated, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        yield ok("scanner", f"{version} answers.")
        return
    age = datetime.fromtimestamp(clock() / SECOND, UTC) - at
    if age > _OLD_SIGNATURES:
        yield wrong("scanner", f"{version}: its signatures are {age.days} days old.", "See that freshclam runs.")
    else:
        yield ok("scanner", f"{version} answers.")


def mail(config: Config) -> Iterator[Finding]:
    """Whether the mail server answers and lets us in."""
    if config.smtp_host is None:
        yield off("mail", "No mail is sent (DAVSERVER_SMTP_HOST).")
        return
    open_mailer(config).check()
    yield ok("mail", f"{config.smtp_host} port {config.smtp_port} answers and lets us in.")
