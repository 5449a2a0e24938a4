"""The contract as a whole: what holds for every RPC of it."""

from typing import Any

import pytest
from google.api.annotations_pb2 import http
from google.protobuf.descriptor import MethodDescriptor

from taskflow_server import contract

# RPCs that REST does not have, each with its reason.
GRPC_ONLY = {
    "taskflow.v1.TaskService/SubmitTasks": "HTTP has no stream of requests with an answer to each: use :batchCreate",
}


HTTP: Any = http  # its stub has a plain descriptor
METHODS = [method for service in contract.services() for method in service.methods]


@pytest.mark.parametrize("method", METHODS, ids=contract.path)
def test_every_rpc_is_in_rest_unless_there_is_a_reason(method: MethodDescriptor) -> None:
    in_rest = HTTP in method.GetOptions().Extensions
    assert in_rest is (contract.path(method) not in GRPC_ONLY)
