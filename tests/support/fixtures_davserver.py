"""Fixtures for the whole server as a process, on both deployments and with two processes behind one port.

`deployment` is a fresh one for each test and not yet started; `davserver_process` is started. `drive` is cheaper: one
server for the whole session and a new user, hence an empty tree, for each test.
"""

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio

from tests.support.databases import Databases, database_kinds
from tests.support.davserver import Deployment, ServerProcess, User
from tests.support.seaweed import S3Server

COMMON = {"DAVSERVER_HOST": "127.0.0.1", "DAVSERVER_PORT": "0", "DAVSERVER_PROCESSES": "2", "TESTING": "1"}


def deployment_kinds() -> tuple[str, ...]:
    """Return the deployments under test: `embedded` lives on SQLite, `company` on PostgreSQL."""
    named = {"sqlite": "embedded", "postgresql": "company"}
    return tuple(named[kind] for kind in database_kinds())


def make_deployment(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Deployment]:
    """Yield a fresh deployment, and stop and remove what it used."""
    data = folder / "data"
    data.mkdir()
    settings = COMMON | {"DAVSERVER_DATA_DIR": str(data)}
    if kind == "embedded":
        deployment = Deployment(kind, settings, folder)
        yield deployment
        deployment.close()
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    url = databases.migrated()
    deployment = Deployment(kind, settings | company_settings(url, request), folder)
    yield deployment
    deployment.close()
    databases.drop(url)


def company_settings(database_url: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment of a server on PostgreSQL and S3, with a new bucket and new secrets."""
    s3: S3Server = request.getfixturevalue("s3_server")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "DATABASE_URL": database_url,
        "MINIO_ENDPOINT": s3.endpoint,
        "MINIO_ACCESS_KEY": s3.access_key,
        "MINIO_SECRET_KEY": s3.secret_key,
        "MINIO_BUCKET": make_bucket(s3),
        "MINIO_SECURE": str(s3.secure).lower(),
        "SECRET_KEY": secrets.token_hex(32),
        "DAVSERVER_MASTER_KEYS": f"k1:{key}",
    }


def make_bucket(s3: S3Server) -> str:
    """Return the name of a bucket: a new one on our own server, the given one on somebody else's."""
    if s3.pid is None:
        return s3.bucket
    name = f"davtest-{secrets.token_hex(6)}"
    Minio(s3.endpoint, access_key=s3.access_key, secret_key=s3.secret_key, secure=s3.secure).make_bucket(name)
    return name


@pytest.fixture(scope="session", params=deployment_kinds())
def deployment_kind(request: pytest.FixtureRequest) -> str:
    """`embedded` and `company` in turn."""
    return str(request.param)


@pytest.fixture
def deployment(deployment_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A fresh deployment of each kind, nothing started: `start()`, `add_user()`, `run("user", "list")`."""
    yield from make_deployment(deployment_kind, request, tmp_path)


@pytest.fixture
def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A fresh deployment on SQLite and a folder, nothing started."""
    yield from make_deployment("embedded", request, tmp_path)


@pytest.fixture
def davserver_process(deployment: Deployment) -> ServerProcess:
    """A running server on a fresh deployment of each kind; add users with the `deployment` fixture."""
    return deployment.start()


@dataclass
class Drive:
    """A user's empty drive on a running server."""

    url: str
    """The address of the share, with a slash at its end."""
    user: User
    server: ServerProcess
    deployment: Deployment


@pytest.fixture(scope="session")
def shared_deployment(
    deployment_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """One deployment of each kind for the whole session, with one running server."""
    folder = tmp_path_factory.mktemp(f"shared-{deployment_kind}")
    for deployment in make_deployment(deployment_kind, request, folder):
        deployment.start()
        yield deployment


@pytest.fixture
def drive(shared_deployment: Deployment) -> Drive:
    """An empty drive of a new user on the session's server, on each kind of deployment."""
    server = shared_deployment.servers[0]
    return Drive(server.url, shared_deployment.add_user(), server, shared_deployment)
