"""Putting one object into a bucket: cut into parts, sent in parallel, withdrawn when something fails.

Peak memory of one put is MEMORY_PER_PUT at most, however long the object is.
"""

import logging
import mmap
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from minio.datatypes import Part

from davserver.domain.errors import BodyTooLarge, DavserverError
from davserver.stores.base import BytesLike, counted
from davserver.stores.s3_client import MultipartMinio
from davserver.stores.s3_errors import already_gone, translated

MIB = 1024 * 1024
PART_SIZE = 8 * MIB
"""Bytes of a part, unless the object is so long that it would need more than MAX_PARTS. Measured: docs/sealed-content.md."""
PARALLEL_PARTS = 3
MAX_PARTS = 10_000
"""What S3 allows; all parts but the last have one size, because some servers want that."""
MEMORY_PER_PUT = 40 * MIB
"""Parts that are being filled or sent, together. Longer parts are sent with less parallelism."""
MAX_UNDECLARED = PART_SIZE * MAX_PARTS
"""Bytes of the longest object whose size is not declared: 78 GiB."""
MAX_DECLARED = MEMORY_PER_PUT * MAX_PARTS
"""Bytes of the longest object whose size is declared: 390 GiB."""

_log = logging.getLogger(__name__)


class Uploader:
    """Puts objects into one bucket. `cleaner` is the client for taking back what failed: one that gives up soon."""

    def __init__(self, client: MultipartMinio, cleaner: MultipartMinio, bucket: str) -> None:
        self._client = client
        self._cleaner = cleaner
        self._bucket = bucket

    def put(self, name: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """`Store.put` for an object name. Raises BodyTooLarge over MAX_DECLARED, or, undeclared, over MAX_UNDECLARED."""
        part_size = part_size_for(size)
        parts = parts_of(counted(chunks, size), part_size)
        first = next(parts, memoryview(b""))
        if len(first) < part_size or size == part_size:
            next(parts, None)  # there is none: this runs the count of `counted` to its end
            self._put_whole(name, first)
            return len(first)
        held = [first]
        del first  # no frame may hold a part that is sent
        return self._put_parts(name, _rejoined(held, parts), part_size)

    def _put_whole(self, name: str, content: memoryview) -> None:
        with self._withdrawn_on_error(name), translated():
            self._client.put_whole(self._bucket, name, content)

    def _put_parts(self, name: str, parts: Iterator[memoryview], part_size: int) -> int:
        with translated():
            upload_id = self._client.begin_upload(self._bucket, name)
        try:
            parallel = min(PARALLEL_PARTS, max(0, MEMORY_PER_PUT // part_size - 1))
            sent, total = self._send_parts(name, upload_id, parts, parallel)
            with self._withdrawn_on_error(name), translated():
                self._client.complete_upload(self._bucket, name, upload_id, sent)
        except BaseException:
            self._abort(name, upload_id)
            raise
        return total

    def _send_parts(
        self, name: str, upload_id: str, parts: Iterator[memoryview], parallel: int
    ) -> tuple[list[Part], int]:
        """Send the parts, up to `parallel` at a time while the next is filled; with 0, none is filled meanwhile.

        Whatever happens, no part is under way any more when this returns: it could outlive the abort.
        """
        sent: list[Part] = []
        running: deque[Future[Part]] = deque()
        total = 0
        with ThreadPoolExecutor(max(1, parallel), thread_name_prefix="s3-part") as pool:
            try:
                while content := next(parts, None):
                    total += len(content)
                    number = _checked_number(len(sent) + len(running) + 1)
                    running.append(pool.submit(self._send_part, name, upload_id, number, content))
                    del content  # or this frame would hold it while the next one fills
                    while len(running) > parallel or (running and running[0].done()):
                        sent.append(running.popleft().result())
                sent.extend(part.result() for part in running)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return sent, total

    def _send_part(self, name: str, upload_id: str, number: int, content: memoryview) -> Part:
        with translated():
            return self._client.upload_part(self._bucket, name, upload_id, number, content)

    def _abort(self, name: str, upload_id: str) -> None:
        """Best effort: the error that led here is the one to tell, and `remove_incomplete` comes later."""
        try:
            with translated(), already_gone():
                self._cleaner.abort_upload(self._bucket, name, upload_id)
        except DavserverError:
            _log.warning("the unfinished upload of %s could not be aborted", name)

    @contextmanager
    def _withdrawn_on_error(self, name: str) -> Iterator[None]:
        """An answer that got lost may have made the object visible: take it back, as keys are written only once."""
        try:
            yield
        except BaseException:
            try:
                with translated():
                    self._cleaner.remove_object(self._bucket, name)
            except DavserverError:
                _log.warning("after a failed put it is unknown whether %s is there", name)
            raise


def part_size_for(size: int | None) -> int:
    """Bytes of the parts of an object of `size` bytes: whole MiB. Raises BodyTooLarge."""
    if size is None:
        return PART_SIZE
    if size > MAX_DECLARED:
        raise BodyTooLarge
    return max(PART_SIZE, -(-size // (MAX_PARTS * MIB)) * MIB)


def parts_of(chunks: Iterator[BytesLike], part_size: int) -> Iterator[memoryview]:
    """Join and cut `chunks` into parts of exactly `part_size` bytes, and a last shorter one.

    Each part lies in memory mapped for it alone: it goes back to the system when the last view of it does, where the
    allocator would keep holes between parts that are freed in another order than they were made.
    """
    part: memoryview | None = None
    filled = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if part is None:
                part = memoryview(mmap.mmap(-1, part_size))
            step = min(part_size - filled, len(view))
            part[filled : filled + step] = view[:step]
            filled += step
            view = view[step:]
            if filled == part_size:
                whole, part, filled = part, None, 0
                yield whole
                del whole
    if part is not None:
        yield part[:filled]


def _rejoined(first: list[memoryview], parts: Iterator[memoryview]) -> Iterator[memoryview]:
    """What `itertools.chain` does, but without holding on to the first part till the end."""
    yield first.pop()
    yield from parts


def _checked_number(number: int) -> int:
    if number > MAX_PARTS:
        raise BodyTooLarge
    return number
