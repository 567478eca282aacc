import base64
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path

import pytest

from davserver.bootstrap import Services, build, check, make_data_dir, start, warnings
from davserver.config import Config, Secret, SecretUrl
from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.errors import ConfigError, KeyRingError, StoreUnavailable
from davserver.domain.paths import ResourcePath
from davserver.services.content import PutDetails
from davserver.stores.folder import FolderStore
from davserver.stores.s3 import S3Store

PASSWORD = "correct horse"


class Bytes:
    """A body."""

    def __init__(self, content: bytes) -> None:
        self.length: int | None = len(content)
        self._left = content

    def read(self, size: int) -> bytes:
        part, self._left = self._left[:size], self._left[size:]
        return part


def ring(fill: bytes, key_id: str = "k1") -> Secret:
    return Secret(f"{key_id}:{base64.b64encode(fill * 32).decode()}")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path / "data")


@pytest.fixture
def services(config: Config) -> Iterator[Services]:
    made = start(config)
    yield made
    made.close()


def put(services: Services, content: bytes) -> None:
    if not services.accounts.users():
        services.accounts.add("ada", PASSWORD)
    principal = services.accounts.authenticate("ada", PASSWORD)
    path = ResourcePath(("a",))
    services.content.put(principal, path, Bytes(content), PutDetails(), NO_CONDITIONS)
    resource = services.tree.find(principal, path)
    assert b"".join(services.content.read(principal, resource, 0, len(content))) == content


def test_the_services_of_an_empty_folder_work_together(services: Services) -> None:
    put(services, b"small")
    put(services, b"large" * 100_000)


def test_the_data_folder_and_its_secrets_are_for_the_owner_alone(services: Services, config: Config) -> None:
    assert stat.S_IMODE(config.data_dir.stat().st_mode) == 0o700
    for name in ("secret", "keys.json"):
        assert stat.S_IMODE((config.data_dir / name).stat().st_mode) == 0o600
    assert not list(config.data_dir.glob("*.new"))


def test_services_that_start_together_agree_on_keys_and_secret(config: Config) -> None:
    make_data_dir(config)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: build(config), range(8)))
    try:
        assert len({services.keyring.reveal() for services in made}) == 1
        assert len({services.accounts._cache.key("a", "b") for services in made}) == 1
    finally:
        for services in made:
            services.close()


def test_a_spoilt_secret_file_is_refused_by_name(config: Config) -> None:
    (make_data_dir(config) / "secret").write_text("short")
    with pytest.raises(ConfigError, match=r"data/secret does not hold 64 hexadecimal digits"):
        build(config)


def test_an_endpoint_chooses_s3_and_none_the_folder(config: Config) -> None:
    s3 = Config(
        data_dir=config.data_dir,
        minio_endpoint="127.0.0.1:1",
        minio_access_key=Secret("a"),
        minio_secret_key=Secret("b"),
    )
    for given, kind in ((config, FolderStore), (s3, S3Store)):
        services = build(given)
        assert isinstance(services.store, kind)
        services.close()


def test_the_settings_reach_the_services(config: Config) -> None:
    services = start(Config(data_dir=config.data_dir, inline_limit=0, segment_size=4096, default_quota=77))
    try:
        put(services, b"x" * 70)
        assert services.accounts.find("ada").quota_bytes == 77
        assert [blob.size for blob in services.store.list()] == [40 + 70 + 16]  # header, content, tag: not in its row
    finally:
        services.close()


def test_a_key_ring_without_the_key_of_a_blob_is_refused_by_id(config: Config) -> None:
    first = start(Config(data_dir=config.data_dir, master_keys=ring(b"1", "old")))
    put(first, b"x")
    first.close()
    with pytest.raises(KeyRingError, match="'old'"):
        start(Config(data_dir=config.data_dir, master_keys=ring(b"2", "new")))
    both = Secret(ring(b"2", "new").reveal() + "," + ring(b"1", "old").reveal())
    start(Config(data_dir=config.data_dir, master_keys=both)).close()


def test_another_key_under_the_same_id_is_refused(config: Config) -> None:
    first = start(Config(data_dir=config.data_dir, master_keys=ring(b"1")))
    put(first, b"x")
    first.close()
    with pytest.raises(KeyRingError, match="does not unwrap"):
        start(Config(data_dir=config.data_dir, master_keys=ring(b"2")))


def test_a_store_that_cannot_be_written_is_refused(config: Config) -> None:
    start(config).close()
    blobs = config.data_dir / "blobs"
    blobs.rename(config.data_dir / "away")
    blobs.write_bytes(b"not a folder")
    services = build(config)
    try:
        with pytest.raises(StoreUnavailable):
            check(services)
    finally:
        services.close()


def test_a_url_that_no_driver_takes_is_refused_without_its_password(config: Config) -> None:
    given = Config(data_dir=config.data_dir, database_url=SecretUrl("postgresql://u:hush@h:port/d"))
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        build(given)
    assert "hush" not in str(caught.value)


def test_warnings_are_for_who_needs_them(config: Config) -> None:
    assert warnings(config) == ()
    assert len(warnings(Config(host="0.0.0.0"))) == 1
    assert warnings(Config(host="0.0.0.0", tls_cert=Path("x"))) == ()
    assert warnings(Config(host="0.0.0.0", trusted_proxies=(ip_network("10.0.0.1"),))) == ()
    shared = SecretUrl("postgresql://h/d")
    assert "DAVSERVER_MASTER_KEYS" in warnings(Config(database_url=shared))[0]
    assert warnings(Config(database_url=shared, master_keys=ring(b"1"))) == ()
