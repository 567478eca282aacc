"""A real mail server that keeps what it is given: aiosmtpd on a port of this machine."""

import socket
import ssl
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "drive", "a secret of the mail server"


@dataclass
class Received:
    """A mail as it came."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    raw: bytes
    used_tls: bool

    @property
    def text(self) -> str:
        """The body, lines ended by LF."""
        return str(self.message.get_content()).replace("\r\n", "\n")


@dataclass
class MailServer:
    """Starts and stops on the same port. `refuses`: an answer to every recipient, such as ``550 no such user``."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    wants_login: bool = False
    refuses: str = ""
    received: list[Received] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    _controller: Any = None
    _reserved: socket.socket | None = None

    def start(self) -> None:
        """Take mail. The port stays the same after the first start."""
        if not self.port:
            self._reserve()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        more: dict[str, Any] = {"tls_context": self.tls, "require_starttls": True} if self.tls else {}
        if self.wants_login:
            more |= {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": self.tls is not None}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=30, **more)
        self._controller.start()

    def stop(self) -> None:
        """Be away: connections are refused, and nobody else gets the port."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None
            self._reserve()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        if self._reserved is not None:
            self._reserved.close()

    def _reserve(self) -> None:
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", self.port))
        self.port = self._reserved.getsockname()[1]

    def wait(self, count: int, seconds: float = 60) -> list[Received]:
        """What was received, once it is so many mails."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds), self.received
        return self.received

    async def handle_RCPT(
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Session, envelope: Envelope) -> str:
        """Keep a mail."""
        raw = envelope.content
        assert isinstance(raw, bytes)
        parsed: Any = BytesParser(policy=default).parsebytes(raw)
        found = Received(str(envelope.mail_from), list(envelope.rcpt_tos), parsed, raw, session.ssl is not None)
        with self.arrived:
            self.received.append(found)
            self.arrived.notify_all()
        return "250 OK"


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)
