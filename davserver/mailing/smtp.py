"""Mail by SMTP (RFC 5321), over the standard library: with STARTTLS (RFC 3207), with TLS from the first byte, or without."""

import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Final

from davserver.domain.clock import SECOND, Clock
from davserver.domain.errors import MailUnavailable
from davserver.mailing.base import Letter, MailRefused

TIMEOUT: Final = 20.0
"""Seconds that one answer of the server may take."""
_PERMANENT: Final = 500


class SmtpMailer:
    """One mail a connection: mails are few, and a connection that is kept goes stale.

    `security`: ``starttls``, ``tls`` or ``none``. `sender`: an address, with or without a name. `random` names the messages.
    Certificates are verified by what the system trusts.
    """

    is_on = True

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: str,
        sender: str,
        clock: Clock,
        random: Callable[[int], bytes],
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._sender = sender_of(sender)
        self._clock = clock
        self._random = random
        self._user = user
        self._password = password or ""

    def send(self, letter: Letter) -> None:
        """Hand a mail to the server. Raises `MailUnavailable`, `MailRefused`."""
        message = self._compose(letter)
        try:
            with self._connected() as server:
                server.send_message(message, self._sender.addr_spec, [letter.to])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()), (_PERMANENT, b""))
            raise self._failure(letter, code, said) from error
        except smtplib.SMTPDataError as error:
            raise self._failure(letter, error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(f"The mail server cannot do what this mail needs: {error}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailUnavailable(self._words(type(error).__name__, str(error))) from error

    def check(self) -> None:
        """Connect, as for a mail, and send none. Raises `MailUnavailable`."""
        try:
            with self._connected() as server:
                server.noop()
        except (smtplib.SMTPException, OSError) as error:
            raise MailUnavailable(self._words(type(error).__name__, str(error))) from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        name = socket.gethostname()
        if self._security == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, local_hostname=name, timeout=TIMEOUT, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, local_hostname=name, timeout=TIMEOUT)
        with server:
            if self._security == "starttls":
                try:
                    server.starttls(context=ssl.create_default_context())
                except smtplib.SMTPNotSupportedError as error:  # what it was set to need, not what this mail needs
                    raise smtplib.SMTPException(str(error)) from error
            if self._user is not None:
                try:
                    server.login(self._user, self._password)
                except smtplib.SMTPNotSupportedError as error:
                    raise smtplib.SMTPException(str(error)) from error
            yield server

    def _compose(self, letter: Letter) -> EmailMessage:
        """The message. The library refuses line breaks in header fields, so that no text can add one (RFC 5322)."""
        message = EmailMessage(SMTP_POLICY)
        try:
            message["From"] = self._sender
            message["To"] = Address(addr_spec=letter.to)
            message["Subject"] = letter.subject
        except (ValueError, IndexError, MessageError) as error:
            raise MailRefused("The address or the subject cannot be written into a mail.") from error
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock() / SECOND, UTC))
        message["Message-ID"] = f"<{self._random(16).hex()}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's program is to answer
        message.set_content(letter.text)
        return message

    def _failure(self, letter: Letter, code: int, said: bytes | str) -> MailRefused | MailUnavailable:
        """What a server says is logged, without the address, which many of them repeat."""
        words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        words = re.sub(re.escape(letter.to), "the address", words, flags=re.IGNORECASE)
        if code >= _PERMANENT:
            return MailRefused(f"The mail server refused it: {code} {words}")
        return MailUnavailable(self._words(str(code), words))

    def _words(self, kind: str, said: str) -> str:
        return f"The mail server {self._host}:{self._port} does not take mail ({kind}: {said})."


def sender_of(text: str) -> Address:
    """``Drive <drive@example.org>`` or ``drive@example.org``. Raises ValueError."""
    name, address = parseaddr(text)
    try:
        found = Address(display_name=name, addr_spec=address)
    except (ValueError, IndexError, MessageError) as error:
        raise ValueError("not an address") from error
    if not found.username or not found.domain:
        raise ValueError("not an address")
    return found
