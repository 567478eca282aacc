"""A D-Bus session of its own, which desktop programs (gvfs, KIO) want around them."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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
        yield env | {"DBUS_SESSION_BUS_ADDRESS": address}
    process.wait(20)
