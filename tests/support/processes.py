"""Server processes that do not outlive the tests, even if those are killed and can clean up nothing."""

import shutil
import signal


def tied(command: list[str], farewell: signal.Signals) -> list[str]:
    """Return a command that becomes `command` (the same pid) and gets `farewell` when the thread that started it ends.

    It takes Linux and util-linux' `setpriv`, which every Debian has; elsewhere it is `command` itself.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return command
    return [setpriv, "--pdeathsig", farewell.name.removeprefix("SIG"), *command]
