"""Generates the code of clients in other languages, each with the generators that its own package manager pins.

These copies of the contract leave out what is for the server (HTTP rules, field behaviour, validation), so that clients
need not import the packages that declare it.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from contract import ERROR_TYPES, ROOT, own_files, protoc

GO = ROOT / "gen/go"
TYPESCRIPT = ROOT / "gen/typescript"
TOOLS = ROOT / "gen/.tools"  # ignored by git; what is there is used without network
# Go's own place is often not on the PATH of non-interactive shells.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/go/bin"])


class MissingToolError(Exception):
    """The generators of a language are neither installed nor to be had; says why."""


def write_go(contract: Path, folder: Path) -> None:
    install_once(
        [require("go"), "install", "tool"], GO, "go.sum", TOOLS / "protoc-gen-go", {"GOBIN": str(TOOLS)}
    )
    folder.mkdir()
    module = ["--go_opt=module=taskflow/gen/go", "--go-grpc_opt=module=taskflow/gen/go"]
    with for_clients(contract) as source:
        protoc(
            f"--descriptor_set_in={source}",
            f"--plugin={TOOLS / 'protoc-gen-go'}",
            f"--plugin={TOOLS / 'protoc-gen-go-grpc'}",
            f"--go_out={folder.parent}",
            f"--go-grpc_out={folder.parent}",
            *module,
            *own_files(),
        )


def write_typescript(contract: Path, folder: Path) -> None:
    install_once(
        [require("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        TYPESCRIPT,
        "package-lock.json",
        TYPESCRIPT / "node_modules/.package-lock.json",
    )
    folder.mkdir()
    with for_clients(contract) as source:
        protoc(
            f"--descriptor_set_in={source}",
            f"--plugin={TYPESCRIPT / 'node_modules/.bin/protoc-gen-es'}",
            f"--es_out={folder}",
            "--es_opt=target=js+dts,import_extension=js",
            *own_files(),
            *ERROR_TYPES,
            "google/api/httpbody.proto",
        )


@contextmanager
def for_clients(contract: Path) -> Iterator[Path]:
    """A copy of the contract without custom options, and without imports of the files that declare them."""
    copy = FileDescriptorSet.FromString(contract.read_bytes())
    declaring = {file.name for file in copy.file if file.extension}
    copy.DiscardUnknownFields()  # the options: this process never learns what they are
    for file in copy.file:
        kept = [name for name in file.dependency if name not in declaring]
        file.dependency[:] = kept
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "clients.binpb")
        path.write_bytes(copy.SerializeToString(deterministic=True))
        yield path


def require(program: str) -> str:
    found = shutil.which(program, path=SEARCH_PATH)
    if found is None:
        raise MissingToolError(f"`{program}` is not installed")
    return found


def install_once(
    command: list[str], folder: Path, lock: str, installed: Path, environment: dict[str, str] | None = None
) -> None:
    """Runs an installation in `folder`, unless `installed` is newer than the lock file."""
    if installed.exists() and installed.stat().st_mtime >= (folder / lock).stat().st_mtime:
        return
    print(f"installing the generators of {folder.relative_to(ROOT)} (once)")
    variables = os.environ | {"PATH": SEARCH_PATH} | (environment or {})
    finished = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise MissingToolError(f"`{' '.join(command)}` failed:\n{finished.stderr.strip()}")
    installed.touch()
