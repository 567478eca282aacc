"""A real clamd for tests: Debian's, with a signature file of our own that knows EICAR and whatever a test adds."""

import base64
import contextlib
import hashlib
import io
import signal
import socket
import subprocess
import tarfile
import time
from pathlib import Path

from tests.support.processes import tied
from tests.support.tools import need

START_SECONDS = 30.0
_ENCODED = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJE" + "LUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo="
EICAR = base64.b64decode(_ENCODED)
"""The harmless bytes that every scanner takes for a virus; encoded, so that none takes this file for one."""
EICAR_NAME = "Davserver.Test.Eicar.UNOFFICIAL"
"""What our clamd calls them."""


class ClamdServer:
    """A clamd on a port of 127.0.0.1 that stays the same over stops and starts."""

    def __init__(self, folder: Path, **options: str) -> None:
        """`options` are lines of clamd.conf, such as ``StreamMaxLength="1M"``."""
        self._program = need("clamd")
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._signatures = {"Davserver.Test.Eicar": EICAR}
        self._options = {
            "TCPSocket": str(self.port),
            "TCPAddr": "127.0.0.1",
            "DatabaseDirectory": str(folder / "signatures"),
            "TemporaryDirectory": str(folder / "temporary"),
            "Foreground": "yes",
            "LogVerbose": "yes",
            "MaxThreads": "4",
            "SelfCheck": "0",  # it reads signatures when it starts, and not again
            "ConcurrentDatabaseReload": "no",
            **options,
        }
        (folder / "signatures").mkdir(parents=True)
        (folder / "temporary").mkdir()
        self.set_database(1)

    @property
    def settings(self) -> dict[str, str]:
        """The settings that point davserver to it."""
        return {"CLAMAV_HOST": "127.0.0.1", "CLAMAV_PORT": str(self.port)}

    @property
    def pid(self) -> int:
        """Of the running clamd."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it said since it was last started."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def streams(self) -> int:
        """Streams that it has scanned to their end and found something in, or found clean, since it was last started."""
        return self.log.count("instream(")

    def set_database(self, number: int, **signatures: bytes) -> None:
        """From the next start on it also finds these bytes, each by its name, and tells this number of its database."""
        self._signatures |= signatures
        # A database by this name is where it takes the number from; in a .cud one nothing needs to be signed.
        (self.folder / "signatures" / "daily.cud").write_bytes(_database(number, self._signatures))

    def forget(self, signature: str) -> None:
        """Leave a signature out of the next database that is set."""
        del self._signatures[signature]

    def set_option(self, name: str, value: str) -> None:
        """Set a line of clamd.conf, from the next start on."""
        self._options[name] = value

    def start(self) -> None:
        """Start it and wait until it answers."""
        conf = self.folder / "clamd.conf"
        conf.write_text("".join(f"{name} {value}\n" for name, value in self._options.items()))
        with (self.folder / "log").open("wb") as log:
            command = tied([self._program, "-c", str(conf)], signal.SIGKILL)
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self._wait()

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(2)
                connection.sendall(b"nPING\n")
                if connection.recv(16) == b"PONG\n":
                    return
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"clamd did not start:\n{self.log}")
            time.sleep(0.05)


def _database(number: int, signatures: dict[str, bytes]) -> bytes:
    """The bytes of a signature database: a head of 512 bytes, then a tar."""
    head = f"ClamAV-VDB:20 Oct 2025 08-05 +0000:{number}:{len(signatures)}:90:X:X:tester:{int(time.time())}"
    rules = "".join(f"{name}:0:*:{found.hex()}\n" for name, found in signatures.items()).encode()
    listed = f"{head}\ndaily.ndb:{len(rules)}:{hashlib.sha256(rules).hexdigest()}\n".encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in {"COPYING": b"-", "daily.info": listed, "daily.ndb": rules}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return head.ljust(512).encode() + archive.getvalue()


def _free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
