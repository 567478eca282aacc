"""``davserver doctor``."""

import argparse
import json
import os
from collections.abc import Sequence
from functools import partial

from davserver.cli import EXIT_FAILED, say
from davserver.config import Config
from davserver.domain.clock import system_clock
from davserver.monitoring import checkup_machine as machine
from davserver.monitoring import checkup_parts as parts
from davserver.monitoring.checkup import Finding, Look, Verdict, examine


def run(options: argparse.Namespace, config: Config) -> int:
    """Look at everything, and return 1 when anything is to be done."""
    found = list(examine(looks(config)))
    healthy = not any(finding.verdict is Verdict.WRONG for finding in found)
    if options.json:
        say(json.dumps({"healthy": healthy, "findings": [_plain(finding) for finding in found]}, indent=2))
    else:
        for line in lines(found):
            say(line)
    return 0 if healthy else EXIT_FAILED


def looks(config: Config) -> list[tuple[str, Look]]:
    """All that is looked at, by part, in the order of the report."""
    return [
        ("files", partial(machine.secret_files, config)),
        ("disk", partial(machine.disk, config)),
        ("limits", partial(machine.open_files, config)),
        ("network", partial(machine.exposure, config)),
        ("tls", partial(machine.certificate, config, system_clock)),
        ("port", partial(machine.port, config)),
        ("database", partial(parts.database, config, system_clock)),
        ("store", partial(parts.store, config, os.urandom)),
        ("keys", partial(parts.keys, config, os.urandom)),
        ("jobs", partial(parts.background, config, system_clock)),
        ("broker", partial(parts.broker, config)),
        ("scanner", partial(parts.scanner, config, system_clock)),
        ("mail", partial(parts.mail, config)),
    ]


def lines(found: Sequence[Finding]) -> list[str]:
    """The report for people."""
    said = []
    for finding in found:
        mark = "WRONG" if finding.verdict is Verdict.WRONG else finding.verdict.value
        said.append(f"{mark:<6} {finding.part:<11} {finding.said}")
        if finding.todo:
            said.append(f"{'':<18} -> {finding.todo}")
    count = sum(finding.verdict is Verdict.WRONG for finding in found)
    return [*said, "", f"{count} to be done." if count else "All is well."]


def _plain(finding: Finding) -> dict[str, str]:
    return {"part": finding.part, "verdict": finding.verdict.value, "said": finding.said, "todo": finding.todo}
