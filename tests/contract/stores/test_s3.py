"""What only the S3 store does: what a network and a server can do to it."""

import collections
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Iterator

import pytest

from davserver.domain.errors import BlobMissing, BodyTooLarge, StoreUnavailable
from davserver.stores.base import blob_key
from davserver.stores.s3 import S3Store
from davserver.stores.s3_upload import (
    MAX_DECLARED,
    MAX_PARTS,
    MEMORY_PER_PUT,
    PARALLEL_PARTS,
    PART_SIZE,
    Buffers,
    SharedMemory,
    part_size_for,
    parts_of,
)
from tests.support.proxy import FlakyProxy, flaky_proxy
from tests.support.seaweed import S3Server

MIB = 1 << 20
KEY = blob_key("ab" + "0" * 30)


def blocks(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * MIB


def whole(count: int) -> bytes:
    return b"".join(blocks(count))


def store_at(endpoint: str, server: S3Server, prefix: str) -> S3Store:
    return S3Store(
        endpoint,
        server.access_key,
        server.secret_key,
        server.bucket,
        secure=server.secure,
        prefix=prefix,
        sleep=lambda _: None,
    )


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FlakyProxy]:
    if s3_server.secure:
        pytest.skip("the proxy that breaks connections speaks no TLS")
    with flaky_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def proxied(proxy: FlakyProxy, s3_server: S3Server, s3_prefix: str, bucket_store: S3Store) -> Iterator[S3Store]:
    """A store that reaches the server of `bucket_store` through the proxy."""
    bucket_store.check()
    with contextlib.closing(store_at(f"127.0.0.1:{proxy.port}", s3_server, s3_prefix)) as store:
        yield store


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        (None, 8 * MIB),
        (0, 8 * MIB),
        (1, 8 * MIB),
        (80_000 * MIB, 8 * MIB),
        (80_000 * MIB + 1, 9 * MIB),
        (MAX_DECLARED, 40 * MIB),
    ],
)
def test_parts_are_as_long_as_ten_thousand_of_them_need(size: int | None, part_size: int) -> None:
    assert part_size_for(size) == part_size
    assert -(-(size or 0) // part_size) <= MAX_PARTS


def test_the_longest_object_is_known_before_it_is_sent() -> None:
    with pytest.raises(BodyTooLarge):
        part_size_for(MAX_DECLARED + 1)


def test_parts_are_shorter_while_memory_is_short_and_the_size_is_known() -> None:
    assert part_size_for(100 * MIB, memory_is_short=True) == 5 * MIB
    assert part_size_for(50_001 * MIB, memory_is_short=True) == 6 * MIB
    assert part_size_for(None, memory_is_short=True) == 8 * MIB


def test_the_usual_parts_fit_into_the_memory_of_a_put() -> None:
    assert (PARALLEL_PARTS + 1) * PART_SIZE <= MEMORY_PER_PUT <= 48 * MIB


def test_parts_are_full_but_for_the_last() -> None:
    chunks: list[bytes | memoryview] = [b"abc", b"", b"defgh", b"i" * 25, memoryview(b"jk")]
    assert cut(chunks) == [
        b"abcdefghii",
        b"i" * 10,
        b"i" * 10,
        b"iiijk",
    ]
    assert cut([b"x" * 20]) == [b"x" * 10] * 2
    assert cut([]) == []


def cut(chunks: list[bytes | memoryview]) -> list[bytes]:
    """The parts of ten bytes; each buffer is used again at once."""
    with Buffers(10, SharedMemory(0)) as buffers:
        parts = []
        for part in parts_of(iter(chunks), buffers):
            parts.append(bytes(part))
            buffers.give_back(part)
        return parts


def test_many_puts_at_once_have_one_part_each_when_what_they_share_is_taken() -> None:
    shared = SharedMemory(5 * PART_SIZE)
    with Buffers(PART_SIZE, shared) as first, Buffers(PART_SIZE, shared) as second, Buffers(PART_SIZE, shared) as third:
        had = [taken(one) for one in (first, second, third)]
        assert had == [PARALLEL_PARTS + 1, 3, 1]
        with Buffers(MEMORY_PER_PUT, shared) as largest:
            assert largest.take()
            assert not largest.can_take()
    with Buffers(PART_SIZE, shared) as again:
        assert not shared.is_short
        assert taken(again) == PARALLEL_PARTS + 1
        assert shared.is_short


def taken(buffers: Buffers) -> int:
    """How many parts there is room for; it is taken."""
    count = 0
    while buffers.can_take():
        buffers.take()
        count += 1
    return count


def test_no_settings_show_the_secret(s3_server: S3Server) -> None:
    store = store_at("127.0.0.1:1", s3_server, "")
    assert s3_server.secret_key not in repr(store) + repr(vars(store))
    store.close()


@pytest.mark.timeout(30)
def test_a_server_that_is_gone_is_unavailable_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = S3Store(f"127.0.0.1:{port}", "key", "secret", "bucket", secure=False)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.check()
    with pytest.raises(StoreUnavailable):
        store.put(KEY, blocks(1), None)
    with pytest.raises(StoreUnavailable):
        store.put(KEY, blocks(20), None)
    with pytest.raises(StoreUnavailable):
        next(store.read(KEY, 0, 5))
    with pytest.raises(StoreUnavailable):
        store.size(KEY)
    with pytest.raises(StoreUnavailable):
        list(store.list())
    with pytest.raises(StoreUnavailable):
        list(store.incomplete())
    with pytest.raises(StoreUnavailable):
        store.remove(KEY)
    assert time.monotonic() - began < 20
    store.close()


@pytest.mark.timeout(30)
def test_a_server_that_takes_connections_and_says_nothing_is_unavailable_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = S3Store(
            f"127.0.0.1:{silent.getsockname()[1]}", "key", "secret", "bucket", secure=False, read_seconds=0.5
        )
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.size(KEY)
        assert 0.9 < time.monotonic() - began < 5
        store.close()


def test_wrong_credentials_are_unavailable_and_not_missing(
    s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    store = S3Store(
        s3_server.endpoint, s3_server.access_key, "a-wrong-secret", s3_server.bucket, secure=s3_server.secure
    )
    with caplog.at_level(logging.DEBUG), contextlib.closing(store):
        for attempt in (store.check, lambda: store.size(KEY), lambda: store.put(KEY, blocks(1), MIB)):
            with pytest.raises(StoreUnavailable):
                attempt()
    assert "a-wrong-secret" not in caplog.text


def test_a_missing_bucket_is_made_by_the_check(s3_server: S3Server) -> None:
    name = f"davserver-{secrets.token_hex(6)}"
    store = S3Store(s3_server.endpoint, s3_server.access_key, s3_server.secret_key, name, secure=s3_server.secure)
    with contextlib.closing(store):
        store.check()
        store.put(KEY, blocks(1), MIB)
        assert store.size(KEY) == MIB
        store.remove(KEY)


def test_without_its_bucket_a_store_is_unavailable_and_the_blob_not_missing(s3_server: S3Server) -> None:
    name = f"davserver-{secrets.token_hex(6)}"
    store = S3Store(s3_server.endpoint, s3_server.access_key, s3_server.secret_key, name, secure=s3_server.secure)
    with contextlib.closing(store), pytest.raises(StoreUnavailable):
        next(store.read(KEY, 0, 10))


def test_nobody_asks_where_the_bucket_is(proxy: FlakyProxy, proxied: S3Store) -> None:
    proxied.put(KEY, blocks(1), MIB)
    assert b"".join(proxied.read(KEY, 0, MIB)) == whole(1)
    assert [method for method, _ in proxy.requests] == ["PUT", "GET"]
    assert not any("location" in path for _, path in proxy.requests)


def test_a_read_whose_connection_breaks_goes_on_where_it_broke(
    proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store
) -> None:
    bucket_store.put(KEY, blocks(10), 10 * MIB)
    proxy.cut_answers_after, proxy.cuts_left = 3 * MIB, 2
    assert b"".join(proxied.read(KEY, 7, 10 * MIB)) == whole(10)[7:]
    assert proxy.cuts_left == 0
    assert [method for method, _ in proxy.requests] == ["GET"] * 3


def test_a_read_whose_connection_breaks_again_and_again_ends_with_an_error(
    proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store
) -> None:
    bucket_store.put(KEY, blocks(10), 10 * MIB)
    proxy.cut_answers_after, proxy.cuts_left = MIB + MIB // 2, 100
    got = bytearray()
    with pytest.raises(StoreUnavailable):
        collections.deque(map(got.extend, proxied.read(KEY, 0, 10 * MIB)), maxlen=0)
    assert whole(10).startswith(bytes(got))
    assert 0 < len(got) < 10 * MIB


def is_complete(method: str, path: str) -> bool:
    return method == "POST" and "uploadId=" in path


def test_an_upload_whose_completion_is_not_answered_is_taken_back(
    proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store
) -> None:
    proxy.lose_answer_to = is_complete
    with pytest.raises(StoreUnavailable):
        proxied.put(KEY, blocks(20), 20 * MIB)
    assert_nothing_left(bucket_store)


def test_an_error_that_says_200_is_an_error(proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store) -> None:
    body = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>sorry</Message></Error>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(body)
    proxy.answer_instead = lambda method, path: head + body if is_complete(method, path) else None
    with pytest.raises(StoreUnavailable):
        proxied.put(KEY, blocks(20), 20 * MIB)
    assert_nothing_left(bucket_store)


def test_a_short_put_that_is_never_answered_is_taken_back(
    proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store
) -> None:
    proxy.lose_answer_to = lambda method, path: method == "PUT"
    with pytest.raises(StoreUnavailable):
        proxied.put(KEY, blocks(2), 2 * MIB)
    assert_nothing_left(bucket_store)


def test_a_part_that_is_refused_ends_the_put_before_all_is_read(
    proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store
) -> None:
    proxy.lose_answer_to = lambda method, path: "partNumber=2" in path
    taken = 0

    def counting() -> Iterator[bytes]:
        nonlocal taken
        for block in blocks(400):
            taken += 1
            time.sleep(0.002)
            yield block

    with pytest.raises(StoreUnavailable):
        proxied.put(KEY, counting(), 400 * MIB)
    assert taken < 200
    assert_nothing_left(bucket_store)


def test_a_lost_answer_to_one_part_is_asked_for_again(
    proxy: FlakyProxy, proxied: S3Store, bucket_store: S3Store
) -> None:
    lost: list[str] = []

    def once(method: str, path: str) -> bool:
        if "partNumber=2" in path and not lost:
            lost.append(path)
            return True
        return False

    proxy.lose_answer_to = once
    assert proxied.put(KEY, blocks(20), None) == 20 * MIB
    assert lost
    assert b"".join(bucket_store.read(KEY, 0, 20 * MIB)) == whole(20)


def test_the_prefix_keeps_two_stores_in_one_bucket_apart(bucket_store: S3Store, s3_server: S3Server) -> None:
    other = store_at(s3_server.endpoint, s3_server, f"test-{secrets.token_hex(8)}/")
    with contextlib.closing(other):
        bucket_store.put(KEY, blocks(1), MIB)
        assert list(other.list()) == []
        with pytest.raises(BlobMissing):
            other.size(KEY)


def assert_nothing_left(store: S3Store) -> None:
    assert list(store.list()) == []
    assert list(store.incomplete()) == []
    with pytest.raises(BlobMissing):
        store.size(KEY)
