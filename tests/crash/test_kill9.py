"""kill -9 of all server processes at random moments, while clients upload, move, copy and delete without pause.

Every write that was acknowledged is there afterwards, byte for byte; of what was under way, all or nothing is there; and
`davserver verify --deep` finds nothing, right after the restart and under load.
"""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.support.crashing import Client, Fleet
from tests.support.davserver import Deployment

FULL = bool(os.environ.get("DAVSERVER_PROVE"))
KILLS = int(os.environ.get("DAVSERVER_KILLS", "200" if FULL else "5"))
CLIENTS = 4
SEED = int(os.environ.get("DAVSERVER_SEED", "1"))
SETTLE_SECONDS = 120.0
VERIFY_EVERY = 10 if FULL else 2


def settled(clients: list[Client], generation: int) -> bool:
    """Wait until every client has seen that all is as it should be on this server; whether that happened in time."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        if any(client.failure for client in clients):
            return False
        if all(client.settled == generation for client in clients):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * KILLS)
def test_what_was_acknowledged_survives_every_kill(
    deployment: Deployment, record_property: Callable[[str, object], None]
) -> None:
    moments = random.Random(SEED)
    users = [deployment.add_user(), deployment.add_user()]
    fleet = Fleet(deployment)
    clients = [Client(fleet, users[n % 2], f"client-{n}", SEED * 1000 + n) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for kill in range(1, KILLS + 1):
            assert settled(clients, fleet.generation), told(clients, kill, fleet)
            time.sleep(moments.uniform(0.0, 1.5))
            fleet.kill()
            if kill % VERIFY_EVERY == 0:
                done = deployment.run("verify", "--deep", check=False)
                assert done.returncode == 0, f"after kill {kill}:\n{done.stdout}{done.stderr}"
        assert settled(clients, fleet.generation), told(clients, KILLS, fleet)
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
    assert not any(client.failure for client in clients), told(clients, KILLS, fleet)
    done = deployment.run("verify", "--deep", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    acknowledged = sum(client.done for client in clients)
    uncertain = sum(client.uncertain for client in clients)
    record_property("kills", KILLS)
    record_property("acknowledged", acknowledged)
    record_property("under way when killed", uncertain)
    print(f"{deployment.kind}: {KILLS} kills, {acknowledged} acknowledged writes, {uncertain} under way when killed")
    assert acknowledged > KILLS
    assert uncertain > 0


def told(clients: list[Client], kill: int, fleet: Fleet) -> str:
    """What went wrong, for whoever reads the test's output."""
    log = fleet.server.log
    trouble = log[max(0, log.find("Traceback") - 500) :][:5000] if "Traceback" in log else ""
    lines = [f"client {c.name}: settled on {c.settled}, {c.done} done, {c.failure or 'well'}" for c in clients]
    return f"after kill {kill}, seed {SEED}:\n" + "\n".join(lines) + "\n" + trouble
