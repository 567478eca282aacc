import pytest

from providers.methods.lock import parse_timeout

SHORTEST, LONGEST = 180, 3600


@pytest.mark.parametrize(
    ("header", "granted"),
    [
        ("Second-600", 600),
        ("second-600", 600),
        (" Second-600 ", 600),
        ("Second-0", SHORTEST),
        ("Second-1", SHORTEST),
        ("Second-180", 180),
        ("Second-3600", 3600),
        ("Second-3601", LONGEST),
        ("Second-4294967295", LONGEST),
        ("Second-4294967296", LONGEST),
        ("Second-" + "9" * 5000, LONGEST),
        ("Second-" + "0" * 5000 + "600", 600),
        ("Infinite", LONGEST),
        ("Infinite, Second-4100000000", LONGEST),
        ("Second-600, Infinite", 600),
        ("Extend, Second-300", 300),
        ("", LONGEST),
        (None, LONGEST),
        ("Second--5", LONGEST),
        ("Second-1.5", LONGEST),
        ("soon", LONGEST),
    ],
)
def test_a_wish_for_a_timeout_is_kept_within_the_limits(header: str | None, granted: int) -> None:
    assert parse_timeout(header, shortest=SHORTEST, longest=LONGEST) == granted
