"""Nextcloud's and ownCloud's sync clients: they want more than WebDAV, and say so before they change anything."""

from pathlib import Path

import pytest

from tests.support.daywork import Peer, Watch, private_home, run
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client, record
from tests.support.tools import need

SOURCE = "tests/clients/test_sync_clients.py"
STEPS = ("sync a folder",)
CLIENTS = {
    "nextcloudcmd": Client("Nextcloud's sync client (nextcloudcmd)", "driven", SOURCE, STEPS),
    "owncloudcmd": Client("ownCloud's sync client (owncloudcmd)", "driven", SOURCE, STEPS),
}
FIRST = {"nextcloudcmd": "status.php", "owncloudcmd": "ocs/v1.php/cloud/capabilities"}
"""What each asks for, and nothing after it."""


@pytest.mark.parametrize("command", CLIENTS)
def test_a_sync_client_ends_at_once_and_changes_nothing(
    command: str, drive: Drive, peer: Peer, watch: Watch, tmp_path: Path
) -> None:
    """They ask first for what only their own servers have."""
    local = tmp_path / "local"
    local.mkdir()
    (local / "mine.txt").write_bytes(b"mine")
    peer.put("theirs.txt", b"theirs")
    name, password = drive.user.auth
    host = drive.url.removesuffix("dav/")
    told = run(
        need(command), "--non-interactive", "--user", name, "--password", password, str(local), host,
        env=private_home(tmp_path, QT_QPA_PLATFORM="offscreen"), status=None, timeout=60,
    )  # fmt: skip
    assert "Error connecting to server" in told
    assert FIRST[command] in told
    assert peer.names() == {"theirs.txt"}
    assert (local / "mine.txt").read_bytes() == b"mine"
    assert not (local / "theirs.txt").exists()
    watch.check("GET 404")
    record(
        CLIENTS[command],
        "sync a folder",
        drive.deployment.kind,
        f"not offered: ends at the missing `{FIRST[command]}`, changes nothing",
    )
