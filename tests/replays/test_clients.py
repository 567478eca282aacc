"""Clients that cannot be run here, by what they send: each script of `scripts/` against both deployments."""

import re
from pathlib import Path

import pytest

from tests.replays.runner import Replay
from tests.replays.script import Script, read_script
from tests.support.source import document

SCRIPTS = [read_script(path) for path in sorted((Path(__file__).parent / "scripts").glob("*.replay"))]


@pytest.mark.server
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_client_gets_what_it_needs(script: Script, deployment_kind: str, request: pytest.FixtureRequest) -> None:
    if script.settings:
        deployment = request.getfixturevalue("deployment")
        url, user = deployment.start(**script.settings).url, deployment.add_user()
    else:
        drive = request.getfixturevalue("drive")
        url, user = drive.url, drive.user
    with Replay(script, url, user.auth) as replay:
        assert replay.run() == len(script.steps) > 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_step_names_rules_that_are_written_down(script: Script) -> None:
    known = set(re.findall(r"^\| (R\d+) \|", document("docs/client-rules.md"), re.MULTILINE))
    assert all(step.rules for step in script.steps)
    assert not {rule for step in script.steps for rule in step.rules} - known


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_two_steps_have_one_name(script: Script) -> None:
    names = [step.id for step in script.steps]
    assert len(names) == len(set(names))
