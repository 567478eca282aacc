"""What all parsers of commands share."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from davserver.config import Config
from davserver.config.kinds import parse_duration, parse_size

Command = Callable[[argparse.Namespace, Config], int]
"""Does the work of a command, and returns its exit status."""
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
"""What `add_subparsers` gives."""


def later(module: str, function: str = "run") -> Command:
    """The command that is this function of `davserver.cli.MODULE`, which is loaded when it runs."""

    def command(options: argparse.Namespace, config: Config) -> int:
        found: Command = getattr(import_module(f"davserver.cli.{module}"), function)
        return found(options, config)

    return command


def add_group(commands: Commands, name: str, text: str) -> Commands:
    """A word in front of others, such as ``user`` in ``user add``."""
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_command(
    commands: Commands,
    name: str,
    command: Command,
    text: str,
    example: str,
) -> argparse.ArgumentParser:
    """A command with its help and its example."""
    parser = commands.add_parser(name, help=text, description=text, epilog=f"Example: {example}", allow_abbrev=False)
    # Also behind the command; there it must not undo what stood before it.
    parser.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="configuration file")
    parser.set_defaults(command=command, name_of_command=name)
    return parser


def size(text: str) -> int:
    """For `type=`: bytes, from text such as 10G."""
    try:
        return parse_size(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 10G") from None


def size_or_none(text: str) -> int | str:
    """For `type=`: bytes, or the word none."""
    return text if text == "none" else size(text)


def duration(text: str) -> int:
    """For `type=`: seconds, from text such as 12h."""
    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 12h or 7d") from None


def duration_or_server(text: str) -> int | str:
    """For `type=`: seconds, or the word server."""
    try:
        return text if text == "server" else parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 12h") from None


def number(text: str) -> int:
    """For `type=`: a whole number that is not negative."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
