"""Server processes that do not outlive the tests, even if those are killed and can clean up nothing."""

import shutil
import signal
from pathlib import Path


def tied(command: list[str], farewell: signal.Signals) -> list[str]:
    """Return a command that becomes `command` (the same pid) and gets `farewell` when the thread that started it ends.

    It takes Linux and util-linux' `setpriv`, which every Debian has; elsewhere it is `command` itself.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return command
    return [setpriv, "--pdeathsig", farewell.name.removeprefix("SIG"), *command]


def mounted(folder: Path) -> bool:
    """Whether something is mounted there; also when what serves it is dead, where os.path.ismount fails."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    return any(line.split()[1] == str(folder) for line in mounts.splitlines())
