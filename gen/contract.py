"""Compiles proto/ into one descriptor set, from which everything in gen/ is then generated.

protoc comes from grpcio-tools, Google's .proto files from googleapis-common-protos, and the validation rules from the
descriptor inside protovalidate, which ships no .proto file: so nothing is vendored or downloaded.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

import protovalidate._gen.buf.validate.validate_pb as protovalidate_rules
from google.protobuf.descriptor_pb2 import FileDescriptorSet

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
