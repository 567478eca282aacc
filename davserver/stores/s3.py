"""A store in a bucket of an S3 server (MinIO, SeaweedFS, Ceph, AWS, ...), through the `minio` client.

An object of up to one part is one PUT; a longer one is a multipart upload whose parts go out in parallel while the next
one is filled. An object becomes visible with the server's answer to the last request, and is durable then.
"""

import contextlib
import io
import logging
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from http import HTTPStatus

from minio.error import S3Error
from urllib3.response import BaseHTTPResponse

from davserver.domain.errors import BlobMissing, ContentDamaged, StoreUnavailable
from davserver.stores.ahead import read_ahead
from davserver.stores.base import (
    READ_SIZE,
    BytesLike,
    IncompleteBlob,
    StoredBlob,
    check_key,
    check_prefix,
    check_range,
    is_key,
)
from davserver.stores.s3_client import CONNECT_SECONDS, READ_SECONDS, MultipartMinio, cleanup_pool, http_pool
from davserver.stores.s3_errors import already_gone, translated
from davserver.stores.s3_upload import Uploader

RESUMES = 3
"""How often a read whose connection broke goes on where it stopped."""

_BLOCKS_AHEAD = 2
"""Blocks of READ_SIZE that are fetched while the one before is opened and sent on; the fetching thread holds one more."""
_SHORT = 4 * READ_SIZE
"""Bytes of a range that is not worth a thread."""
_CHECK_NAME = ".davserver-check"
_log = logging.getLogger(__name__)


class S3Store:
    """Objects in `bucket`, their names being keys behind `prefix`.

    `endpoint` is host:port. `region` is what requests are signed for; it is never asked of the server. Make one per
    process: connections do not survive a fork. The time-outs are those of one attempt, see `http_pool`; `ca_file` names
    certificates in PEM to trust instead of the usual ones. `sleep` is waited with between the attempts of a read.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        *,
        secure: bool = True,
        region: str = "us-east-1",
        prefix: str = "",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        ca_file: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pools = (
            http_pool(connect_seconds=connect_seconds, read_seconds=read_seconds, ca_file=ca_file),
            cleanup_pool(ca_file=ca_file),
        )
        self._client, cleaner = (
            MultipartMinio(endpoint, access_key, secret_key, secure=secure, region=region, http_client=pool)
            for pool in self._pools
        )
        self._uploader = Uploader(self._client, cleaner, bucket)
        self._bucket = bucket
        self._region = region
        self._prefix = prefix
        self._sleep = sleep

    def put(self, key: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """See `Store.put`. The longest object is s3_upload.MAX_DECLARED (MAX_UNDECLARED without `size`) bytes: BodyTooLarge."""
        return self._uploader.put(self._name(key), chunks, size)

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `Store.read`. A connection that breaks is taken up again where it broke, a few times."""
        name = self._name(key)
        check_range(start, stop)
        blocks = self._read(name, start, stop)
        return blocks if stop - start <= _SHORT else read_ahead(blocks, _BLOCKS_AHEAD)

    def size(self, key: str) -> int:
        """See `Store.size`."""
        name = self._name(key)
        with translated():
            return self._client.stat_object(self._bucket, name).size or 0

    def remove(self, key: str) -> None:
        """See `Store.remove`."""
        name = self._name(key)
        with contextlib.suppress(BlobMissing), translated():
            self._client.remove_object(self._bucket, name)

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        """See `Store.list`."""
        found = iter(
            self._client.list_objects(self._bucket, prefix=self._prefix + check_prefix(prefix), recursive=True)
        )
        while True:
            with translated():
                item = next(found, None)
            if item is None:
                return
            key = (item.object_name or "").removeprefix(self._prefix)
            if is_key(key) and item.size is not None and item.last_modified is not None:
                yield StoredBlob(key, item.size, _aware(item.last_modified))

    def incomplete(self) -> Iterator[IncompleteBlob]:
        """See `Store.incomplete`: the multipart uploads. A put of one part leaves nothing."""
        found = self._client.unfinished_uploads(self._bucket, self._prefix)
        while True:
            with translated():
                upload = next(found, None)
            if upload is None:
                return
            key = upload.name.removeprefix(self._prefix)
            if is_key(key):
                yield IncompleteBlob(key, upload.upload_id, _aware(upload.begun))

    def remove_incomplete(self, older_than: datetime) -> int:
        """See `Store.remove_incomplete`."""
        old = [blob for blob in self.incomplete() if blob.begun < older_than]
        for blob in old:
            with translated(), already_gone():
                self._client.abort_upload(self._bucket, self._prefix + blob.key, blob.handle)
        return len(old)

    def check(self) -> None:
        """See `Store.check`. Writes and removes a small object; makes the bucket if the server says that it is missing."""
        name = self._prefix + _CHECK_NAME
        with translated():
            if not self._exists():
                self._make_bucket()
            self._client.put_object(self._bucket, name, io.BytesIO(b"davserver was here\n"), 19)
            self._client.remove_object(self._bucket, name)

    def free_bytes(self) -> int | None:
        """None: S3 does not say."""
        return None

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            pool.clear()

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _exists(self) -> bool:
        """Some accounts may write but not ask whether the bucket is there: the write will tell."""
        try:
            return self._client.bucket_exists(self._bucket)
        except S3Error as error:
            if error.code == "AccessDenied":
                return True
            raise

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket, self._region)
        except S3Error as error:
            # Another process that starts at the same time was faster.
            if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise

    def _read(self, name: str, start: int, stop: int) -> Generator[bytes]:
        position = start
        failures = 0
        while position < stop:
            try:
                with contextlib.closing(self._read_once(name, position, stop)) as blocks:
                    for block in blocks:
                        position += len(block)
                        yield block
            except StoreUnavailable:
                failures += 1
                if failures > RESUMES or position == start:
                    # What fails before the first byte was already tried again by the connection pool.
                    raise
                _log.warning("reading %s broke off at byte %d; going on from there", name, position)
                self._sleep(0.2 * 2**failures)

    def _read_once(self, name: str, start: int, stop: int) -> Generator[bytes]:
        with translated():
            response = self._client.get_object(self._bucket, name, offset=start, length=stop - start)
        try:
            _check_range_answer(response, start, stop)
            left = stop - start
            while left:
                with translated():
                    block = response.read(min(READ_SIZE, left))
                if not block:
                    raise StoreUnavailable
                left -= len(block)
                yield block
        finally:
            response.close()
            response.release_conn()


def _check_range_answer(response: BaseHTTPResponse, start: int, stop: int) -> None:
    """The answer must be exactly the wanted range; a server may answer with all of an object that begins there."""
    length = response.headers.get("content-length")
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        if length is not None and int(length) != stop - start:
            raise ContentDamaged
    elif start:
        _log.error("the S3 server ignores Range")
        raise StoreUnavailable
    elif length is not None and int(length) < stop:
        raise ContentDamaged


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
