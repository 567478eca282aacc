"""Run the two public WebDAV test suites against a server, and read what they print."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.davserver import User
from tests.support.tools import need

LITMUS_RESULT = re.compile(r"^ *\d+\. (?P<name>\w+?)\.* (?P<result>pass|FAIL|SKIPPED|WARNING)\b(?P<rest>.*)$")
TCK_RESULT = re.compile(r"^  (?P<name>test_\w+): (?P<result>PASS|FAIL|SKIP)\b(?P<rest>.*)$")


@dataclass(frozen=True)
class Report:
    """What a suite found: how many of its tests passed, and every line that speaks of anything else."""

    passed: int
    complaints: tuple[str, ...]
    output: str


def run_litmus(url: str, user: User, folder: Path, seconds: float = 240) -> Report:
    """Run Debian's litmus, all suites, going on after a failure. It writes its traces into `folder`."""
    return read_litmus(_run([need("litmus"), "-k", url, *user.auth], folder, seconds))


def run_tck(url: str, user: User, folder: Path, seconds: float = 540) -> Report:
    """Run dav-tck, all suites; one of them sends and fetches a file of 2 GiB."""
    return read_tck(_run([need("dav-tck"), "--no-colour", url, *user.auth], folder, seconds))


def read_litmus(output: str) -> Report:
    """Read litmus' output: one line a test, rewritten in place with carriage returns, then a line of warnings, if any."""
    results = []
    complaints = []
    for line in output.splitlines():
        found = LITMUS_RESULT.match(line)
        if found:
            results.append(found["result"])
        if re.search(r"FAIL|WARNING|SKIPPED|ERROR|warning|error", line):
            complaints.append(line.strip())
    return Report(results.count("pass"), tuple(complaints), output)


def read_tck(output: str) -> Report:
    """Read dav-tck's output: one line a test, with warnings and reasons indented below it."""
    results = []
    complaints = []
    below_a_test = False
    for line in output.splitlines():
        found = TCK_RESULT.match(line)
        if found:
            results.append(found["result"])
        failed = found is not None and found["result"] != "PASS"
        remark = below_a_test and re.match(r"    \S", line) is not None
        if failed or remark or "Setup failed" in line:
            complaints.append(line.strip())
        below_a_test = found is not None or remark
    return Report(results.count("PASS"), tuple(complaints), output)


def _run(command: list[str], folder: Path, seconds: float) -> str:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=seconds, check=False,
    )  # fmt: skip
    return done.stdout
