"""Writes everything in gen/ that is generated from proto/; with --check, only says what of it is stale.

Each generator below owns one folder of gen/, which it fills from the compiled contract. Go and TypeScript need their
toolchains; where one is missing, that language is left as it is, except in continuous integration.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from clients import MissingToolError, write_go, write_typescript
from contract import ERROR_TYPES, VALIDATE, Contract, compile_contract, own_files, protoc
from openapi import openapi

GEN = Path(__file__).parent
# The start of `from taskflow.v1 import ...` and of `from buf.validate import ...`, as protoc writes them.
OWN_IMPORT = re.compile(r"^from (?:taskflow\.|(?=buf\.))", re.MULTILINE)


def write_python(contract: Path, folder: Path) -> None:
    """Messages and services, moved to `taskflow_proto`: the import name `taskflow` belongs to OpenStack's library."""
    files = FileDescriptorSet.FromString(contract.read_bytes()).file
    services = [file.name for file in files if file.service]
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name)
        source = f"--descriptor_set_in={contract}"
        protoc(source, f"--python_out={raw}", f"--pyi_out={raw}", *own_files(), VALIDATE)
        plugin = f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}"
        protoc(source, plugin, f"--grpc_python_out={raw}", f"--mypy_grpc_out={raw}", *services)
        shutil.copytree(raw / "taskflow", folder)
        shutil.copytree(raw / "buf", folder / "buf")

    for module in folder.rglob("*.py*"):
        module.write_text(OWN_IMPORT.sub("from taskflow_proto.", module.read_text()))
    for package in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        (package / "__init__.py").touch()
    (folder / "py.typed").touch()


def write_descriptors(contract: Path, folder: Path) -> None:
    """The contract without comments, as Envoy's transcoder reads it."""
    folder.mkdir()
    everything = [*own_files(), *ERROR_TYPES]
    output = f"--descriptor_set_out={folder / 'taskflow.binpb'}"
    protoc(f"--descriptor_set_in={contract}", "--include_imports", output, *everything)


def write_openapi(contract: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "taskflow.json").write_text(openapi(Contract(contract.read_bytes())))


GENERATORS: dict[str, Callable[[Path, Path], None]] = {
    "python/taskflow_proto": write_python,
    "descriptors": write_descriptors,
    "openapi": write_openapi,
    "go/taskflow": write_go,
    "typescript/src": write_typescript,
}


def generate(into: Path) -> list[str]:
    """Fills the folders anew, and returns those it could."""
    written = []
    with tempfile.TemporaryDirectory() as name:
        contract = compile_contract(Path(name))
        for owned, write in GENERATORS.items():
            with tempfile.TemporaryDirectory() as fresh_name:
                fresh = Path(fresh_name, owned)
                fresh.parent.mkdir(parents=True, exist_ok=True)
                try:
                    write(contract, fresh)
                except MissingToolError as missing:
                    if "CI" in os.environ:
                        sys.exit(f"gen/{owned}: {missing}")
                    print(f"skipped gen/{owned}: {missing}")
                    continue
                shutil.rmtree(into / owned, ignore_errors=True)
                shutil.copytree(fresh, into / owned)
            written.append(owned)
    return written


def contents(root: Path, folders: list[str]) -> dict[str, bytes]:
    """The generated files in some folders of `root`, by their paths."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def check() -> None:
    with tempfile.TemporaryDirectory() as name:
        folders = generate(Path(name))
        fresh, committed = contents(Path(name), folders), contents(GEN, folders)
    stale = sorted(path for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))
    if stale:
        sys.exit("gen/ is stale: run `make gen` and commit\n" + "\n".join(f"  gen/{path}" for path in stale))


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        check()
    else:
        generate(GEN)
