"""A mail server for a test."""

from collections.abc import Iterator

import pytest

from tests.support.mailserver import MailServer


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A real mail server without TLS, started."""
    server = MailServer()
    server.start()
    yield server
    server.close()
