"""Request heads, parsed without a socket."""

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from davserver.http.config import HttpConfig
from davserver.http.head import UNCLEAR_PATH, Head, HeadRefusedError, parse_head, path_info

CONFIG = HttpConfig()


def head_of(*lines: str, first: str = "GET /a HTTP/1.1", host: str | None = "Host: h") -> Head:
    every = [first, *([host] if host is not None else []), *lines]
    return parse_head("\r\n".join(every).encode("latin-1"), CONFIG)


def refusal_of(*lines: str, first: str = "GET /a HTTP/1.1", host: str | None = "Host: h") -> int:
    with pytest.raises(HeadRefusedError) as caught:
        head_of(*lines, first=first, host=host)
    return int(caught.value.status)


AMBIGUOUS_FRAMING = {
    "two lengths that differ": ["Content-Length: 5", "Content-Length: 6"],
    "two lengths that agree": ["Content-Length: 5", "Content-Length: 5"],
    "a list of lengths": ["Content-Length: 5, 5"],
    "a sign": ["Content-Length: +5"],
    "a negative length": ["Content-Length: -5"],
    "an underscore": ["Content-Length: 1_0"],
    "a hexadecimal length": ["Content-Length: 0x5"],
    "an empty length": ["Content-Length:"],
    "digits of another script": ["Content-Length: \xb2"],
    "a fraction": ["Content-Length: 5.0"],
    "a length beyond all sense": ["Content-Length: 9999999999999999999999"],
    "a length and a coding": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "a coding and a length": ["Transfer-Encoding: chunked", "Content-Length: 5"],
    "an unknown coding": ["Transfer-Encoding: gzip"],
    "a coding below chunked": ["Transfer-Encoding: gzip, chunked"],
    "chunked below a coding": ["Transfer-Encoding: chunked, gzip"],
    "chunked twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "chunked twice in one": ["Transfer-Encoding: chunked, chunked"],
    "identity": ["Transfer-Encoding: identity"],
    "an empty coding": ["Transfer-Encoding:"],
    "chunked with a vertical tab": ["Transfer-Encoding: \x0bchunked"],
    "chunked in quotes": ['Transfer-Encoding: "chunked"'],
    "xchunked": ["Transfer-Encoding: xchunked"],
    "chunked with a no-break space": ["Transfer-Encoding: chunked\xa0"],
}


@pytest.mark.parametrize("lines", AMBIGUOUS_FRAMING.values(), ids=AMBIGUOUS_FRAMING)
def test_framing_that_two_readers_could_read_differently_is_refused(lines: list[str]) -> None:
    assert refusal_of(*lines, first="PUT /a HTTP/1.1") == 400


MALFORMED_FIELDS = {
    "a blank before the colon": "Content-Length : 5",
    "a tab before the colon": "Host2\t: x",
    "a folded line": " folded",
    "a line folded with a tab": "\tfolded",
    "no colon": "nonsense",
    "no name": ": x",
    "a blank in the name": "X Y: z",
    "a name with a bracket": "X(: z",
    "a name that is not ASCII": "X\xe9: z",
    "NUL in a value": "X: a\x00b",
    "CR alone in a value": "X: a\rb",
    "LF alone in a value": "X: a\nTransfer-Encoding: chunked",
    "delete in a value": "X: a\x7fb",
}


@pytest.mark.parametrize("line", MALFORMED_FIELDS.values(), ids=MALFORMED_FIELDS)
def test_a_malformed_field_is_refused(line: str) -> None:
    assert refusal_of(line) == 400


MALFORMED_REQUEST_LINES = {
    "no version": ("GET /a", 400),
    "two blanks": ("GET  /a HTTP/1.1", 400),
    "a tab": ("GET\t/a HTTP/1.1", 400),
    "a blank in the target": ("GET /a b HTTP/1.1", 400),
    "a blank at the end": ("GET /a HTTP/1.1 ", 400),
    "lower case protocol": ("GET /a http/1.1", 400),
    "another protocol": ("GET /a ICY/1.1", 400),
    "a long version": ("GET /a HTTP/1.10", 400),
    "HTTP/2 in clear": ("PRI * HTTP/2.0", 505),
    "HTTP/0.9": ("GET /a HTTP/0.9", 505),
    "no method": (" /a HTTP/1.1", 400),
    "a method that is no token": ("G(T /a HTTP/1.1", 400),
    "a fragment": ("GET /a#b HTTP/1.1", 400),
    "a relative target": ("GET a HTTP/1.1", 400),
    "a star that is not for OPTIONS": ("GET * HTTP/1.1", 400),
    "the form of CONNECT": ("CONNECT h:80 HTTP/1.1", 400),
    "another scheme": ("GET ftp://h/a HTTP/1.1", 400),
    "user and password": ("GET http://u:p@h/a HTTP/1.1", 400),
    "an absolute target without host": ("GET http:///a HTTP/1.1", 400),
}


@pytest.mark.parametrize(("line", "status"), MALFORMED_REQUEST_LINES.values(), ids=MALFORMED_REQUEST_LINES)
def test_a_malformed_request_line_is_refused(line: str, status: int) -> None:
    assert refusal_of(first=line) == status


def test_a_request_without_host_is_refused_in_http_1_1_only() -> None:
    assert refusal_of(host=None) == 400
    assert head_of(host=None, first="GET /a HTTP/1.0").protocol == "HTTP/1.0"


@pytest.mark.parametrize("host", ["Host: a b", "Host: a/b", "Host: a@b", "Host: a, b", "Host: h\r\nHost: h"])
def test_a_malformed_or_second_host_is_refused(host: str) -> None:
    assert refusal_of(host=host) == 400


def test_a_host_may_be_an_ipv6_address_with_a_port() -> None:
    assert head_of(host="Host: [::1]:8080").fields["HTTP_HOST"] == "[::1]:8080"


def test_an_absolute_target_names_the_host_whatever_the_field_says() -> None:
    head = head_of(first="GET HTTP://Example:81/a%20b?x=1 HTTP/1.1", host="Host: other")
    assert (head.fields["HTTP_HOST"], head.raw_path, head.query) == ("Example:81", "/a%20b", "x=1")
    assert head_of(first="GET http://h?q HTTP/1.1").raw_path == "/"


def test_options_may_ask_about_the_whole_server() -> None:
    assert head_of(first="OPTIONS * HTTP/1.1").raw_path == "*"


def test_a_target_that_begins_with_two_slashes_is_a_path() -> None:
    assert head_of(first="GET //other/a?b?c HTTP/1.1").raw_path == "//other/a"


def test_fields_become_environ_keys_and_repeated_ones_are_joined() -> None:
    head = head_of("Content-Type: text/plain", "X-A: 1 ", "x-a:\t2", "Cookie: a=1", "Cookie: b=2", "If: (<x>)")
    assert head.fields == {
        "HTTP_HOST": "h",
        "CONTENT_TYPE": "text/plain",
        "HTTP_X_A": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_IF": "(<x>)",
    }


def test_a_field_that_could_pose_as_another_is_dropped() -> None:
    head = head_of("X_User: evil", "X-User: good", "Proxy: evil", "Content_Length: 5", first="PUT /a HTTP/1.1")
    assert head.fields == {"HTTP_HOST": "h", "HTTP_X_USER": "good"}
    assert head.length == 0


def test_names_are_cached_only_while_they_are_short() -> None:
    assert head_of(f"X-{'a' * 5000}: 1").fields[f"HTTP_X_{'A' * 5000}"] == "1"


def test_the_body_is_what_the_framing_says() -> None:
    assert head_of("Content-Length: 005").length == 5
    head = head_of("transfer-encoding: Chunked")  # as the Finder writes it
    assert (head.chunked, head.length) == (True, 0)


def test_chunked_needs_http_1_1() -> None:
    assert refusal_of("Transfer-Encoding: chunked", first="PUT /a HTTP/1.0") == 400


@pytest.mark.parametrize(
    ("first", "connection", "expected"),
    [
        ("GET /a HTTP/1.1", None, True),
        ("GET /a HTTP/1.1", "Connection: Close", False),
        ("GET /a HTTP/1.1", "Connection: TE, close", False),
        ("GET /a HTTP/1.1", "Connection: TE", True),
        ("GET /a HTTP/1.7", None, True),
        ("GET /a HTTP/1.0", None, False),
        ("GET /a HTTP/1.0", "Connection: Keep-Alive", True),
        ("GET /a HTTP/1.0", "Connection: keep-alive, close", False),
    ],
)
def test_the_wish_for_the_connection_is_read_in_any_case(first: str, connection: str | None, expected: bool) -> None:
    assert head_of(*([connection] if connection else []), first=first).keep_alive is expected


def test_expect_is_read_in_any_case_and_only_where_a_body_comes() -> None:
    assert head_of("Expect: 100-Continue", "Content-Length: 1").expects_continue
    assert not head_of("Expect: 100-continue", "Content-Length: 0").expects_continue
    assert not head_of("Expect: 100-continue", "Content-Length: 1", first="PUT /a HTTP/1.0").expects_continue
    assert refusal_of("Expect: a-miracle") == 417


def test_limits_have_their_own_statuses() -> None:
    assert head_of(first=f"GET /{'a' * 8192} HTTP/1.1").raw_path == "/" + "a" * 8192
    assert refusal_of(first=f"GET /{'a' * 40000} HTTP/1.1") == 414
    assert refusal_of(*["X: y"] * 100) == 431
    assert head_of(*["X: y"] * 99).fields["HTTP_X"].count("y") == 99


@pytest.mark.parametrize(
    ("raw", "clear"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/%C3%BC", "/\xc3\xbc"),
        ("/\xc3\xbc", "/\xc3\xbc"),
        ("/%FF", "/\xff"),
        ("/a%25b", "/a%b"),
        ("/a%252Fb", "/a%2Fb"),
        ("/a+b;c", "/a+b;c"),
        ("/%2e%2E/a", "/../a"),
    ],
)
def test_a_clear_path_is_decoded_once(raw: str, clear: str) -> None:
    assert path_info(raw) == clear


@pytest.mark.parametrize("raw", ["/a%2Fb", "/a%2fb", "/a%00b", "/a%", "/a%2", "/a%zz", "/a%C3%2", "/%%20"])
def test_an_unclear_path_is_marked_and_kept_as_it_came(raw: str) -> None:
    assert path_info(raw) == UNCLEAR_PATH + raw


@given(
    st.text(st.sampled_from("/%2F0aA\xc3\xbc."), max_size=12), st.text(st.sampled_from("/%2F0aA\xc3\xbc."), max_size=12)
)
@settings(max_examples=300)
def test_paths_that_differ_beyond_escaping_never_look_alike(one: str, other: str) -> None:
    """Two targets share a PATH_INFO only if both are clear, and then their segments are the same bytes."""
    one, other = "/" + one, "/" + other
    if path_info(one) == path_info(other) and one != other:
        assert not path_info(one).startswith(UNCLEAR_PATH)
        assert one.count("/") == other.count("/")


class Llhttp:
    """What Node's parser makes of a head: another reader, who must not see another request than we do."""

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[str, str]] = []
        self.head_complete = False
        self.message_complete = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.head_complete = True

    def on_message_complete(self) -> None:
        self.message_complete = True


field_names = st.one_of(
    st.sampled_from(
        ["Content-Length", "Transfer-Encoding", "content-length", "X-A", "X_A", "Connection", "Expect", "Host"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=4),
)
field_values = st.one_of(
    st.sampled_from(
        ["5", "0", " 5 ", "+5", "5,5", "chunked", "Chunked", "gzip, chunked", "close", "100-continue", "h", ""]
    ),
    st.text(st.characters(max_codepoint=255), max_size=6),
)
colons = st.sampled_from([":", ": ", " :", ":\t", ""])
line_ends = st.sampled_from(["\r\n"] * 12 + ["\n", "\r", "\r\n ", "\r\r\n"])
requests = st.sampled_from(
    [
        "PUT /a HTTP/1.1",
        "PUT /a HTTP/1.0",
        "GET /%zz?a HTTP/1.1",
        "GET http://h/x HTTP/1.1",
        "PUT  /a HTTP/1.1",
        "GET /\xff HTTP/1.1",
    ]
)


@given(requests, st.lists(st.tuples(line_ends, field_names, colons, field_values), max_size=6))
@settings(max_examples=300)
def test_a_head_that_we_accept_is_refused_or_framed_the_same_by_llhttp(
    first: str, lines: list[tuple[str, str, str, str]]
) -> None:
    text = first + "\r\nHost: h" + "".join(end + name + colon + value for end, name, colon, value in lines)
    raw = text.encode("latin-1")
    try:
        ours = parse_head(raw, CONFIG)
    except HeadRefusedError:
        return
    theirs = Llhttp()
    try:
        theirs.parser.feed_data(raw + b"\r\n\r\n")
    except httptools.HttpParserError:
        return  # two who disagree on whether to answer at all cannot be played against each other
    assert theirs.head_complete
    assert theirs.url.decode("latin-1") == ours.target
    assert theirs.message_complete == (not ours.chunked and ours.length == 0)
    if ours.length and ours.length < 1000:
        theirs.parser.feed_data(b"x" * (ours.length - 1))
        assert not theirs.message_complete
        theirs.parser.feed_data(b"x")
    elif ours.chunked:
        theirs.parser.feed_data(b"0\r\n\r\n")
    if ours.length < 1000:
        assert theirs.message_complete
