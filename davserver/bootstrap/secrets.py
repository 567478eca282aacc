"""What must not be lost or seen: the data folder, the key ring in it, and the secret that signs."""

import contextlib
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from davserver.config import Config
from davserver.crypto import keyfile
from davserver.crypto.keyring import KeyRing
from davserver.domain.errors import ConfigError

Random = Callable[[int], bytes]
"""n -> n unpredictable bytes."""

_SECRET: Final = re.compile(r"[0-9a-f]{64}")


def make_data_dir(config: Config) -> Path:
    """The data folder, made for this user alone when it is missing. Raises `ConfigError`."""
    folder = config.data_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The data folder {folder} cannot be made: {error.strerror}. Set DAVSERVER_DATA_DIR."
        ) from None
    return folder


def open_keyring(config: Config, random: Random) -> KeyRing:
    """The key ring of the environment, or of the file in the data folder, made at the first start. Raises `KeyRingError`."""
    if config.master_keys is not None:
        return KeyRing.parse(config.master_keys.reveal(), random=random)
    return keyfile.load_or_create(key_file(config), random=random)


def key_file(config: Config) -> Path:
    """Where the key ring lies when the environment does not hold it. Makes the data folder."""
    return make_data_dir(config) / "keys.json"


def key_source(config: Config) -> str:
    """What tells one key ring from another: a file is one for all who read it, an environment is each process's own."""
    host = socket.gethostname()
    return f"environment of {host}:{os.getpid()}" if config.master_keys is not None else f"{host}:{key_file(config)}"


def secret_of(config: Config, random: Random) -> bytes:
    """`SECRET_KEY`, or what the file of that name in the data folder holds, made at the first start."""
    if config.secret_key is not None:
        return config.secret_key.reveal().encode("utf-8", "surrogatepass")
    path = make_data_dir(config) / "secret"
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read_secret(path)
        draft = path.with_name(f".secret.{random(8).hex()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(random(32).hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process that starts was faster
                os.link(draft, path)
        finally:
            draft.unlink()
        return _read_secret(path)
    except OSError as error:
        raise ConfigError(f"The file {path} cannot be read or made: {error.strerror}.") from None


def _read_secret(path: Path) -> bytes:
    found = path.read_text("ascii", errors="replace").strip()
    if not _SECRET.fullmatch(found):
        raise ConfigError(f"The file {path} does not hold 64 hexadecimal digits; remove it to have a new one made.")
    return bytes.fromhex(found)
