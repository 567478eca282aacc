"""The S3 server of the session: SeaweedFS, or the one that DAVSERVER_TEST_S3 names.

DAVSERVER_TEST_S3=http(s)://KEY:SECRET@host:port/bucket; key and secret percent-encoded.
"""

import os
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.seaweed import S3Server, running_seaweed
from tests.support.tools import need


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server with a bucket that may be written."""
    named = os.environ.get("DAVSERVER_TEST_S3")
    if named:
        yield named_server(named)
        return
    need("weed")
    with running_seaweed() as server:
        yield server


def named_server(url: str) -> S3Server:
    """Read DAVSERVER_TEST_S3. Raises ValueError, without the secret, for what cannot be used."""
    parts = urlsplit(url)
    bucket = parts.path.strip("/")
    if parts.scheme not in {"http", "https"} or not (parts.username and parts.password and parts.hostname and bucket):
        raise ValueError("DAVSERVER_TEST_S3 is not of the form http(s)://KEY:SECRET@host:port/bucket")
    return S3Server(
        endpoint=parts.netloc.rpartition("@")[2],
        access_key=unquote(parts.username),
        secret_key=unquote(parts.password),
        bucket=bucket,
        secure=parts.scheme == "https",
    )
