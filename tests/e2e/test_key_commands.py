"""`davserver keys` while the server runs: a new key at once, the old one retired; wrong keys at the start."""

import time

import httpx
from sqlalchemy import update

from davserver.db.rows import MasterKeyRow
from davserver.db.units import Database
from tests.support.davserver import Deployment

WAIT_SECONDS = 60.0


def settled(deployment: Deployment) -> str:
    """The list of keys, once nothing is being re-wrapped any more."""
    deadline = time.monotonic() + WAIT_SECONDS
    while "Re-wrapping" in (told := deployment.run("keys", "list").stdout):
        assert time.monotonic() < deadline, told
        time.sleep(0.1)
    return told


def database_of(deployment: Deployment) -> Database:
    data = deployment.settings["DAVSERVER_DATA_DIR"]
    return Database(deployment.settings.get("DATABASE_URL", f"sqlite:///{data}/davserver.db"))


def let_grace_pass(deployment: Deployment) -> None:
    database = database_of(deployment)
    with database.write() as unit:
        unit.connection.execute(update(MasterKeyRow).where(MasterKeyRow.superseded_at > 1).values(superseded_at=1))
    database.close()


def test_a_key_is_rotated_under_a_running_server_and_the_old_one_retired(embedded: Deployment) -> None:
    server = embedded.start()
    user = embedded.add_user()
    bodies = {f"f{number}": bytes([number]) * (100 if number % 2 else 50_000) for number in range(6)}
    with httpx.Client(base_url=server.url, auth=user.auth) as client:
        for name, body in bodies.items():
            client.put(name, content=body).raise_for_status()
        old = embedded.run("keys", "list").stdout.splitlines()[1].split()[0]
        assert "seals what is new" in embedded.run("keys", "retire", old, check=False).stderr
        embedded.run("keys", "rotate")
        client.put("new", content=b"n" * 90_000).raise_for_status()
        lines = [line.split() for line in settled(embedded).splitlines()[1:]]
        assert [line[1:3] for line in lines] == [["current", "7"], ["known", "0"]], lines
        refused = embedded.run("keys", "retire", old, check=False)
        assert refused.returncode == 1
        let_grace_pass(embedded)
        deadline = time.monotonic() + 120  # until the server's processes have said which key they seal with
        while "still seal" in (done := embedded.run("keys", "retire", old, check=False)).stderr:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert done.returncode == 0, done.stderr
        assert old not in embedded.run("keys", "list").stdout
        for name, body in bodies.items():
            assert client.get(name).content == body
    server.stop()
    assert embedded.run("verify", "--deep").returncode == 0
    keys = embedded.folder / "data" / "keys.json"
    keys.rename(keys.with_name("lost"))
    lost = embedded.run("serve", check=False)
    assert lost.returncode == 2
    assert "which the key ring lacks" in lost.stderr
    embedded.run("keys", "add", "--import", str(keys.with_name("lost")))
    started = embedded.start()
    with httpx.Client(base_url=started.url, auth=user.auth) as client:
        assert client.get("new").content == b"n" * 90_000


def test_with_keys_in_the_environment_the_commands_say_what_to_set(deployment: Deployment) -> None:
    if deployment.kind == "embedded":
        deployment.run("keys", "add")
        ring = deployment.run("config", "show").stdout
        assert "DAVSERVER_MASTER_KEYS" not in ring
        return
    server = deployment.start()
    assert "keys add first" in deployment.run("keys", "rotate", check=False).stderr
    added = deployment.run("keys", "add").stdout.splitlines()[0].partition("=")[2]
    spare = added.rpartition(",")[2].partition(":")[0]
    hasty = ",".join(reversed(added.split(",")))
    before = dict(deployment.settings)
    deployment.settings["DAVSERVER_MASTER_KEYS"] = hasty
    refused = deployment.run("serve", check=False)
    assert refused.returncode == 2
    assert "must not seal anything yet" in refused.stderr
    deployment.settings = {**before, "DAVSERVER_MASTER_KEYS": added}
    server.stop()
    second = deployment.start()
    rotated = deployment.run("keys", "rotate", spare).stdout.splitlines()[0].partition("=")[2]
    assert rotated == hasty
    deployment.settings["DAVSERVER_MASTER_KEYS"] = rotated
    third = deployment.start()
    second.stop()
    deployment.run("keys", "rotate", spare)
    settled(deployment)
    third.stop()
