"""Clients that cannot be run here, by what they send: each script of `scripts/` against both deployments."""

import re
from pathlib import Path

import pytest

from tests.replays.runner import Replay
from tests.replays.script import Script, Step, read_script
from tests.support.matrix import Client
from tests.support.source import document

SCRIPTS = [read_script(path) for path in sorted((Path(__file__).parent / "scripts").glob("*.replay"))]


def shown(step: Step) -> str:
    return f"{step.id}: {step.title}"


CLIENTS = {
    script.name: Client(
        script.client, "replayed", f"tests/replays/scripts/{script.name}.replay", tuple(map(shown, script.steps))
    )
    for script in SCRIPTS
}


@pytest.mark.server
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_client_gets_what_it_needs(script: Script, deployment_kind: str, request: pytest.FixtureRequest) -> None:
    if script.settings:
        deployment = request.getfixturevalue("deployment")
        server = deployment.start(**script.settings)
    else:
        deployment = request.getfixturevalue("shared_deployment")
        server = deployment.servers[0]
    user = deployment.add_user(None, *(["--quota", script.quota] if script.quota else []))
    assert script.steps
    with Replay(script, server.url, user.auth) as replay:
        for step in script.steps:
            with CLIENTS[script.name].step(shown(step), deployment_kind):
                replay.run_step(step)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_step_names_rules_that_are_written_down(script: Script) -> None:
    known = set(re.findall(r"^\| (R\d+) \|", document("docs/client-rules.md"), re.MULTILINE))
    assert all(step.rules for step in script.steps)
    assert not {rule for step in script.steps for rule in step.rules} - known


def test_every_replayed_client_is_in_the_documents() -> None:
    page = document("docs/clients-replayed.md")
    missing = [script.name for script in SCRIPTS if f"`{script.name}.replay`" not in page]
    assert not missing
