"""The supervisor, with small real programs as its children."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from taskflow_dev.log import Log
from taskflow_dev.program import NotStartedError, Program, remember, stop_leftovers, wait_until
from taskflow_dev.supervisor import Supervisor

# Writes its process id as a line of the file, and says its name there when it is told to stop.
STEADY = """
import os, signal, sys
name, journal = sys.argv[1:]
def note(line):
    with open(journal, "a") as file:
        file.write(line + "\\n")
def stop(*_):
    note(f"{name} stopped")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
note(f"{name} {os.getpid()}")
while True:
    signal.pause()
"""
STUBBORN = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("mule", os.getpid(), file=open(sys.argv[1], "a", buffering=1))
while True:
    signal.pause()
"""
IDLE = "import signal; signal.pause()"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("child", child.pid, file=open(sys.argv[1], "a", buffering=1))
child.wait()
"""


class Journal:
    """What the programs of a test wrote down."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def has(self, count: int) -> bool:
        return len(self.lines()) >= count

    def until(self, count: int) -> list[str]:
        assert wait_until(lambda: self.has(count), seconds=20)
        return self.lines()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    return Supervisor(tmp_path, Log())


def steady(name: str, journal: Journal) -> Program:
    command = (sys.executable, "-c", STEADY, name, str(journal.file))
    return Program(
        name, command, is_ready=lambda: any(line.startswith(f"{name} ") for line in journal.lines())
    )


def process_id(line: str) -> int:
    return int(line.split()[1])


def until_gone(*process_ids: int) -> None:
    alive = [psutil.Process(each) for each in process_ids if psutil.pid_exists(each)]
    _, left = psutil.wait_procs(alive, timeout=20)
    assert not left


async def test_a_killed_program_is_started_again(
    supervisor: Supervisor, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    async with supervisor:
        await supervisor.start(steady("clock", journal))
        first = process_id(journal.lines()[0])
        psutil.Process(first).kill()
        second = process_id((await asyncio.to_thread(journal.until, 2))[1])
        assert second != first
    assert "clock was ended by SIGKILL: starting it again in 0.5 s" in capsys.readouterr().out
    until_gone(first, second)


async def test_the_inner_supervisor_stops_before_the_outer(tmp_path: Path, journal: Journal) -> None:
    async with Supervisor(tmp_path, Log()) as databases, Supervisor(tmp_path, Log()) as processes:
        await databases.start(steady("database", journal))
        await processes.start(steady("worker", journal))
    assert journal.lines()[2:] == ["worker stopped", "database stopped"]


async def test_a_program_that_does_not_stop_is_killed(
    supervisor: Supervisor, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    command = (sys.executable, "-c", STUBBORN, str(journal.file))
    async with supervisor:
        await supervisor.start(Program("mule", command, is_ready=lambda: journal.has(1), stop_seconds=0.1))
    assert "mule did not stop within 0.1 s: killing it" in capsys.readouterr().out
    assert not psutil.pid_exists(process_id(journal.lines()[0]))


async def test_what_a_program_leaves_behind_is_killed(supervisor: Supervisor, journal: Journal) -> None:
    async with supervisor:
        command = (sys.executable, "-c", PARENT, str(journal.file))
        await supervisor.start(Program("parent", command, is_ready=lambda: journal.has(1)))
        child = process_id(journal.lines()[0])
    until_gone(child)


async def test_a_program_that_ends_before_it_is_ready_fails_the_start(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Program("broken", (sys.executable, "-c", "exit('no luck')"), is_ready=lambda: False)
    with pytest.raises(NotStartedError, match="broken ended with status 1 before it was ready"):
        async with supervisor:
            await supervisor.start(broken)
    assert "broken          no luck" in capsys.readouterr().out


async def test_a_program_that_takes_too_long_fails_the_start(supervisor: Supervisor) -> None:
    slow = Program("slow", (sys.executable, "-c", IDLE), is_ready=lambda: False, start_seconds=0.1)
    with pytest.raises(NotStartedError, match="slow was not ready within"):
        async with supervisor:
            await supervisor.start(slow)


async def test_a_failed_job_is_an_error(supervisor: Supervisor) -> None:
    async with supervisor:
        await supervisor.run(Program("fine", (sys.executable, "-c", "")))
        with pytest.raises(NotStartedError, match="job ended with status 3"):
            await supervisor.run(Program("job", (sys.executable, "-c", "exit(3)")))


async def test_every_line_says_who_wrote_it(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); print('x' * 200_000, end='')"
    async with supervisor:
        await supervisor.run(Program("talker", (sys.executable, "-uc", code)))
    assert capsys.readouterr().out.splitlines() == [
        "talker          one",
        "talker          two",
        "talker          " + "x" * 200_000,
    ]


async def test_all_can_be_killed_at_once(supervisor: Supervisor, journal: Journal) -> None:
    async with supervisor:
        await supervisor.start(steady("busy", journal))
        supervisor.kill()
    assert "busy stopped" not in journal.lines()
    until_gone(process_id(journal.lines()[0]))


@pytest.mark.skipif(sys.platform != "linux", reason="where the kernel tells children of their parent's death")
def test_programs_end_when_their_supervisor_is_killed(tmp_path: Path, journal: Journal) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from taskflow_dev.log import Log
from taskflow_dev.program import Program
from taskflow_dev.supervisor import Supervisor
async def main():
    async with Supervisor(Path({str(tmp_path)!r}), Log()) as supervisor:
        await supervisor.start(Program("child", (sys.executable, "-c", {STEADY!r}, "child", {str(journal.file)!r})))
        await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code]) as supervisor:
        child = process_id(journal.until(1)[0])
        supervisor.kill()
    until_gone(child)


def test_the_next_start_stops_what_was_left(tmp_path: Path, journal: Journal) -> None:
    program = steady("left", journal)
    with subprocess.Popen(program.command, start_new_session=True) as process:
        journal.until(1)
        remember(program, process.pid, tmp_path)
        assert stop_leftovers(tmp_path) == ["left"]
    assert journal.lines()[1:] == ["left stopped"]
    assert stop_leftovers(tmp_path) == []


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path, journal: Journal) -> None:
    program = steady("other", journal)
    with subprocess.Popen(program.command, start_new_session=True) as process:
        journal.until(1)
        (tmp_path / "other.pid").write_text(f"{process.pid} 1.0 {int(signal.SIGTERM)}\n")
        assert stop_leftovers(tmp_path) == []
        assert process.poll() is None
        process.terminate()
