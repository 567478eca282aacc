"""Request bodies that end either whole or with an exception, never silently short.

`environ["wsgi.input"]` and `environ["davserver.body"]` are one such object.
"""

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final

from davserver.http.channel import Channel, SilenceError

_BLOCK: Final = 1024 * 1024
# RFC 9112 7.1: a size in hexadecimal digits, then extensions, which nobody uses and which may hold no bare CR or LF.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\x00]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\x00]*")
_MAX_SIZE_LINE: Final = 256


class BodyCutOff(OSError):
    """The body did not arrive whole: cut off, malformed, too slow, or the server is being stopped.

    Whatever was read of it must not be kept. `status` is the answer for a client that may still be there.
    """

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class BodyTooLarge(BodyCutOff):
    """A chunked body went over `max_body_bytes`."""

    def __init__(self) -> None:
        super().__init__("The body is too large.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class Body:
    """The body of one request, as a binary file that can be read once. This one is empty; see the subclasses.

    Every reading method raises `BodyCutOff` when the rest of the body will not come, again at each further call.
    """

    length: int | None = 0
    """Bytes, as declared; None for a chunked body."""
    bytes_read: int = 0
    """Bytes handed out so far."""

    @property
    def complete(self) -> bool:
        """Whether all of it was handed out, and its end was seen."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, or fewer at the end, or all that is left; b"" only at the true end.

        Takes no more memory than what has arrived, plus one block of 1 MiB. Blocks of up to 1 MiB are the quickest.
        """
        left = size if size is not None and size >= 0 else None
        pieces: list[bytes] = []
        while left is None or left > 0:
            block = bytearray(self._at_most(_BLOCK if left is None else min(left, _BLOCK)))
            count = self._read_full(memoryview(block))
            pieces.append(bytes(block) if count == len(block) else bytes(memoryview(block)[:count]))
            if left is not None:
                left -= count
            if count < len(block) or not block:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, target: bytearray | memoryview) -> int:
        """Fill `target` as far as bytes are there: at least one, 0 only at the true end."""
        view = memoryview(target).cast("B")
        return self._some(view) if view else 0

    def readline(self, size: int | None = -1) -> bytes:
        """One line, at most `size` bytes. Slow: PEP 3333 wants it, nobody should."""
        line = bytearray()
        while (size is None or size < 0 or len(line) < size) and (byte := self.read(1)):
            line += byte
            if byte == b"\n":
                break
        return bytes(line)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """The rest as lines, stopping after about `hint` bytes."""
        lines: list[bytes] = []
        total = 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def settle(self, limit: int) -> int | None:
        """The application is about to be answered. How many bytes of body are still to come before the next request?

        None: unknown, or more than `limit`, or not to be had; the connection can serve no other request. May throw away
        what has arrived: reading on then raises.
        """
        del limit
        return 0

    def retire(self) -> None:
        """The request is over: what is still unread belongs to the server. No-op here."""

    def withdraw_invitation(self) -> None:
        """The answer goes out: no 100 may follow it. No-op here."""

    def _read_full(self, view: memoryview) -> int:
        count = 0
        while count < len(view):
            more = self._some(view[count:])
            if not more:
                break
            count += more
        return count

    def _at_most(self, wanted: int) -> int:
        """How much of `wanted` bytes is worth room in memory."""
        return min(wanted, 0)

    def _some(self, view: memoryview) -> int:
        """Read at least one byte into `view`, which has room; 0 at the verified end."""
        del view
        return 0


EMPTY: Final = Body()
"""The body of every request that has none."""


class _ArrivingBody(Body):
    """What sized and chunked bodies share: the channel, the lazy 100, and what a lost client becomes."""

    def __init__(self, channel: Channel, *, invite: Callable[[], None] | None = None) -> None:
        self._channel = channel
        self._invite = invite
        """Sends 100 Continue; the client waits for it with the body (RFC 9110 10.1.1)."""
        self._failure: BodyCutOff | None = None
        self.bytes_read = 0

    @property
    def invited(self) -> bool:
        """Whether the client has been told to send, or needed no telling."""
        return self._invite is None

    def retire(self) -> None:
        """See `Body.retire`."""
        if self._failure is None and not self.complete:
            self._fail("The request is over.")

    def withdraw_invitation(self) -> None:
        """See `Body.withdraw_invitation`. A body that was not invited will not come."""
        if self._invite is not None:
            self._invite = None
            self._failure = BodyCutOff("The body was not asked for before the answer.")

    def _some(self, view: memoryview) -> int:
        self._check()
        try:
            if self._invite is not None:
                invite, self._invite = self._invite, None
                if not self._channel.buffered:
                    invite()
            count = self._receive(view)
        except SilenceError as error:
            raise self._fail("No more of the body arrived in time.", HTTPStatus.REQUEST_TIMEOUT) from error
        except BodyCutOff as error:
            self._failure = error
            raise
        except OSError as error:
            raise self._fail("The connection broke before the body ended.") from error
        self.bytes_read += count
        return count

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._channel.is_cut and not self.complete:
            raise self._fail("The server is being stopped.", HTTPStatus.SERVICE_UNAVAILABLE)

    def _fail(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> BodyCutOff:
        self._failure = BodyCutOff(reason, status)
        return self._failure

    def _ended(self) -> BodyCutOff:
        if self._channel.is_cut:
            return BodyCutOff("The server is being stopped.", HTTPStatus.SERVICE_UNAVAILABLE)
        return BodyCutOff("The body ended before it was whole.")

    def _receive(self, view: memoryview) -> int:
        raise NotImplementedError


class SizedBody(_ArrivingBody):
    """A body of a declared length (RFC 9112 6.2)."""

    def __init__(self, channel: Channel, length: int, *, invite: Callable[[], None] | None = None) -> None:
        super().__init__(channel, invite=invite)
        self.length: int = length
        self._left = length

    @property
    def complete(self) -> bool:
        """Whether as many bytes as declared were handed out."""
        return self._left == 0

    def read(self, size: int | None = -1) -> bytes:
        """See `Body.read`. What has arrived as a whole, as small bodies do with their head, is handed out as it is."""
        left = self._left
        if not left or left > self._channel.buffered or (size is not None and 0 <= size < left) or not self.invited:
            return super().read(size)
        self._check()
        whole = self._channel.take(left)
        self._left = 0
        self.bytes_read += left
        return whole

    def settle(self, limit: int) -> int | None:
        """See `Body.settle`."""
        if self._failure is not None or not self.invited or self._left > limit:
            return None
        return self._left

    def _at_most(self, wanted: int) -> int:
        return min(wanted, self._left)

    def _receive(self, view: memoryview) -> int:
        if not self._left:
            return 0
        count = self._channel.read_into(view[: self._left])
        if not count:
            raise self._ended()
        self._left -= count
        return count


class ChunkedBody(_ArrivingBody):
    """A body in chunks (RFC 9112 7.1). Time is linear in what arrives, memory does not depend on the size of chunks."""

    length = None

    def __init__(
        self,
        channel: Channel,
        *,
        max_bytes: int | None,
        max_trailer_bytes: int,
        invite: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(channel, invite=invite)
        self._bytes_allowed = max_bytes
        self._trailer_bytes_allowed = max_trailer_bytes
        self._left = 0
        """Bytes of the current chunk still to come."""
        self._after_data = False
        """Whether the CRLF that ends a chunk's data is to come."""
        self._in_trailer = False
        self._complete = False

    @property
    def complete(self) -> bool:
        """Whether the last chunk and the trailer were seen, and nothing was thrown away."""
        return self._complete and self._failure is None

    def settle(self, limit: int) -> int | None:
        """See `Body.settle`. What has arrived is thrown away, without waiting: often the end is already there."""
        if self._complete:
            return 0
        if self._failure is not None or not self.invited:
            return None
        try:
            while not self._complete and limit > 0:
                if self._left:
                    dropped = self._channel.skip(min(self._left, limit))
                    limit -= dropped
                    self._fail("The answer began before the body was read.")
                    self._consume(dropped)
                if not self._step(wait=False):
                    break
        except OSError:
            return None
        return 0 if self._complete else None

    def _at_most(self, wanted: int) -> int:
        return 0 if self.complete else wanted

    def _receive(self, view: memoryview) -> int:
        while not self._left and not self._complete:
            self._step(wait=True)
        if self._complete:
            return 0
        count = self._channel.read_into(view[: self._left])
        if not count:
            raise self._ended()
        self._consume(count)
        return count

    def _consume(self, count: int) -> None:
        self._left -= count
        self._after_data = self._left == 0

    def _step(self, *, wait: bool) -> bool:
        """Take one element of the framing, or get more bytes for it. False when more are needed and none are there."""
        if self._left and not self._channel.buffered:
            return self._more(wait=wait)
        if self._left:
            return True
        if self._after_data:
            return self._end_of_data(wait=wait)
        line = self._line(_MAX_SIZE_LINE if not self._in_trailer else self._trailer_bytes_allowed)
        if line is None:
            return self._more(wait=wait)
        if self._in_trailer:
            self._trailer(line)
        else:
            self._size(line)
        return True

    def _end_of_data(self, *, wait: bool) -> bool:
        if self._channel.buffered < 2:
            return self._more(wait=wait)
        if self._channel.take(2) != b"\r\n":
            raise BodyCutOff("A chunk is longer than its size.")
        self._after_data = False
        return True

    def _line(self, limit: int) -> bytes | None:
        """The next line without its CRLF, or None when it is not whole yet."""
        end = self._channel.find(b"\r\n")
        if end > limit or (end < 0 and self._channel.buffered > limit + 1):
            raise BodyCutOff("A line of the chunked coding is too long.")
        if end < 0:
            return None
        return self._channel.take(end + 2)[:-2]

    def _size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BodyCutOff("Malformed chunk size.")
        size = int(match[1], 16)
        if size == 0:
            self._in_trailer = True
        elif self._bytes_allowed is not None:
            self._bytes_allowed -= size
            if self._bytes_allowed < 0:
                raise BodyTooLarge
        self._left = size

    def _trailer(self, line: bytes) -> None:
        if not line:
            self._complete = True
            return
        self._trailer_bytes_allowed -= len(line) + 2
        if self._trailer_bytes_allowed < 0 or not _TRAILER_LINE.fullmatch(line):
            raise BodyCutOff("Malformed trailer.")

    def _more(self, *, wait: bool) -> bool:
        count = self._channel.fill() if wait else self._channel.fill_now()
        if count == 0:
            raise self._ended()
        return count is not None
