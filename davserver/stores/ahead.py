"""Reading ahead: the next blocks are fetched while the one before is dealt with."""

import contextlib
import threading
from collections.abc import Generator
from queue import SimpleQueue


def read_ahead(blocks: Generator[bytes], depth: int) -> Generator[bytes]:
    """The same blocks, in the same order, with up to `depth` fetched by a thread before they are asked for.

    What `blocks` raises comes through after the blocks before it. Closing this closes `blocks`, in that thread, as soon as
    what it waits for has come.
    """
    room = threading.Semaphore(depth)
    fetched: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
    over = threading.Event()

    def fetch() -> None:
        with contextlib.closing(blocks):
            try:
                for block in blocks:
                    fetched.put(block)
                    room.acquire()
                    if over.is_set():
                        return
                fetched.put(None)
            except BaseException as error:  # noqa: BLE001 - raised again where it is expected
                fetched.put(error)

    threading.Thread(target=fetch, name="read-ahead", daemon=True).start()
    try:
        while (block := fetched.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            room.release()
            yield block
    finally:
        over.set()
        room.release()
