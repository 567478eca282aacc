"""A D-Bus session of its own, which desktop programs (gvfs, KIO) want around them."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.daywork import private_home
from tests.support.processes import tied
from tests.support.tools import need


@contextmanager
def session(folder: Path, **more: str) -> Iterator[dict[str, str]]:
    """Yield the environment of a new session with an empty home in `folder`, and of `more`; it ends with the block."""
    env = private_home(folder, **more)
    tell = 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat'
    process = subprocess.Popen(
        tied([need("dbus-run-session"), "--", "sh", "-c", tell], signal.SIGTERM),
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        address = process.stdout.readline().strip()
        assert address, "dbus-run-session did not start"
        try:
            yield env | {"DBUS_SESSION_BUS_ADDRESS": address}
        finally:
            _end_processes_of(address)
    process.wait(20)


def _end_processes_of(address: str) -> None:
    """End what was started in a session and does not notice its end, such as kiod5."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"DBUS_SESSION_BUS_ADDRESS={address}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGTERM)
