"""``davserver config ...``."""

import argparse

from davserver.cli import say
from davserver.config import Config
from davserver.config.reading import describe


def show(_: argparse.Namespace, config: Config) -> int:
    """Print every setting, its value and where it came from."""

    rows = [(key, value or "-", source) for key, value, source in describe(config)]
    widths = [max(len(row[n]) for row in rows) for n in (0, 1)]
    for key, value, source in rows:
        say(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return 0
