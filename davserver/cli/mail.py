"""``davserver mail ...``."""

import argparse

from davserver.bootstrap import open_mailer
from davserver.cli import EXIT_FAILED, fail, say
from davserver.config import Config
from davserver.mailing.base import Letter, MailRefused

_TEXT = "This mail was sent by `davserver mail test`. Mail works.\n"


def run(options: argparse.Namespace, config: Config) -> int:
    """Send a mail now, and say what the server made of it. Raises `MailUnavailable`."""
    mailer = open_mailer(config)
    try:
        mailer.send(Letter(options.address, "A test of davserver", _TEXT))
    except MailRefused as error:
        return fail(str(error), EXIT_FAILED)
    say(f"The mail server has taken a mail to {options.address}.")
    return 0
