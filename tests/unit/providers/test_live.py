"""Dates as they are shown and as they are set, and which properties are whose."""

from contextlib import suppress
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.domain.clock import SECOND
from davserver.domain.errors import UnprocessableProperty
from davserver.domain.property import DAV, PropertyName
from davserver.domain.times import FIRST, LAST, http_date, iso_date
from providers.live import (
    ALIASES,
    BY_NAME,
    DISPLAYNAME,
    IN_ALLPROP,
    LIVE,
    QUOTA,
    SETTABLE,
    is_protected,
    parse_time,
)
from providers.methods.propfind import may_be_told_quota, read_plan

TIMES = st.integers(FIRST // SECOND, LAST // SECOND)


@given(TIMES)
def test_dates_are_written_as_the_standard_library_writes_them(seconds: int) -> None:
    assert http_date(seconds) == formatdate(seconds, usegmt=True)
    at = datetime.fromtimestamp(seconds, UTC)
    assert iso_date(seconds) == f"{at.year:04}-{at:%m-%dT%H:%M:%S}Z"


@given(TIMES)
def test_a_date_that_was_shown_can_be_set(seconds: int) -> None:
    assert parse_time(http_date(seconds)) == parse_time(iso_date(seconds)) == seconds * SECOND


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sun, 6 Nov 1994 08:49:37 GMT", 784111777),
        (" Sun, 06 Nov 1994 09:49:37 +0100 ", 784111777),
        ("06 Nov 1994 08:49:37 -0000", 784111777),
        ("784111777", 784111777),
        ("784111777.5", 784111777.5),
        ("-1", -1),
        ("1994-11-06T08:49:37Z", 784111777),
        ("1994-11-06t08:49:37z", 784111777),
        ("1994-11-06 08:49:37", 784111777),
        ("1994-11-06T09:49:37.25+01:00", 784111777.25),
    ],
)
def test_every_way_of_clients_to_write_a_time_is_read(text: str, seconds: float) -> None:
    assert parse_time(text) == round(seconds * SECOND)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "Sun, 06 Nov", "31 Feb 2020 00:00:00 GMT", "0001-01-01T00:00:00Z", "1e9", "0x10", "nan", "9" * 40,
     "2020-13-01T00:00:00Z", "Sun, 06 Nov 99999 08:49:37 GMT", "1600-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00"],
)  # fmt: skip
def test_what_is_no_time_that_can_be_kept_is_refused(text: str) -> None:
    with pytest.raises(UnprocessableProperty):
        parse_time(text)


@given(st.text(max_size=40))
def test_no_text_whatever_breaks_the_reading_of_times(text: str) -> None:
    with suppress(UnprocessableProperty):
        assert FIRST <= parse_time(text) <= LAST


def test_a_live_property_is_settable_or_protected_or_the_display_name() -> None:
    assert set(LIVE) == set(IN_ALLPROP) | set(BY_NAME) | set(ALIASES)
    for name in LIVE:
        assert is_protected(name) == (name not in SETTABLE and name != DISPLAYNAME)
    assert not is_protected(PropertyName(DAV, "author"))
    assert not is_protected(PropertyName("urn:x", "getetag"))
    assert all(name in BY_NAME for name in QUOTA)


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (None, True),
        ("WebDAVFS/3.0.0 (03008000) Darwin/24.3.0 (arm64)", True),
        ("WebDAVFS/3.0.0 (03008000) Darwin/24.4.0 (arm64)", False),
        ("WebDAVFS/3.0.0 (03008000) Darwin/24.10 (x86_64)", False),
        ("WebDAVFS/3.0.0 (03008000) Darwin/25 (arm64)", False),
        ("WebDAVFS/1.9.0 (01908000) Darwin/13.1.0 (x86_64)", True),
        ("Cyberduck/9 (Mac OS X/15.4) Darwin/24.4.0", True),
    ],
)
def test_the_macos_that_stalls_on_quota_is_not_told_it(agent: str | None, *, expected: bool) -> None:
    assert may_be_told_quota(agent, "before-15.4") is expected


@pytest.mark.parametrize(
    ("names", "dead", "locks", "usage"),
    [
        ("<D:getetag/><D:resourcetype/>", False, False, False),
        ("<D:displayname/>", True, False, False),
        ("<x/>", True, False, False),
        ("<D:lockdiscovery/>", False, True, False),
        ("<D:quota-used-bytes/>", False, False, True),
        ("", False, False, False),
    ],
)
def test_only_what_is_asked_for_is_looked_up(names: str, *, dead: bool, locks: bool, usage: bool) -> None:
    wanted = read_plan(f'<D:propfind xmlns:D="DAV:"><D:prop>{names}</D:prop></D:propfind>'.encode()).wanted
    assert (wanted.dead, wanted.locks, wanted.usage) == (dead, locks, usage)
