"""The `minio` client, with the steps of a multipart upload as methods of their own.

`Minio.put_object` is not used for more than one part, for what it does when an upload fails (7.2.20): its pool threads
stay for ever, each holding its last part; it reads the rest of the source after a part was refused; and it takes an error
in the answer to CompleteMultipartUpload (HTTP 200 with an <Error> body) for success. Nor does the client's public API list
unfinished uploads. So this subclass, and it alone, calls the client's protected methods; its version is pinned for that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import certifi
import urllib3
from minio import Minio
from minio.datatypes import Part
from minio.error import InvalidResponseError

CONNECT_SECONDS = 5
READ_SECONDS = 60
POOL_SIZE = 64
"""Connections that are kept open; more may be open at a time."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was neither completed nor aborted."""

    name: str
    upload_id: str
    begun: datetime


def http_pool(
    *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS, ca_file: str | None = None
) -> urllib3.PoolManager:
    """Connections with time-outs, and a few retries with growing pauses.

    A dead address costs at most three times `connect_seconds`, a server that hangs at most twice `read_seconds`. All that
    is sent may be sent twice: objects and parts are replaced by themselves, an upload begun twice is cleared away later,
    and one completed twice fails and is withdrawn. `ca_file`: certificates to trust, in PEM; by default those of certifi.
    """
    return urllib3.PoolManager(
        maxsize=POOL_SIZE,
        timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds),
        retries=urllib3.Retry(
            total=4,
            connect=2,
            read=1,
            status=3,
            other=1,
            redirect=0,
            allowed_methods=None,
            backoff_factor=0.2,
            backoff_jitter=0.2,
            status_forcelist=(500, 502, 503, 504),
            raise_on_status=False,
            respect_retry_after_header=False,
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=ca_file or certifi.where(),
    )


def cleanup_pool(*, ca_file: str | None = None) -> urllib3.PoolManager:
    """Connections for taking back what failed: one attempt, then it is left to the next clean-up."""
    return urllib3.PoolManager(
        maxsize=2,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=10),
        retries=urllib3.Retry(total=0, raise_on_status=False),
        cert_reqs="CERT_REQUIRED",
        ca_certs=ca_file or certifi.where(),
    )


class MultipartMinio(Minio):
    """A `Minio` that sends views of memory, and whose multipart uploads are done step by step."""

    def put_whole(self, bucket: str, name: str, content: memoryview) -> None:
        """Send an object in one request."""
        # The client hashes, measures and sends its body; a view is as good for that as bytes are.
        self._put_object(bucket, name, cast("bytes", content), {"Content-Type": "application/octet-stream"})

    def begin_upload(self, bucket: str, name: str) -> str:
        """Begin a multipart upload and return its id."""
        return self._create_multipart_upload(bucket, name, {})

    def upload_part(self, bucket: str, name: str, upload_id: str, number: int, content: memoryview) -> Part:
        """Send one part, counted from 1."""
        return Part(number, self._upload_part(bucket, name, cast("bytes", content), None, upload_id, number))

    def complete_upload(self, bucket: str, name: str, upload_id: str, parts: list[Part]) -> None:
        """Make the object of its parts. Raises InvalidResponseError when the server says 200 but not that it did."""
        result = self._complete_multipart_upload(bucket, name, upload_id, parts)
        if not result.etag:
            raise InvalidResponseError(200, "application/xml", "no ETag in the answer to CompleteMultipartUpload")

    def abort_upload(self, bucket: str, name: str, upload_id: str) -> None:
        """Drop a multipart upload and its parts."""
        self._abort_multipart_upload(bucket, name, upload_id)

    def unfinished_uploads(self, bucket: str, prefix: str) -> Iterator[UnfinishedUpload]:
        """Multipart uploads under `prefix` that were neither completed nor aborted."""
        marker: str | None = None
        while True:
            page = self._list_multipart_uploads(bucket, prefix=prefix, key_marker=marker)
            for upload in page.uploads:
                if upload.upload_id and upload.initiated_time:
                    yield UnfinishedUpload(upload.object_name, upload.upload_id, upload.initiated_time)
            if not page.is_truncated or not page.next_key_marker or page.next_key_marker == marker:
                return
            marker = page.next_key_marker
