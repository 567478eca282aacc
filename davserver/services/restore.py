"""Restore: a set of `davserver.services.backup` becomes a drive, on any kind of database and store.

Blobs come first and rows in one transaction after them, so a run that was killed has restored nothing, and can be run again.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, MetaData, Table, inspect, text

from davserver.crypto.keyring import KeyRing
from davserver.db.migrate import upgrade_within
from davserver.db.units import Database
from davserver.domain.errors import BlobMissing, ConfigError, ContentDamaged
from davserver.services.backup import OpenFolder, Progress, Step, damaged_tables
from davserver.services.backup_format import BLOBS, digest_of, lines, read_manifest
from davserver.stores.base import Store, blob_key

_BATCH: Final = 500
_FOREIGN_KEYS: Final = text(
    "SELECT conrelid::regclass::text AS of, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS says"
    " FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"
)


class Restore:
    """The use case. `revisions`: the migrations that this release knows."""

    def __init__(
        self,
        database: Database,
        store: Store,
        keyring: KeyRing,
        open_folder: OpenFolder,
        revisions: tuple[str, ...],
    ) -> None:
        self._database = database
        self._store = store
        self._keyring = keyring
        self._open_folder = open_folder
        self._revisions = revisions

    def run(self, folder: Path, *, replace: bool, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Restore the set in `folder`; returns its manifest. `replace`: what the database holds now is forgotten.

        Raises `ConfigError` for a set that is damaged, from a newer release or sealed under keys that are not here, and for
        a database that is in use; `DatabaseUnavailable`, `StoreUnavailable`, `StoreFull`.
        """
        manifest = read_manifest(folder)
        self._check(folder, manifest)
        with self._database.read() as connection:
            if not replace and _is_in_use(connection):
                raise ConfigError(
                    "The database holds a drive already; davserver restore --replace forgets it for good."
                )
        self._store.check()
        self._blobs(folder, manifest, progress)
        with self._database.write() as unit:
            if not replace and _is_in_use(unit.connection):
                raise ConfigError("Somebody began to use the database meanwhile; nothing was restored.")
            self._rows(unit.connection, folder, manifest, progress)
        return manifest

    def _check(self, folder: Path, manifest: dict[str, Any]) -> None:
        if manifest["revision"] not in self._revisions:
            raise ConfigError(f"The backup is of a newer release (migration {manifest['revision']}): install that one.")
        missing = [key_id for key_id in manifest["keys"] if key_id not in self._keyring.key_ids]
        if missing:
            raise ConfigError(
                f"It is sealed under {', '.join(missing)}, and the key ring lacks that: davserver keys add --import FILE, "
                "or set DAVSERVER_MASTER_KEYS (docs/backup.md)."
            )
        if damaged := damaged_tables(folder, manifest):
            raise ConfigError(f"The backup is damaged, nothing was changed: {', '.join(damaged)}.")
        if digest_of(folder / "blobs.jsonl.gz") != manifest["blobs"]["sha256"]:
            raise ConfigError("The backup is damaged, nothing was changed: its list of blobs.")

    def _blobs(self, folder: Path, manifest: dict[str, Any], progress: Progress) -> None:
        copies = self._open_folder(folder.parent.parent / BLOBS)
        for done, (blob_id, size, digest) in enumerate(lines(folder / "blobs.jsonl.gz"), 1):
            key = blob_key(blob_id)
            if self._size(key) != size:
                try:
                    self._store.put(key, _verified(copies.read(key, 0, size), digest), size)
                except (BlobMissing, ContentDamaged):
                    raise ConfigError(
                        f"The backup is damaged, no row was restored: blob {blob_id}. davserver backup --check finds all."
                    ) from None
            progress(Step.BLOBS, done, manifest["blobs"]["count"])

    def _size(self, key: str) -> int | None:
        try:
            return self._store.size(key)
        except BlobMissing:
            return None

    def _rows(self, connection: Connection, folder: Path, manifest: dict[str, Any], progress: Progress) -> None:
        is_sqlite = self._database.is_sqlite
        if is_sqlite:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        else:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        _drop_all(connection, is_sqlite=is_sqlite)
        upgrade_within(connection, manifest["revision"])
        # Rows of one table refer to one another in any order.
        foreign = [] if is_sqlite else connection.execute(_FOREIGN_KEYS).all()
        for key in foreign:
            connection.exec_driver_sql(f"ALTER TABLE {key.of} DROP CONSTRAINT {key.name}")
        tables = MetaData()
        tables.reflect(connection)
        total, done = sum(said["rows"] for said in manifest["tables"].values()), 0
        for name, said in manifest["tables"].items():
            table, columns = tables.tables[name], said["columns"]
            rows = lines(folder / "tables" / f"{name}.jsonl.gz")
            while batch := [dict(zip(columns, row, strict=True)) for row in islice(rows, _BATCH)]:
                connection.execute(table.insert(), batch)
                done += len(batch)
                progress(Step.ROWS, done, total)
            if not is_sqlite:
                _go_on_counting(connection, table)
        for key in foreign:
            connection.exec_driver_sql(f"ALTER TABLE {key.of} ADD CONSTRAINT {key.name} {key.says}")


def _is_in_use(connection: Connection) -> bool:
    if not inspect(connection).has_table("users"):
        return False
    return connection.execute(text("SELECT 1 FROM users LIMIT 1")).first() is not None


def _drop_all(connection: Connection, *, is_sqlite: bool) -> None:
    found = MetaData()
    found.reflect(connection)
    quote = connection.dialect.identifier_preparer.quote
    for table in reversed(found.sorted_tables):
        connection.exec_driver_sql(f"DROP TABLE {quote(table.name)}{'' if is_sqlite else ' CASCADE'}")


def _go_on_counting(connection: Connection, table: Table) -> None:
    """Numbers that the database gives go on behind those that came with the rows."""
    for column in table.primary_key.columns:
        sequence = text("SELECT pg_get_serial_sequence(quote_ident(:name), :column)")
        found = connection.execute(sequence, {"name": table.name, "column": column.name}).scalar()
        if found is not None:
            highest = f"SELECT setval('{found}', coalesce(max({column.name}), 1), max({column.name}) IS NOT NULL)"
            connection.exec_driver_sql(f"{highest} FROM {connection.dialect.identifier_preparer.quote(table.name)}")


def _verified(blocks: Iterator[bytes], expected: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
        yield block
    if digest.hexdigest() != expected:
        raise ContentDamaged
