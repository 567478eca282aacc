from collections.abc import Callable

import pytest

from davserver.domain.errors import TooManyRequests
from davserver.limiting.limiter import Limiter
from davserver.services.throttle import GUESS, GUESS_ACCOUNT, GUESS_ADDRESS, LINK, Throttle


def often(times: int, tried: Callable[[str | None], None]) -> None:
    for _ in range(times):
        tried("192.0.2.1")


@pytest.fixture
def throttle() -> Throttle:
    return Throttle(Limiter())


def test_an_address_has_five_tries_a_minute_at_signing_in(throttle: Throttle) -> None:
    for _ in range(5):
        throttle.sign_in("192.0.2.1")
    with pytest.raises(TooManyRequests) as caught:
        throttle.sign_in("192.0.2.1")
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 60
    throttle.sign_in("192.0.2.2")


def test_registering_and_resetting_are_counted_by_themselves(throttle: Throttle) -> None:
    for tried in (throttle.register, throttle.reset):
        for _ in range(5):
            tried("192.0.2.1")
        with pytest.raises(TooManyRequests):
            tried("192.0.2.1")


def test_while_testing_one_may_sign_in_reset_and_register_without_end() -> None:
    throttle = Throttle(Limiter(), is_testing=True)
    for _ in range(50):
        throttle.sign_in("192.0.2.1")
        throttle.register("192.0.2.1")
        throttle.reset("192.0.2.1")


def test_guessing_from_one_address_does_not_keep_others_from_the_account(throttle: Throttle) -> None:
    for number in range(GUESS.amount):
        throttle.before_guess("ada", "192.0.2.1")
        throttle.wrong_guess("ada", "192.0.2.1", str(number))
    with pytest.raises(TooManyRequests):
        throttle.before_guess("ada", "192.0.2.1")
    throttle.before_guess("ada", "192.0.2.2")
    throttle.before_guess("bob", "192.0.2.1")


def test_an_address_that_guesses_at_many_accounts_waits_for_all_of_them(throttle: Throttle) -> None:
    for number in range(GUESS_ADDRESS.amount):
        throttle.wrong_guess(f"user{number}", "192.0.2.1", "a")
    with pytest.raises(TooManyRequests):
        throttle.before_guess("ada", "192.0.2.1")


def test_an_account_that_many_addresses_guess_at_is_slowed_everywhere(throttle: Throttle) -> None:
    for number in range(GUESS_ACCOUNT.amount):
        throttle.wrong_guess("ada", f"192.0.2.{number}", "a")
    with pytest.raises(TooManyRequests):
        throttle.before_guess("ada", "198.51.100.1")
    throttle.before_guess("bob", "198.51.100.1")


def test_what_comes_from_this_machine_without_an_address_is_not_counted(throttle: Throttle) -> None:
    for _ in range(2 * GUESS_ACCOUNT.amount):
        throttle.before_guess("ada", None)
        throttle.wrong_guess("ada", None, "a")


def test_links_and_their_passwords_are_counted(throttle: Throttle) -> None:
    for _ in range(10):
        throttle.before_link_password("a", "192.0.2.1")
        throttle.wrong_link_password("a", "192.0.2.1")
    with pytest.raises(TooManyRequests):
        throttle.before_link_password("a", "192.0.2.1")
    throttle.before_link_password("b", "192.0.2.1")
    with pytest.raises(TooManyRequests):
        often(LINK.amount + 1, throttle.link)


def test_a_device_that_repeats_an_old_password_keeps_nobody_at_its_address_out(throttle: Throttle) -> None:
    for _ in range(5 * GUESS.amount):
        throttle.before_guess("ada", "192.0.2.1")
        throttle.wrong_guess("ada", "192.0.2.1", "the old one")
    throttle.before_guess("ada", "192.0.2.1")
