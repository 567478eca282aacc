"""Waiting for many sockets at once; each is reported once, then not again until it is armed anew."""

import contextlib
import select
import selectors
from typing import Final, Protocol


class Poller(Protocol):
    """Descriptors with something to read. `arm` may be called while another thread is in `poll`."""

    def arm(self, descriptor: int) -> None:
        """Report this descriptor once. Raises OSError when it is closed."""

    def forget(self, descriptor: int) -> None:
        """Before a descriptor is closed: report it no more."""

    def poll(self, timeout: float) -> list[int]:
        """Wait for `timeout` seconds at most; the descriptors that are ready."""

    def close(self) -> None:
        """Give it back to the system."""


class EpollPoller:
    """Linux: arming again is one system call, half the cost of registering and unregistering through `selectors`."""

    _EVENTS: Final = getattr(select, "EPOLLIN", 0) | getattr(select, "EPOLLONESHOT", 0)

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: set[int] = set()

    def arm(self, descriptor: int) -> None:
        """See `Poller`."""
        if descriptor in self._known:
            self._epoll.modify(descriptor, self._EVENTS)
        else:
            self._epoll.register(descriptor, self._EVENTS)
            self._known.add(descriptor)

    def forget(self, descriptor: int) -> None:
        """See `Poller`."""
        if descriptor in self._known:
            self._known.discard(descriptor)
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)

    def poll(self, timeout: float) -> list[int]:
        """See `Poller`."""
        return [descriptor for descriptor, _ in self._epoll.poll(timeout)]

    def close(self) -> None:
        """See `Poller`."""
        self._epoll.close()


class SelectorPoller:
    """Elsewhere: whatever `selectors` has. Kqueue takes changes from other threads as epoll does."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def arm(self, descriptor: int) -> None:
        """See `Poller`."""
        with contextlib.suppress(KeyError):  # armed already
            self._selector.register(descriptor, selectors.EVENT_READ)

    def forget(self, descriptor: int) -> None:
        """See `Poller`."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def poll(self, timeout: float) -> list[int]:
        """See `Poller`."""
        ready = [key.fd for key, _ in self._selector.select(timeout)]
        for descriptor in ready:
            self.forget(descriptor)
        return ready

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()


def make_poller() -> Poller:
    """The best for this system."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
