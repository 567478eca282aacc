"""Putting one object into a bucket: cut into parts, sent in parallel, withdrawn when something fails.

Peak memory of one put is MEMORY_PER_PUT at most, however long the object is. Of many puts at once those that came first share
MEMORY_TO_SHARE; all others get by with one part each, which is filled and sent in turn.
"""

import logging
import mmap
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Self

from minio.datatypes import Part

from davserver.domain.errors import BodyTooLarge, DavserverError
from davserver.stores.base import BytesLike, counted
from davserver.stores.s3_client import MultipartMinio
from davserver.stores.s3_errors import already_gone, translated

MIB = 1024 * 1024
PART_SIZE = 8 * MIB
"""Bytes of a part, unless the object is so long that it would need more than MAX_PARTS. Measured: docs/sealed-content.md."""
SMALLEST_PART = 5 * MIB
"""Bytes that S3 wants of a part at the least; so long are those of an object whose size is known, while memory is short."""
PARALLEL_PARTS = 3
MAX_PARTS = 10_000
"""What S3 allows; all parts but the last have one size, because some servers want that."""
MEMORY_PER_PUT = 40 * MIB
"""Parts that are being filled or sent, together. Longer parts are sent with less parallelism."""
MEMORY_TO_SHARE = 96 * MIB
"""Parts of all puts of one store, beside the first one of each."""
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
        self._shared = SharedMemory(MEMORY_TO_SHARE)

    def put(self, name: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """`Store.put` for an object name. Raises BodyTooLarge over MAX_DECLARED, or, undeclared, over MAX_UNDECLARED."""
        part_size = part_size_for(size, memory_is_short=self._shared.is_short)
        with Buffers(part_size, self._shared) as buffers:
            parts = parts_of(counted(chunks, size), buffers)
            first = next(parts, memoryview(b""))
            if len(first) < part_size or size == part_size:
                next(parts, None)  # there is none: this runs the count of `counted` to its end
                self._put_whole(name, first)
                return len(first)
            return self._put_parts(name, chain([first], parts), buffers)

    def _put_whole(self, name: str, content: memoryview) -> None:
        with self._withdrawn_on_error(name), translated():
            self._client.put_whole(self._bucket, name, content)

    def _put_parts(self, name: str, parts: Iterator[memoryview], buffers: "Buffers") -> int:
        with translated():
            upload_id = self._client.begin_upload(self._bucket, name)
        try:
            sent, total = self._send_parts(name, upload_id, parts, buffers)
            with self._withdrawn_on_error(name), translated():
                self._client.complete_upload(self._bucket, name, upload_id, sent)
        except BaseException:
            self._abort(name, upload_id)
            raise
        return total

    def _send_parts(
        self, name: str, upload_id: str, parts: Iterator[memoryview], buffers: "Buffers"
    ) -> tuple[list[Part], int]:
        """Send the parts while the next are filled, as far as there are buffers for both.

        Whatever happens, no part is under way any more when this returns: it could outlive the abort.
        """
        sent: list[Part] = []
        running: deque[tuple[Future[Part], memoryview]] = deque()
        total = 0
        with ThreadPoolExecutor(max(1, buffers.most - 1), thread_name_prefix="s3-part") as pool:
            try:
                while content := next(parts, None):
                    total += len(content)
                    number = _checked_number(len(sent) + len(running) + 1)
                    running.append((pool.submit(self._send_part, name, upload_id, number, content), content))
                    while running and (running[0][0].done() or not buffers.can_take()):
                        part, done_with = running.popleft()
                        sent.append(part.result())
                        buffers.give_back(done_with)
                sent.extend(part.result() for part, _ in running)
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


def part_size_for(size: int | None, *, memory_is_short: bool = False) -> int:
    """Bytes of the parts of an object of `size` bytes: whole MiB. Raises BodyTooLarge."""
    if size is None:
        return PART_SIZE
    if size > MAX_DECLARED:
        raise BodyTooLarge
    usual = SMALLEST_PART if memory_is_short else PART_SIZE
    return max(usual, -(-size // (MAX_PARTS * MIB)) * MIB)


class SharedMemory:
    """Bytes that the puts of one store share. Safe in many threads."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._lock = threading.Lock()

    @property
    def is_short(self) -> bool:
        """Whether more than half of it is taken."""
        return 2 * self._left < self._size

    def take(self, size: int) -> bool:
        """Whether so much was left; it is taken then."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give_back(self, size: int) -> None:
        """What was taken is free."""
        with self._lock:
            self._left += size


class Buffers:
    """Room for the parts of one put, each for `size` bytes: one, and up to `most` while there is `shared` memory.

    They are used again, as fresh memory costs more than sealing what goes into it: the system clears every page. They are
    mapped, not allocated: what a put had goes back to the system at its end, where an allocator would keep it.
    """

    def __init__(self, size: int, shared: SharedMemory) -> None:
        self.size = size
        self.most = max(1, min(PARALLEL_PARTS + 1, MEMORY_PER_PUT // size))
        self._shared = shared
        self._free: list[memoryview] = []
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._free.clear()
        self._shared.give_back(self.size * max(0, self._made - 1))
        self._made = 0

    def can_take(self) -> bool:
        """Whether there is a buffer for one more part; makes it."""
        if self._free:
            return True
        if self._made and (self._made >= self.most or not self._shared.take(self.size)):
            return False
        self._made += 1
        self._free.append(memoryview(mmap.mmap(-1, self.size)))
        return True

    def take(self) -> memoryview:
        """A buffer for a part. Only after `can_take`, or as the first one."""
        self.can_take()
        return self._free.pop()

    def give_back(self, part: memoryview) -> None:
        """A part was sent; nobody looks at it any more."""
        buffer: mmap.mmap = part.obj  # type: ignore[assignment]
        self._free.append(memoryview(buffer))


def parts_of(chunks: Iterator[BytesLike], buffers: Buffers) -> Iterator[memoryview]:
    """Join and cut `chunks` into parts of exactly the size of a buffer, and a last shorter one."""
    part: memoryview | None = None
    filled = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if part is None:
                part = buffers.take()
            step = min(buffers.size - filled, len(view))
            part[filled : filled + step] = view[:step]
            filled += step
            view = view[step:]
            if filled == buffers.size:
                whole, part, filled = part, None, 0
                yield whole
    if part is not None:
        yield part[:filled]


def _checked_number(number: int) -> int:
    if number > MAX_PARTS:
        raise BodyTooLarge
    return number
