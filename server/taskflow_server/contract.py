"""The services of the contract, found in the generated modules so that nothing has to be listed."""

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

import taskflow_proto.v1


@dataclass(frozen=True)
class Service:
    """One service: its description, and the generated class that its servicer derives from."""

    descriptor: ServiceDescriptor
    servicer_base: type

    @property
    def name(self) -> str:
        """Such as `taskflow.v1.TaskService`."""
        return self.descriptor.full_name

    @property
    def methods(self) -> list[MethodDescriptor]:
        return list(self.descriptor.methods)

    def implements(self, servicer: object, method: MethodDescriptor) -> bool:
        """Whether `servicer` has a method of its own, not the one that the generated class inherits to it."""
        own = getattr(type(servicer), method.name, None)
        return own is not getattr(self.servicer_base, method.name)


@cache
def path(method: MethodDescriptor) -> str:
    """The name of an RPC as callers write it: `taskflow.v1.TaskService/CreateTask`."""
    return f"{method.containing_service.full_name}/{method.name}"


@cache
def services() -> tuple[Service, ...]:
    """All services of the contract, by name."""
    found = [
        Service(descriptor, getattr(stubs, f"{name}Servicer"))
        for module_name in _service_modules()
        for stubs in [importlib.import_module(f"{module_name}_grpc")]
        for name, descriptor in importlib.import_module(module_name).DESCRIPTOR.services_by_name.items()
    ]
    return tuple(sorted(found, key=lambda service: service.name))


def _service_modules() -> list[str]:
    package = taskflow_proto.v1
    return [
        f"{package.__name__}.{module.name}"
        for module in pkgutil.iter_modules(package.__path__)
        if module.name.endswith("_service_pb2")
    ]
