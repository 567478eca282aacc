"""LibreOffice without a screen: documents opened from the drive, edited, and saved, with locks."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from lxml import etree

from tests.support.daywork import Peer, Watch, private_home
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client
from tests.support.processes import tied
from tests.support.tools import need, unmet

LIBREOFFICE = Client(
    "LibreOffice", "driven", "tests/clients/test_libreoffice.py",
    (
        "save a new document", "it is locked while open", "edit and save", "close gives the lock back", "open again",
        "others cannot write meanwhile", "do not open for writing what somebody else has locked", "names with umlauts and signs",
    ),
)  # fmt: skip
PROGRAM = Path(__file__).parent / "programs" / "office.py"
PYTHON = "/usr/bin/python3"
RESTART = 81
"""What soffice ends with when it has made a new profile and wants to be started again."""


class Office:
    """A LibreOffice, and the program that drives it."""

    def __init__(self, drive: Drive, folder: Path) -> None:
        env = private_home(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._command = [
            need("soffice"), "--headless", "--norestore", "--nologo", f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            f"--accept=socket,host=127.0.0.1,port={port};urp;",
        ]  # fmt: skip
        if subprocess.run([PYTHON, "-c", "import uno"], env=env, check=False, capture_output=True).returncode:
            unmet("python3-uno is not installed (apt-get install python3-uno)")
        self._env = env
        self.process = self._start()
        self.driver = subprocess.Popen(
            tied([PYTHON, str(PROGRAM), str(port)], signal.SIGTERM), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=env,
        )  # fmt: skip
        self.base = drive.url
        self("sign_in", ":", *drive.user.auth)

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            tied(self._command, signal.SIGTERM), env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(3)
        return self._start() if process.poll() == RESTART else process

    def __call__(self, command: str, *arguments: str) -> str:
        """One command, such as ``office("open", ":a.odt")``: what begins with ``:`` is a path on the drive."""
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        # As LibreOffice writes addresses itself; escape more, and it looks for its own lock under another address.
        known = [self.base + quote(one[1:], safe="/&+") if one.startswith(":") else one for one in arguments]
        self.driver.stdin.write(json.dumps([command, *known]) + "\n")
        self.driver.stdin.flush()
        answer = json.loads(self.driver.stdout.readline())
        assert isinstance(answer, str), f"{command} {arguments}: {answer}"
        return answer

    def close(self) -> None:
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.driver.stdin.write('["quit"]\n')
        self.driver.stdin.close()
        try:
            self.driver.wait(20)
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.process.kill()
            self.process.wait()
        self.driver.stdout.close()


@pytest.fixture
def office(drive: Drive, tmp_path: Path) -> Iterator[Office]:
    made = Office(drive, tmp_path)
    yield made
    made.close()


def locks(peer: Peer, path: str) -> int:
    """How many locks a file has."""
    body = '<propfind xmlns="DAV:"><prop><lockdiscovery/></prop></propfind>'
    answer = peer.request("PROPFIND", path, expect=207, headers={"Depth": "0"}, content=body)
    return len(list(etree.fromstring(answer.content).iter("{DAV:}activelock")))


def test_libreoffice_opens_edits_and_saves_with_locks(drive: Drive, office: Office, peer: Peer, watch: Watch) -> None:
    kind = drive.deployment.kind
    name = "Größe & Co #1 100% a+b.odt"
    with LIBREOFFICE.step("save a new document", kind):
        office("new")
        office("type", "one ")
        office("save_as", ":letter.odt")
        assert peer.get("letter.odt")[:2] == b"PK"
    with LIBREOFFICE.step("close gives the lock back", kind):
        office("close")
        assert locks(peer, "letter.odt") == 0
    with LIBREOFFICE.step("open again", kind):
        assert office("open", ":letter.odt") == "writable"
    with LIBREOFFICE.step("it is locked while open", kind):
        assert locks(peer, "letter.odt") == 1
    with LIBREOFFICE.step("others cannot write meanwhile", kind):
        peer.request("PUT", "letter.odt", expect=423, content=b"mine")
    with LIBREOFFICE.step("edit and save", kind):
        before = peer.get("letter.odt")
        assert office("type", "two") == "one two"
        office("save")
        assert peer.get("letter.odt") != before
        office("close")
        assert office("open", ":letter.odt") == "writable"
        assert office("type", "") == "one two"
    with LIBREOFFICE.step("names with umlauts and signs", kind):
        office("save_as", f":{name}")
        office("close")
        assert name in peer.names()
        assert office("open", f":{name}") == "writable"
        office("close")
    with LIBREOFFICE.step("do not open for writing what somebody else has locked", kind):
        body = (
            '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype>'
            "<owner>another</owner></lockinfo>"
        )
        peer.request("LOCK", "letter.odt", expect=200, content=body)
        assert office("open", ":letter.odt") == "not opened"  # it would ask, and nobody is there to answer
    watch.check("PROPFIND 404", "HEAD 404", "GET 404", "PUT 423", "LOCK 423")
