"""The shipped envoy.yaml agrees with the contract."""

import re
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from taskflow_core.settings import Settings
from taskflow_dev.envoy import load_configuration, transcoder, validate
from taskflow_proto.v1 import errors_pb2


def descriptors() -> descriptor_pb2.FileDescriptorSet:
    with open(transcoder(load_configuration())["proto_descriptor"], "rb") as file:  # noqa: PTH123
        return descriptor_pb2.FileDescriptorSet.FromString(file.read())


HTTP: Any = annotations_pb2.http  # its stub has a plain descriptor


def local_errors() -> list[dict[str, Any]]:
    listener = load_configuration()["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    mappers = manager["local_reply_config"]["mappers"]
    return [mapper["body_format_override"]["json_format"] for mapper in mappers]


def test_envoy_accepts_the_shipped_configuration() -> None:
    validate(load_configuration())


def test_every_service_with_rest_paths_is_transcoded() -> None:
    with_paths = {
        f"{file.package}.{service.name}"
        for file in descriptors().file
        for service in file.service
        if any(method.options.HasExtension(HTTP) for method in service.method)
    }
    services = transcoder(load_configuration())["services"]
    assert sorted(services) == services
    assert set(services) == with_paths


def test_streams_have_paths_that_envoy_gives_time() -> None:
    routes = load_configuration()["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    patient = [
        re.compile(route["match"]["safe_regex"]["regex"])
        for route in routes["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
        if route["route"].get("timeout") == "0s"
    ]
    for file in descriptors().file:
        for service in file.service:
            for method in service.method:
                path = method.options.Extensions[HTTP].get
                if method.name.startswith(("Watch", "Stream")) and path:
                    assert any(pattern.fullmatch(path) for pattern in patient), path


def test_errors_of_envoy_have_reasons_of_the_contract() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118
    for error in local_errors():
        (detail,) = error["details"]
        assert detail["reason"] in reasons
        assert detail["domain"] == "taskflow"


def test_the_limit_of_a_body_is_that_of_a_message() -> None:
    assert transcoder(load_configuration())["max_request_body_size"] == Settings().max_message_bytes
