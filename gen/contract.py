"""Compiles proto/ into one descriptor set, from which everything in gen/ is then generated, and reads it.

protoc comes from grpcio-tools, Google's .proto files from googleapis-common-protos, and the validation rules from the
descriptor inside protovalidate, which ships no .proto file: so nothing is vendored or downloaded.
"""

import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

import protovalidate._gen.buf.validate.validate_pb as protovalidate_rules
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

ROOT = Path(__file__).parent.parent
PROTO = ROOT / "proto"
GOOGLE_PROTO = Path(
    sysconfig.get_path("purelib")
)  # googleapis-common-protos keeps its sources beside its modules

VALIDATE = "buf/validate/validate.proto"
# Errors carry these types inside `Any`: nothing imports them, yet Envoy must know them to print an error as JSON.
ERROR_TYPES = ["google/rpc/error_details.proto", "google/rpc/status.proto"]


def own_files() -> list[str]:
    return sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))


def protoc(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        sys.exit(f"protoc failed:\n{finished.stderr}")


def compile_contract(folder: Path) -> Path:
    """Writes the whole contract, with imports and comments, as a FileDescriptorSet into `folder`."""
    rules = FileDescriptorSet()
    rules.file.add().ParseFromString(protovalidate_rules._DESC.proto.to_binary())  # noqa: SLF001  # version is pinned
    (folder / "validate.binpb").write_bytes(rules.SerializeToString(deterministic=True))

    contract = folder / "contract.binpb"
    protoc(
        f"--descriptor_set_in={folder / 'validate.binpb'}",
        f"--proto_path={PROTO}",
        f"--proto_path={GOOGLE_PROTO}",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={contract}",
        *own_files(),
        *ERROR_TYPES,
    )
    return contract


# What a descriptor holds that has a name of its own and may have a comment; from descriptor.proto.
PARTS = {
    "FileDescriptorProto": ["message_type", "enum_type", "service"],
    "DescriptorProto": ["field", "oneof_decl", "nested_type", "enum_type"],
    "EnumDescriptorProto": ["value"],
    "ServiceDescriptorProto": ["method"],
}


class Contract:
    """The compiled contract: its descriptors by full name, their comments, and their options.

    Descriptors are typed as Any, for their classes are made at run time: only classes made from the contract itself
    know the options that it declares, such as `google.api.http` and `buf.validate.field`.
    """

    def __init__(self, compiled: bytes) -> None:
        self._pool = DescriptorPool()
        for file in FileDescriptorSet.FromString(compiled).file:
            self._pool.AddSerializedFile(file.SerializeToString())
        set_class: Any = GetMessageClass(
            self._pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")
        )
        self.files: list[Any] = list(set_class.FromString(compiled).file)
        self.comments: dict[str, str] = {}
        self._by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in PARTS}
        for file in self.files:
            comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
            self._index(file, file.package, (), comments)
        self.messages = self._by_kind["DescriptorProto"]
        self.enums = self._by_kind["EnumDescriptorProto"]
        self.services = self._by_kind["ServiceDescriptorProto"]

    def option(self, descriptor: Any, name: str) -> Any | None:
        """The value of the option `name` of a descriptor; None if it is not set."""
        extension = self._pool.FindExtensionByName(name)
        options = descriptor.options
        is_set = options.Extensions[extension] if extension.is_repeated else options.HasExtension(extension)
        return options.Extensions[extension] if is_set else None

    def _index(
        self, descriptor: Any, name: str, path: tuple[int, ...], comments: dict[tuple[int, ...], str]
    ) -> None:
        """Notes a descriptor and its parts. A comment is found by path: field number and index, from the file down."""
        kind = descriptor.DESCRIPTOR
        self._by_kind.setdefault(kind.name, {})[name] = descriptor
        self.comments[name] = textwrap.dedent(comments.get(path, "")).strip()
        for part in PARTS.get(kind.name, []):
            number = kind.fields_by_name[part].number
            for i, child in enumerate(getattr(descriptor, part)):
                self._index(child, f"{name}.{child.name}", (*path, number, i), comments)
