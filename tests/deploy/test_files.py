"""Dockerfile, compose file and manifests: no engine is here to run them, so what can be checked without one is checked."""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from davserver.cli.parser import build_parser
from davserver.config import SETTINGS, load
from tests.support.davserver import Deployment
from tests.support.source import ROOT

BIN = Path(sys.executable).parent
KNOWN = {setting.env for setting in SETTINGS}
KUBERNETES = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))


def lint(*command: str) -> None:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def ours() -> dict[str, Any]:
    """The services that run our image."""
    return {name: one for name, one in compose()["services"].items() if one["image"].startswith("davserver:")}


def manifests() -> list[Any]:
    return [one for path in KUBERNETES for one in yaml.safe_load_all(path.read_text())]


def containers() -> Iterator[Any]:
    for one in manifests():
        if one["kind"] in {"Deployment", "Job"}:
            yield from one["spec"]["template"]["spec"]["containers"]


def commands() -> set[str]:
    [group] = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return set(group.choices)


def test_the_dockerfile_passes_hadolint() -> None:
    lint("hadolint", "Dockerfile")


def test_the_compose_file_follows_the_compose_specification() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_the_manifests_follow_the_schemas_of_kubernetes(path: Path) -> None:
    lint("kubernetes-validate", "--strict", str(path))


def test_every_setting_in_them_exists_and_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = f"k1:{'A' * 43}="
    given = {"MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b", "DAVSERVER_MASTER_KEYS": keys, "SECRET_KEY": "s" * 64}
    for name, service in ours().items():
        environment = {
            key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for key, value in service["environment"].items()
        }
        assert environment.keys() <= KNOWN, name
        load(environment | ({k: v for k, v in given.items() if k in environment}))
    settings = [one for one in manifests() if one["kind"] in {"ConfigMap", "Secret"}]
    together = {key: value for one in settings for key, value in (one.get("data") or one["stringData"]).items()}
    assert together.keys() <= KNOWN
    load(together)
    in_image = re.findall(r"^\s+(DAVSERVER_\w+)=", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert in_image
    assert set(in_image) <= KNOWN


def test_every_variable_of_the_compose_file_is_explained() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    told = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked <= told


def test_every_command_in_them_exists() -> None:
    used = [service["command"] for service in ours().values() if "command" in service]
    used += [container["args"] for container in containers()]
    assert {command[0] for command in used} == {"serve", "worker", "beat", "migrate"}
    for command in used:
        build_parser().parse_args(command)


def test_nothing_of_ours_runs_with_more_rights_than_it_needs() -> None:
    for service in ours().values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    for container in containers():
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
    assert "\nUSER 10001:10001\n" in (ROOT / "Dockerfile").read_text()


def test_services_wait_for_what_they_need() -> None:
    services = compose()["services"]
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "test" in services[name]["healthcheck"]
    volumes = {v.split(":")[0] for s in services.values() for v in s.get("volumes", []) if not v.startswith(".")}
    assert volumes == compose()["volumes"].keys()


@pytest.mark.server
def test_the_health_check_of_the_image_tells_a_living_server_from_none(embedded: Deployment) -> None:
    found = re.search(r"^HEALTHCHECK [^\n]*\n\s+CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found is not None
    command = [sys.executable if word == "python" else word for word in json.loads(found[1])]
    server = embedded.start()
    environment = {"DAVSERVER_PORT": str(server.address[1])}
    assert subprocess.run(command, check=False, env=environment, timeout=30).returncode == 0
    server.stop()
    assert subprocess.run(command, check=False, env=environment, timeout=30, stderr=subprocess.DEVNULL).returncode != 0


def test_the_dashboard_asks_for_figures_that_there_are() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    dashboard = json.loads((ROOT / "deploy/grafana/davserver.json").read_text())
    asked = {n for p in dashboard["panels"] for t in p["targets"] for n in re.findall(r"davserver_\w+", t["expr"])}
    assert len(asked) > 10
    assert all(re.sub("_bucket$", "", name) in page for name in asked)
