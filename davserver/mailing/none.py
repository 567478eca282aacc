"""The twin that sends nothing, and says so."""

from davserver.mailing.base import Letter, MailRefused


class NoMailer:
    """Where no mail server is set."""

    is_on = False

    def send(self, _letter: Letter) -> None:
        """Raises `MailRefused`: there is nobody to give it to."""
        raise MailRefused("No mail server is set: DAVSERVER_SMTP_HOST.")

    def check(self) -> None:
        """There is nobody to ask."""
