"""Conditions: how the header fields are read, and when they hold."""

import os
import time
from collections.abc import Iterator

import pytest

from davserver.domain.conditions import (
    MAX_IF_LISTS,
    EntityTag,
    IfList,
    Preconditions,
    State,
    TagSet,
    parse_http_date,
    parse_if,
    parse_tag_set,
    submitted_tokens,
)
from davserver.domain.errors import BadRequest, InvalidName, PreconditionFailed
from davserver.domain.paths import ResourcePath

AT = 784_111_777_000_000  # Sun, 06 Nov 1994 08:49:37 GMT
HERE = State(exists=True, etag="e1", tokens=frozenset({"urn:t1"}), modified_at=AT + 999_999)
NOTHING = State(exists=False, etag=None, tokens=frozenset())
COLLECTION = State(exists=True, etag=None, tokens=frozenset(), modified_at=AT)
OTHER = State(exists=True, etag="e2", tokens=frozenset({"urn:t2"}), modified_at=AT)


def path_of(url: str) -> ResourcePath | None:
    if "bad" in url:
        raise InvalidName
    path = url.partition("://")[2].partition("/")[2] if "://" in url else url.lstrip("/")
    return ResourcePath.parse("/" + path) if "elsewhere" not in url else None


def state_of(path: ResourcePath | None) -> State:
    if path is None:
        return HERE
    return {"/here": HERE, "/other": OTHER}.get(path.key, NOTHING)


def holds(header: str, own: State = HERE) -> bool:
    try:
        Preconditions(if_lists=parse_if(header, path_of)).check_if(lambda p: own if p is None else state_of(p))
    except PreconditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"a"', [EntityTag("a")]),
        ('W/"a"', [EntityTag("a", weak=True)]),
        ('"a", W/"b" ,"c"', [EntityTag("a"), EntityTag("b", weak=True), EntityTag("c")]),
        ('"a,b"', [EntityTag("a,b")]),
        ('""', [EntityTag("")]),
        ('"\xfc"', [EntityTag("\xfc")]),
        (', "a",,', [EntityTag("a")]),
        ("JoplinIgnore-12345", []),
        ("a", []),
        ('"a', []),
        ('a"', []),
        ('x"a"', []),
        ('w/"a"', []),
        ('"a"x', []),
        ('"a" "b"', []),
        ("'a'", []),
        ('"a b"', []),
        ("", []),
        ('junk, "a"', [EntityTag("a")]),
        ('"a, "b"', [EntityTag("b")]),
    ],
)
def test_what_is_no_entity_tag_matches_nothing(header: str, expected: list[EntityTag]) -> None:
    assert parse_tag_set(header) == TagSet(tuple(expected))


def test_a_star_stands_for_any_tag_and_no_header_for_no_condition() -> None:
    assert parse_tag_set(" * ") == TagSet(any=True)
    assert parse_tag_set(None) is None


@pytest.mark.parametrize("header", [" " * 60_000 + '"', '"' * 60_000, '"a" ' * 20_000, ", " * 30_000, "W/" * 30_000])
def test_a_long_header_of_tags_is_read_in_linear_time(header: str) -> None:
    began = time.process_time()
    parse_tag_set(header)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "header",
    [
        "(" + "<a>" * 20_000, "(" + '["' * 20_000, "(" + " " * 60_000, "<" * 60_000, "(" + "not " * 15_000,
        "(" + "[" * 60_000 + ")", "(<a>" + "x" * 60_000 + ")", '(["' + '"' * 60_000 + ")",
    ],
)  # fmt: skip
def test_a_long_if_header_is_refused_in_linear_time(header: str) -> None:
    began = time.process_time()
    with pytest.raises(BadRequest):
        parse_if(header, path_of)
    assert time.process_time() - began < 1


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Auckland"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize(
    "header",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms_of_an_http_date_are_one_time_wherever_the_server_stands(header: str) -> None:
    assert parse_http_date(header) == AT


@pytest.mark.parametrize("header", [None, "", "yesterday", "0", "Sun, 99 Nov 1994 08:49:37 GMT", "x" * 1000, '"e1"'])
def test_what_is_no_date_is_ignored(header: str | None) -> None:
    assert parse_http_date(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "(<urn:t1>)",
        "( <urn:t1> )",
        '(["e1"])',
        '(<urn:t1> ["e1"])',
        '(<urn:t1>["e1"])',
        "(Not <urn:t9>)",
        "(not <urn:t9>)",
        "(NOT <DAV:no-lock>)",
        '(Not ["e9"])',
        "(<urn:t9>) (<urn:t1>)",
        "(<urn:t9>)(Not <DAV:no-lock>)",
        "</here> (<urn:t1>)",
        "<http://host/here> (<urn:t1>)",
        "<https://proxy.example:8443/here> (<urn:t1>)",
        "<http://host/here/> (<urn:t1>)",
        '<http://host/other> (<urn:t2> ["e2"])',
        "<http://host/other> (<urn:t9>) </here> (<urn:t1>)",
        '</other> (<urn:t9>) (["e2"])',
        "</nothing> (Not <urn:t1>)",
        '</nothing> (Not ["e1"])',
        "<http://elsewhere/x> (Not <urn:t1>)",
        "</bad> (Not <urn:t1>)",
        "(Not [junk])",
        '(Not [W/"e1"])',
    ],
)
def test_an_if_that_holds_in_one_list_holds(header: str) -> None:
    assert holds(header)


@pytest.mark.parametrize(
    "header",
    [
        "(<urn:t9>)",
        "(<urn:t2>)",
        "(Not <urn:t1>)",
        '(["e9"])',
        '([W/"e1"])',
        "([junk])",
        "([])",
        '(["e1)])"])',
        "(<DAV:no-lock>)",
        '(<urn:t1> ["e9"])',
        '(<urn:t9> ["e1"])',
        '(<urn:t1> Not ["e1"])',
        "(<urn:t9>) (<urn:t8>)",
        "</other> (<urn:t1>)",
        '<http://host/other> (["e1"])',
        "<http://host/nothing> (<urn:t1>)",
        '</nothing> (["e1"])',
        "<http://elsewhere/x> (<urn:t1>)",
        "</bad> (<urn:t1>)",
    ],
)
def test_an_if_that_holds_in_no_list_fails(header: str) -> None:
    assert not holds(header)


def test_an_unmapped_url_has_no_tag_and_no_token() -> None:
    assert not holds('(["e1"])', own=NOTHING)
    assert not holds("(<urn:t1>)", own=NOTHING)
    assert holds('(Not ["e1"])', own=NOTHING)


@pytest.mark.parametrize(
    "header",
    [
        "()", "(", ")", "<urn:t1>", "urn:t1", "(urn:t1)", "(<urn:t1>", "<urn:t1>)", "<a> <b> (<c>)", "(<a>) <b>", "(<a>) x",
        "(<a>) (", "((<a>))", "(Not)", "(Nothing)", '("e1")', "(Not Not <a>)", '(["e1")',
    ],
)  # fmt: skip
def test_an_if_that_cannot_be_read_does_not_pass(header: str) -> None:
    with pytest.raises(BadRequest):
        parse_if(header, path_of)


def test_the_number_of_lists_is_limited() -> None:
    assert len(parse_if("(<a>)" * MAX_IF_LISTS, path_of)) == MAX_IF_LISTS
    with pytest.raises(BadRequest):
        parse_if("(<a>)" * (MAX_IF_LISTS + 1), path_of)


def test_a_tag_counts_for_all_lists_behind_it() -> None:
    lists = parse_if("</a> (<x>) (<y>) </b> (<z>)", path_of)
    assert [lst.path.key if lst.path else None for lst in lists] == ["/a", "/a", "/b"]
    assert [p.key for p in Preconditions(if_lists=lists).tagged_paths] == ["/a", "/b"]


@pytest.mark.parametrize(
    ("header", "lock_token", "tokens"),
    [
        ("(<urn:a>)", None, {"urn:a"}),
        ('(<urn:a>) </x> (<urn:b> ["e"])', None, {"urn:a", "urn:b"}),
        ("(Not <urn:a>)", None, {"urn:a"}),
        ("", "<urn:c>", {"urn:c"}),
        ("", " urn:c ", {"urn:c"}),
        ("(<urn:a>)", "<urn:c>", {"urn:a", "urn:c"}),
    ],
)
def test_a_token_is_submitted_wherever_it_appears(header: str, lock_token: str | None, tokens: set[str]) -> None:
    lists: tuple[IfList, ...] = parse_if(header, path_of) if header else ()
    assert submitted_tokens(lists, lock_token) == tokens


def passes_write(state: State, **conditions: str) -> bool:
    preconditions = Preconditions(
        if_match=parse_tag_set(conditions.get("if_match")),
        if_none_match=parse_tag_set(conditions.get("if_none_match")),
        if_unmodified_since=parse_http_date(conditions.get("if_unmodified_since")),
        if_modified_since=parse_http_date(conditions.get("if_modified_since")),
    )
    try:
        preconditions.check_write(state)
    except PreconditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("header", "here", "nothing", "collection"),
    [
        ('"e1"', True, False, False),
        ('"e9", "e1"', True, False, False),
        ('"e9"', False, False, False),
        ('W/"e1"', False, False, False),
        ("*", True, False, True),
        ("junk", False, False, False),
        ('""', False, False, False),
    ],
)
def test_if_match_wants_what_is_there(header: str, here: bool, nothing: bool, collection: bool) -> None:
    assert passes_write(HERE, if_match=header) is here
    assert passes_write(NOTHING, if_match=header) is nothing
    assert passes_write(COLLECTION, if_match=header) is collection


@pytest.mark.parametrize(
    ("header", "here", "nothing", "collection"),
    [
        ('"e1"', False, True, True),
        ('W/"e1"', False, True, True),
        ('"e9"', True, True, True),
        ("*", False, True, False),
        ("JoplinIgnore-12345", True, True, True),
    ],
)
def test_if_none_match_wants_it_not_to_be_there(header: str, here: bool, nothing: bool, collection: bool) -> None:
    assert passes_write(HERE, if_none_match=header) is here
    assert passes_write(NOTHING, if_none_match=header) is nothing
    assert passes_write(COLLECTION, if_none_match=header) is collection


def test_if_unmodified_since_compares_whole_seconds_and_yields_to_if_match() -> None:
    same, before = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT"
    assert passes_write(HERE, if_unmodified_since=same)
    assert not passes_write(HERE, if_unmodified_since=before)
    assert not passes_write(NOTHING, if_unmodified_since=same)
    assert passes_write(HERE, if_unmodified_since="yesterday")
    assert passes_write(HERE, if_unmodified_since=before, if_match='"e1"')


def test_if_modified_since_stops_no_change() -> None:
    assert passes_write(HERE, if_modified_since="Sun, 06 Nov 2094 08:49:37 GMT")


@pytest.mark.parametrize(
    ("none_match", "since", "expected"),
    [
        ('"e1"', None, True),
        ('W/"e1"', None, True),
        ('"e9"', None, False),
        ("*", None, True),
        ("junk", None, False),
        (None, "Sun, 06 Nov 1994 08:49:37 GMT", True),
        (None, "Sun, 06 Nov 1994 08:49:38 GMT", True),
        (None, "Sun, 06 Nov 1994 08:49:36 GMT", False),
        (None, "yesterday", False),
        ('"e9"', "Sun, 06 Nov 1994 08:49:38 GMT", False),
        (None, None, False),
    ],
)
def test_not_modified_is_for_what_the_client_has_already(
    none_match: str | None, since: str | None, expected: bool
) -> None:
    preconditions = Preconditions(if_none_match=parse_tag_set(none_match), if_modified_since=parse_http_date(since))
    assert preconditions.is_not_modified(HERE) is expected


def test_tags_that_a_network_stack_adds_by_itself_can_be_left_out_but_not_a_star() -> None:
    tagged = Preconditions(if_none_match=parse_tag_set('"e1"'), if_match=parse_tag_set('"e1"'))
    assert tagged.without_cached_tags() == Preconditions(if_match=parse_tag_set('"e1"'))
    star = Preconditions(if_none_match=TagSet(any=True))
    assert star.without_cached_tags() is star
