"""What to do when a tool that a test drives is not on this machine: skip loudly at home, fail where CI=true."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

PACKAGE_LIST = Path(__file__).parents[1] / "debian-packages.txt"
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def debian_packages() -> Iterator[tuple[str, str]]:
    """Yield (package, command) of every Debian package that `make test` installs."""
    for line in PACKAGE_LIST.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            package, command = line.split()
            yield package, command


def find(command: str) -> str | None:
    """Return the full path of a command, looking in this Python's folder first and in the sbin folders last."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), *SYSTEM_PATHS])
    return shutil.which(command, path=path)


def need(command: str) -> str:
    """Return the full path of `command`; without it, skip the test, or fail it if CI=true."""
    found = find(command)
    if found is None:
        package = next((package for package, known_by in debian_packages() if known_by == command), None)
        advice = f"apt-get install {package}" if package else "it comes with requirements-dev.lock"
        unmet(f"{command} is not installed ({advice})")
    return found


def need_fuse() -> None:
    """Return where this process can mount through FUSE; elsewhere skip the test, or fail it if CI=true."""
    if os.geteuid() != 0:
        unmet("mounting through FUSE in a test needs root")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        unmet(f"there is no FUSE here (/dev/fuse: {error.strerror})")


def unmet(reason: str) -> NoReturn:
    """Skip this test because of `reason` (pytest lists it at the end); fail it if CI=true: there nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; with CI=true nothing may be missing", pytrace=False)
    pytest.skip(reason)
