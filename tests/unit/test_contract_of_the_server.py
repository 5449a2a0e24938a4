from pathlib import Path

import pytest

from taskflow_core.settings import Settings
from taskflow_proto.v1 import task_service_pb2_grpc
from taskflow_server.contract import Service, services
from taskflow_server.interceptors import Interceptors

PROTO = Path(__file__).parents[2] / "proto/taskflow/v1"


def test_every_service_of_the_contract_is_found() -> None:
    declared = {
        f"taskflow.v1.{line.split()[1]}"
        for file in PROTO.glob("*_service.proto")
        for line in file.read_text().splitlines()
        if line.startswith("service ")
    }

    assert {service.name for service in services()} == declared
    assert "taskflow.v1.TaskService" in declared


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_every_rpc_can_be_answered_before_it_is_built(service: Service) -> None:
    interceptors = Interceptors(Settings())

    for method in service.methods:
        handler = interceptors.around_nothing(method)
        assert handler.request_streaming == method.client_streaming
        assert handler.response_streaming == method.server_streaming


def test_a_servicer_implements_what_it_defines_itself() -> None:
    class OnlyGetTask(task_service_pb2_grpc.TaskServiceServicer):
        async def GetTask(self, request: object, context: object) -> object:  # type: ignore[override]
            raise NotImplementedError

    [tasks] = [service for service in services() if service.name == "taskflow.v1.TaskService"]
    servicer = OnlyGetTask()  # type: ignore[abstract]

    assert [method.name for method in tasks.methods if tasks.implements(servicer, method)] == ["GetTask"]
