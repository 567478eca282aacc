"""A store whose calls are told to a collector."""

from collections.abc import Iterator
from datetime import datetime

from davserver.stores.base import BytesLike, IncompleteBlob, Store, StoredBlob
from davserver.tracing import Tracing


class TracedStore:
    """Does what the other store does, in a span for each call that a request or a job waits for."""

    def __init__(self, store: Store, tracing: Tracing) -> None:
        self._store = store
        self._tracing = tracing

    def put(self, key: str, chunks: Iterator[BytesLike], size: int | None) -> int:
        """See `Store.put`. The span holds the time in which the bytes came, too."""
        with self._tracing.span("store put"):
            return self._store.put(key, chunks, size)

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """See `Store.read`. A span for each chunk that is waited for: between them it is the client that takes its time."""
        chunks = self._store.read(key, start, stop)
        try:
            while True:
                with self._tracing.span("store read"):
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def size(self, key: str) -> int:
        """See `Store.size`."""
        with self._tracing.span("store size"):
            return self._store.size(key)

    def remove(self, key: str) -> None:
        """See `Store.remove`."""
        with self._tracing.span("store remove"):
            self._store.remove(key)

    def list(self, prefix: str = "") -> Iterator[StoredBlob]:
        """See `Store.list`."""
        return self._store.list(prefix)

    def incomplete(self) -> Iterator[IncompleteBlob]:
        """See `Store.incomplete`."""
        return self._store.incomplete()

    def remove_incomplete(self, older_than: datetime) -> int:
        """See `Store.remove_incomplete`."""
        return self._store.remove_incomplete(older_than)

    def check(self) -> None:
        """See `Store.check`."""
        self._store.check()

    def free_bytes(self) -> int | None:
        """See `Store.free_bytes`."""
        return self._store.free_bytes()

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()
