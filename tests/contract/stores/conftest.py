"""The stores under contract: each test runs on every kind."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from davserver.stores.base import Store
from davserver.stores.folder import FolderStore
from davserver.stores.memory import MemoryStore
from davserver.stores.s3 import S3Store
from tests.support.seaweed import S3Server

MakeStore = Callable[[], Store]


def s3_store(server: S3Server, prefix: str, read_seconds: float = 60) -> S3Store:
    return S3Store(
        server.endpoint,
        server.access_key,
        server.secret_key,
        server.bucket,
        secure=server.secure,
        prefix=prefix,
        read_seconds=read_seconds,
    )


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "blobs")


@pytest.fixture
def s3_prefix() -> str:
    """A place of the test's own in the bucket."""
    return f"test-{secrets.token_hex(8)}/"


@pytest.fixture
def bucket_store(s3_server: S3Server, s3_prefix: str) -> Iterator[S3Store]:
    store = s3_store(s3_server, s3_prefix)
    with contextlib.closing(store):
        yield store
        for blob in list(store.list()):
            store.remove(blob.key)


@pytest.fixture(params=["memory", "folder", pytest.param("s3", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest) -> Store:
    """Each kind of store, empty and checked."""
    made: Store
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "folder":
        made = request.getfixturevalue("folder_store")
    else:
        made = request.getfixturevalue("bucket_store")
    made.check()
    return made
