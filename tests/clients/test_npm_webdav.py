"""npm's `webdav`, the library that Obsidian's remotely-save and many web programs use."""

import json
import os
import shutil
from pathlib import Path

from tests.support.daywork import NAMES, Watch, private_home, run
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import FAILS, WORKS, Client, record
from tests.support.tools import need

STEPS = (
    "make folders", "names of every kind", "list", "20 MB up and down", "streams", "not over what is there", "move and copy",
    "lock and unlock", "delete a tree",
)  # fmt: skip
NPM = Client(
    "npm webdav 5 (Obsidian remotely-save's library)",
    "driven",
    "tests/clients/test_npm_webdav.py",
    (*STEPS, "free space"),
)
PROGRAM = Path(__file__).parent / "programs" / "npm"
MODULES = Path(__file__).parents[2] / ".tools" / "npm-webdav"


def install() -> Path:
    """Where the library is, of the version that the lock file names; installed when it is not there yet."""
    npm = need("npm")
    lock = (PROGRAM / "package-lock.json").read_bytes()
    if not (MODULES / "done").exists() or (MODULES / "done").read_bytes() != lock:
        MODULES.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PROGRAM / name, MODULES / name)
        # Here the environment is the caller's: it knows the way to the registry.
        run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=MODULES, env=dict(os.environ), timeout=200)
        (MODULES / "done").write_bytes(lock)
    return MODULES


def test_npm_webdav_does_a_days_work(drive: Drive, watch: Watch, tmp_path: Path) -> None:
    node, modules = need("node"), install()
    env = private_home(tmp_path, NAMES=json.dumps(NAMES))
    told = run(node, str(PROGRAM / "day.js"), str(modules), drive.url, *drive.user.auth, env=env, status=None)
    done = {line.removeprefix("done: ") for line in told.splitlines() if line.startswith("done: ")}
    for step in STEPS:
        record(NPM, step, drive.deployment.kind, WORKS if step in done else FAILS)
    assert done == set(STEPS), told
    record(
        NPM,
        "free space",
        drive.deployment.kind,
        "not shown: it asks for all properties, and RFC 4331 leaves it out of these",
    )
    watch.check("PROPFIND 404", "PUT 412", "PUT 423")
