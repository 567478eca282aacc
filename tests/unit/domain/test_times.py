import pytest

from davserver.domain.times import FIRST, LAST, http_date, parse_unix_seconds


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("784111777", 784_111_777_000_000),
        (" 784111777 ", 784_111_777_000_000),
        ("784111777.25", 784_111_777_250_000),
        ("784111777.1234567890", 784_111_777_123_456),
        ("0", 0),
        ("-1.5", -1_500_000),
        ("-0.5", -500_000),
        ("253402300799", LAST),
        ("-11644473600", FIRST),
    ],
)
def test_unix_seconds_are_read_with_their_fraction(text: str, micros: int) -> None:
    assert parse_unix_seconds(text) == micros


@pytest.mark.parametrize(
    "text", [None, "", "now", "1e9", "0x10", "1,5", "1.", ".5", "+5", "1_0", "\u0663", "nan",
     "253402300800", "-11644473601", "9" * 5000]
)  # fmt: skip
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert parse_unix_seconds(text) is None


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (784_111_777_999_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (FIRST, "Mon, 01 Jan 1601 00:00:00 GMT"),
        (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_every_time_that_is_taken_has_a_date(micros: int, shown: str) -> None:
    assert http_date(micros // 1_000_000) == shown
