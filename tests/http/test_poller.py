"""Both ways to wait for sockets keep one contract."""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from davserver.http.poller import EpollPoller, Poller, SelectorPoller

MAKERS: list[Callable[[], Poller]] = [SelectorPoller, *([EpollPoller] if hasattr(select, "epoll") else [])]


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made: Poller = request.param()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_ready_descriptor_is_reported_once_until_it_is_armed_again(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    poller.arm(ours.fileno())
    assert poller.poll(0) == []
    theirs.send(b"x")
    assert poller.poll(1) == [ours.fileno()]
    assert poller.poll(0.05) == []
    poller.arm(ours.fileno())
    assert poller.poll(1) == [ours.fileno()]


def test_the_end_of_a_stream_is_reported(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    poller.arm(ours.fileno())
    theirs.close()
    assert poller.poll(1) == [ours.fileno()]


def test_a_forgotten_descriptor_is_not_reported_and_may_be_used_anew(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    poller.arm(ours.fileno())
    poller.forget(ours.fileno())
    poller.forget(ours.fileno())
    theirs.send(b"x")
    assert poller.poll(0.05) == []
    poller.arm(ours.fileno())
    assert poller.poll(1) == [ours.fileno()]


def test_a_descriptor_can_be_armed_while_another_thread_waits(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(poller.poll(30)))
    thread.start()
    time.sleep(0.1)
    theirs.send(b"x")
    poller.arm(ours.fileno())
    thread.join(30)
    assert seen == [ours.fileno()]


def test_a_closed_descriptor_cannot_be_armed(poller: Poller) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="descriptor"):
        poller.arm(reading)
