"""What the contract has and this server does not yet."""

from typing import NoReturn

from google.protobuf.descriptor import MethodDescriptor

from taskflow_server import contract
from taskflow_server.errors import NotBuilt


def not_built(method: MethodDescriptor) -> NoReturn:
    raise NotBuilt(f"{contract.path(method)} is not built yet", method=contract.path(method))
