"""The largest file that clamd can scan takes no more memory than a small one."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from davserver.domain.conditions import NO_CONDITIONS
from davserver.domain.verdict import Verdict
from davserver.services.content import PutDetails
from tests.support.clamd import EICAR, ClamdServer
from tests.support.core import path
from tests.support.databases import SqliteDatabases
from tests.support.scanned import open_scanned

SIZE = 2_000_000_000
MIB = 1 << 20


@dataclass
class LargeBody:
    """Zeros, with EICAR at the end."""

    length: int | None
    left: int

    def read(self, size: int) -> bytes:
        size = min(size, self.left)
        self.left -= size
        block = bytes(size)
        return block if self.left or size < len(EICAR) else block[: -len(EICAR)] + EICAR


def resident(what: str) -> int:
    """Bytes of this process's memory: `VmRSS` now, `VmHWM` at the most."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith(f"{what}:")]
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_gigabytes_are_scanned_to_their_end_in_constant_memory(
    tmp_path: Path, sqlite_databases: SqliteDatabases, own_clamd: ClamdServer
) -> None:
    for limit in ("StreamMaxLength", "MaxFileSize", "MaxScanSize"):
        own_clamd.set_option(limit, "2000M")
    own_clamd.set_option("MaxScanTime", "0")
    own_clamd.set_option("AlertExceedsMax", "yes")
    own_clamd.start()
    url = sqlite_databases.migrated()
    settings = {"clamav_host": "127.0.0.1", "clamav_port": own_clamd.port, "scan_max_size": SIZE}
    drive = open_scanned(tmp_path / "data", url, **settings)
    drive.services.content.put(drive.who, path("/large"), LargeBody(SIZE, SIZE), PutDetails(), NO_CONDITIONS)

    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here on
    assert drive.look() == 1
    grown = resident("VmHWM") - before
    print(f"scanning {SIZE} bytes took {grown / MIB:.1f} MiB on top of {before / MIB:.0f} MiB")
    assert drive.verdict("/large") is Verdict.INFECTED  # so the last bytes were looked at
    assert grown < 16 * MIB
    drive.services.close()
