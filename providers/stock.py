"""Where the stock `wsgidav` command comes in: it knows our classes by their names in wsgidav.yaml, and nothing else of ours."""

import os
from pathlib import Path

from davserver.bootstrap import Services, build
from davserver.config import load


def start_services(config_file: Path | None) -> Services:
    """The services, with their share in the background work, from that file and the environment. Raises `ConfigError`."""
    services = build(load(os.environ, config_file))
    services.bell.start()
    return services
