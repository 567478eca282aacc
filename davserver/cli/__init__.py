"""The command line: `parser` knows what can be said, each other module does some of the commands, and prints."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

from davserver.cli.failures import CannotServe, explain
from davserver.cli.parser import build_parser
from davserver.cli.parser.adding import Command
from davserver.config import Config, load
from davserver.domain.errors import ConfigError, DavserverError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when it failed, 2 when it was called or configured wrongly."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())  # a failure is told in one line, by us
    os.umask(0o077)  # whatever is made is for this user alone
    config: Config | None = None
    try:
        config = load(os.environ | _given(options), options.config)
        command: Command = options.command
        return command(options, config)
    except ConfigError as error:
        return fail(str(error), EXIT_USAGE)
    except DavserverError as error:
        return fail(explain(error, config), EXIT_FAILED)
    except CannotServe as error:
        return fail(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        return 130


def _given(options: argparse.Namespace) -> dict[str, str]:
    """Settings that a command took as options, as if they stood in the environment."""
    named = {"tls_cert": "DAVSERVER_TLS_CERT", "tls_key": "DAVSERVER_TLS_KEY"}
    return {variable: value for option, variable in named.items() if (value := getattr(options, option, None))}


def say(text: str = "") -> None:
    """Print a line for people, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def fail(text: str, status: int) -> int:
    """Tell in one line why a command failed, and return its exit status."""
    sys.stderr.write(f"davserver: {' '.join(text.split())}\n")
    return status
