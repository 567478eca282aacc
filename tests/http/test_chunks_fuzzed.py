"""The chunked coding, against another reader of it: what we take for a body, llhttp takes for the same."""

import socket

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from davserver.http.body import BodyCutOff, ChunkedBody
from davserver.http.channel import Channel

HEAD = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


class Llhttp:
    def __init__(self) -> None:
        self.body = b""
        self.complete = False
        self.parser = httptools.HttpRequestParser(self)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


def read(coded: bytes, block: int) -> tuple[bytes, int] | None:
    """The body, and how many bytes were taken for it; None when it was cut off."""
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.settimeout(0)
        theirs.sendall(coded)
        theirs.shutdown(socket.SHUT_WR)
        channel = Channel(ours, read_seconds=5, send_seconds=5)
        body = ChunkedBody(channel, max_bytes=None, max_trailer_bytes=1000)
        pieces = []
        try:
            while piece := body.read(block):
                pieces.append(piece)
        except BodyCutOff:
            return None
        assert body.complete
        return b"".join(pieces), len(coded) - channel.buffered


sizes = st.one_of(
    st.sampled_from(
        [b"0", b"1", b"5", b"a", b"A", b"05", b"00", b"-1", b"+1", b"0x1", b"1_0", b"", b" 1", b"1 ", b"g"]
    ),
    st.binary(max_size=3),
)
extensions = st.sampled_from([b""] * 6 + [b";a", b";a=b", b';a="b"', b";", b" ;a", b";a\n", b"\t;x=\xff"])
ends = st.sampled_from([b"\r\n"] * 10 + [b"\n", b"\r", b"", b"\r\r\n", b" \r\n"])
data = st.sampled_from([b"", b"x", b"hello", b"0\r\n\r\n", b"helloworld"])
chunks = st.builds(lambda *parts: b"".join(parts), sizes, extensions, ends, data, ends)
trailers = st.sampled_from([b"", b"A: b\r\n", b"A : b\r\n", b" a\r\n", b"A: b\n", b"A\r\n"])
right = data.map(lambda piece: b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")


@given(
    st.lists(st.one_of(right, right, chunks), max_size=4),
    st.sampled_from([b"0\r\n", b"000\r\n", b"0;a\r\n", b""]),
    trailers,
    ends,
)
@settings(max_examples=500)
def test_what_we_take_for_a_whole_body_is_refused_or_taken_for_the_same_by_llhttp(
    parts: list[bytes], last: bytes, trailer: bytes, end: bytes
) -> None:
    coded = b"".join(parts) + last + trailer + end
    found = read(coded, 1 << 16)
    assert found == read(coded, 3)
    if found is None:
        return
    body, taken = found
    reader = Llhttp()
    try:
        reader.parser.feed_data(HEAD + coded[:taken])
    except httptools.HttpParserError:
        return
    assert reader.complete
    assert reader.body == body
