"""The command `taskflow` and its sub-commands."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from taskflow_cli.__main__ import GROUP, load, main

HEAVY = (
    "grpc",
    "google.protobuf",
    "sqlalchemy",
    "pydantic",
    "taskflow_core",
    "taskflow_server",
    "taskflow_worker",
)


def test_help_lists_the_commands_and_imports_none() -> None:
    code = (
        "import sys; from taskflow_cli.__main__ import main; main(['--help'], standalone_mode=False);"
        f"print('imported', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for command in ("dev", "migrate", "scheduler", "server", "worker"):
        assert f"\n  {command} " in output
    assert "imported []" in output


def test_the_module_runs_like_the_command() -> None:
    command = [sys.executable, "-m", "taskflow_cli", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith(
        "taskflow, version "
    )


def test_an_unknown_command_is_named() -> None:
    result = CliRunner().invoke(main, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.output


def test_a_missing_library_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text("import no_such_library.part\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(click.ClickException) as caught:
        load(EntryPoint("server", "needy:server", GROUP))
    assert (
        caught.value.message == "`taskflow server` needs no_such_library: pip install 'taskflow-grpc[server]'"
    )


def test_a_missing_module_of_ours_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").touch()
    (tmp_path / "broken" / "commands.py").write_text("import broken.gone\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError):
        load(EntryPoint("server", "broken.commands:server", GROUP))
