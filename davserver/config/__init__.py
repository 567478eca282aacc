"""Configuration: the only reader of files and environment. `load` makes one frozen `Config` of them."""

from davserver.config.kinds import Secret, SecretUrl
from davserver.config.reading import load
from davserver.config.settings import SETTINGS, Config, Setting

__all__ = ["SETTINGS", "Config", "Secret", "SecretUrl", "Setting", "load"]
