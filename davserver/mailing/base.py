"""The interface of what hands out mail."""

from dataclasses import dataclass, field
from typing import Protocol


class MailRefused(Exception):
    """The mail server is there and does not take this mail, or it can be written to nobody: sending it again would not help."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one person, in plain text."""

    to: str = field(repr=False)
    """An address, without a name."""
    subject: str
    text: str = field(repr=False)
    """May hold a secret: it is in no log."""


class Mailer(Protocol):
    """Hands out mail. Threads may share one."""

    @property
    def is_on(self) -> bool:
        """Whether there is a mail server at all."""

    def send(self, letter: Letter) -> None:
        """Hand a mail to the server. When this returns, the server has taken it.

        Raises `MailUnavailable` when the server is away or wants to be asked again, `MailRefused`.
        """

    def check(self) -> None:
        """See that the server answers and lets us in. Raises `MailUnavailable`."""
