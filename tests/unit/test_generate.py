import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from contract import Contract, compile_contract

GEN = Path(__file__).parents[2] / "gen"


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return Contract(compile_contract(tmp_path_factory.mktemp("contract")).read_bytes())


@pytest.fixture(scope="module")
def envoy_set() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((GEN / "descriptors/taskflow.binpb").read_bytes())


def test_generated_python_imports_nothing_by_a_name_that_is_not_ours() -> None:
    foreign = re.compile(r"^\s*(?:from|import) (?:taskflow|buf)\b.*$", re.MULTILINE)
    modules = list((GEN / "python").rglob("*.py*"))

    found = [
        line
        for module in modules
        if module.suffix in {".py", ".pyi"}
        for line in foreign.findall(module.read_text())
    ]

    assert modules
    assert found == []


def test_the_descriptor_set_has_the_types_that_errors_carry(envoy_set: FileDescriptorSet) -> None:
    messages = {f"{file.package}.{message.name}" for file in envoy_set.file for message in file.message_type}

    assert {
        "google.rpc.Status",
        "google.rpc.ErrorInfo",
        "google.rpc.BadRequest",
        "google.api.HttpBody",
    } <= messages


def test_the_descriptor_set_holds_every_import_before_its_use(envoy_set: FileDescriptorSet) -> None:
    seen: set[str] = set()
    for file in envoy_set.file:
        assert set(file.dependency) <= seen
        seen.add(file.name)


def test_the_descriptor_set_carries_no_comments(envoy_set: FileDescriptorSet) -> None:
    assert not any(file.HasField("source_code_info") for file in envoy_set.file)


def test_everything_in_the_contract_has_a_comment(contract: Contract) -> None:
    ours = {name: comment for name, comment in contract.comments.items() if name.startswith("taskflow.v1.")}
    generated = re.compile(r"Entry(\.(key|value))?$|\._\w+$")  # maps and presence, which protoc adds

    assert "taskflow.v1.Task.payload" in ours
    assert [name for name, comment in ours.items() if not comment and not generated.search(name)] == []


@pytest.mark.parametrize("language", ["go", "typescript/src"])
def test_clients_need_no_package_for_options_that_only_the_server_reads(language: str) -> None:
    sources = [path.read_text() for path in (GEN / language).rglob("*_service*") if path.is_file()]

    assert sources
    assert not any("buf/validate" in text or "field_behavior" in text for text in sources)
