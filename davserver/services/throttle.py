"""How often somebody may try: signing in, registering, asking for a reset, opening links, guessing passwords.

An address has few tries at what makes or opens an account. Guessing at WebDAV is slowed for each account and address. Whoever
comes with a device token, or with a password that was right a moment ago, never waits, however much others guess.
"""

import hashlib
from typing import Final

from davserver.domain.errors import TooManyRequests
from davserver.limiting.limiter import Limiter, Rule

SIGN_IN: Final = Rule("sign-in", 5, 60)
RESET: Final = Rule("reset", 5, 60)
REGISTER: Final = Rule("register", 5, 60)
RESET_MAIL: Final = Rule("reset-mail", 3, 3600)
"""Reset links sent to one account, whoever asks: nobody's mailbox is filled."""
LINK: Final = Rule("link", 600, 60)
"""Requests for links, right or wrong: a player that jumps about makes many."""
LINK_PASSWORD: Final = Rule("link-password", 10, 60)
"""Wrong passwords for one link, from one address."""
GUESS: Final = Rule("guess", 10, 60)
"""Wrong passwords for one account, from one address."""
GUESS_ADDRESS: Final = Rule("guess-address", 60, 60)
"""Wrong passwords from one address, for whatever accounts."""
GUESS_ACCOUNT: Final = Rule("guess-account", 200, 600)
"""Wrong passwords for one account, from wherever they come."""

SAME_GUESS: Final = Rule("same-guess", 1, 60)
"""The same wrong password again is a device that was not told of a new one, not somebody who guesses."""

_NOBODY: Final = "-"
"""The address of what has none."""


class Throttle:
    """Raises `TooManyRequests`, with the seconds to wait, for what was tried too often."""

    def __init__(self, limiter: Limiter, *, is_testing: bool = False) -> None:
        """`is_testing` lifts the limits on signing in, resets and registering, for tests that do so all the time."""
        self._limiter = limiter
        self._is_testing = is_testing

    def sign_in(self, address: str | None) -> None:
        """Count a sign-in over REST, right or wrong."""
        if not self._is_testing:
            self._hit(SIGN_IN, address)

    def register(self, address: str | None) -> None:
        """Count a registration."""
        if not self._is_testing:
            self._hit(REGISTER, address)

    def reset(self, address: str | None) -> None:
        """Count a request for a password reset, or a try to use one."""
        if not self._is_testing:
            self._hit(RESET, address)

    def may_mail_reset(self, account: str) -> bool:
        """Count a reset link for an account, known or not; whether it may be sent."""
        if self._is_testing:
            return True
        key = hashlib.sha256(account.casefold().encode("utf-8", "surrogatepass")).hexdigest()
        return not self._limiter.hit(RESET_MAIL, key)

    def link(self, address: str | None) -> None:
        """Count a request for a link."""
        self._hit(LINK, address)

    def before_link_password(self, link: str, address: str | None) -> None:
        """Look whether a password for this link may be tried."""
        self._wait(LINK_PASSWORD, link, address or _NOBODY)

    def wrong_link_password(self, link: str, address: str | None) -> None:
        """Count a wrong password for a link."""
        self._limiter.hit(LINK_PASSWORD, link, address or _NOBODY)

    def before_guess(self, account: str, address: str | None) -> None:
        """Look whether a password for this account, known or not, may be tried. Without an address (this machine) always."""
        if address is not None:
            self._wait(GUESS, account, address)
            self._wait(GUESS_ADDRESS, address)
            self._wait(GUESS_ACCOUNT, account)

    def wrong_guess(self, account: str, address: str | None, guess: str) -> None:
        """Count a wrong password; `guess` tells it from others and gives nothing of it away (a keyed hash)."""
        if address is not None and not self._limiter.hit(SAME_GUESS, account, address, guess):
            self._limiter.hit(GUESS, account, address)
            self._limiter.hit(GUESS_ADDRESS, address)
            self._limiter.hit(GUESS_ACCOUNT, account)

    def _hit(self, rule: Rule, address: str | None) -> None:
        if seconds := self._limiter.hit(rule, address or _NOBODY):
            raise TooManyRequests(seconds)

    def _wait(self, rule: Rule, *keys: str) -> None:
        if seconds := self._limiter.wait(rule, *keys):
            raise TooManyRequests(seconds)
