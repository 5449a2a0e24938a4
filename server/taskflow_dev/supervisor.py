"""Keeps programs running: shows what they write, starts again those that end, and stops all at the end."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from asyncio.subprocess import Process
from pathlib import Path
from types import TracebackType
from typing import Self

from taskflow_dev.log import Log
from taskflow_dev.program import NotStartedError, Program, forget, kill_group, remember, wait_until

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
STEADY_SECONDS = 30.0  # after this long, a program is given the short pause again
LAST_LINES_SECONDS = 1.0


class Supervisor:
    """An asynchronous context: what was started in it is stopped, all at once, at its end.

    Nest two of them to stop some programs before others.
    """

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder = folder
        self._log = log
        self._running: dict[str, tuple[Program, Process]] = {}
        self._pumps: dict[str, asyncio.Task[None]] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = threading.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(self._stop(*child) for child in self._running.values()))

    async def start(self, *programs: Program) -> None:
        """Starts programs side by side, and keeps them running once all are ready.

        Raises NotStartedError if one ends or takes too long.
        """
        await asyncio.gather(*(self._start(program) for program in programs))

    async def run(self, program: Program) -> None:
        """Runs a program to its end. Raises NotStartedError if it fails."""
        process = await self._spawn(program)
        exit_status = await process.wait()
        await self._clean_up(program, process)
        if exit_status:
            raise NotStartedError(f"{program.name} {_ending(exit_status)}")

    def kill(self) -> None:
        """Kills all, for those who can't wait."""
        for _, process in self._running.values():
            kill_group(process.pid)

    async def _start(self, program: Program) -> None:
        process = await self._spawn(program)
        await self._until_ready(program, process)
        self._keepers.append(asyncio.create_task(self._keep(program, process)))

    async def _spawn(self, program: Program) -> Process:
        # A pipe of our own: asyncio's would hold back the end of a program until its children close it, too.
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *program.launch_command(),
                env=program.full_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,  # Ctrl-C is for us, who stop the programs in order
            )
        finally:
            os.close(write_end)
        self._running[program.name] = (program, process)
        self._pumps[program.name] = asyncio.create_task(self._pump(program.name, read_end))
        remember(program, process.pid, self._folder)
        return process

    async def _until_ready(self, program: Program, process: Process) -> None:
        def is_decided() -> bool:
            return self._stopping.is_set() or process.returncode is not None or program.is_ready()

        decided = await asyncio.to_thread(
            wait_until, is_decided, seconds=program.start_seconds, poll_seconds=program.poll_seconds
        )
        if process.returncode is not None:
            raise NotStartedError(f"{program.name} {_ending(process.returncode)} before it was ready")
        if not decided:
            raise NotStartedError(f"{program.name} was not ready within {program.start_seconds:.0f} s")

    async def _keep(self, program: Program, process: Process) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            exit_status = await process.wait()
            await self._clean_up(program, process)
            if time.monotonic() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self._log.say(
                f"{program.name} {_ending(exit_status)}: starting it again in {pause:g} s", problem=True
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            process = await self._spawn(program)

    async def _stop(self, program: Program, process: Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), program.stop_seconds)
        except TimeoutError:
            self._log.say(
                f"{program.name} did not stop within {program.stop_seconds:g} s: killing it", problem=True
            )
            process.kill()
            await process.wait()
        await self._clean_up(program, process)

    async def _clean_up(self, program: Program, process: Process) -> None:
        """After the end of a program: ends what it left behind, and shows its last lines."""
        kill_group(process.pid)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._pumps[program.name], LAST_LINES_SECONDS)
        forget(program, self._folder)

    async def _pump(self, name: str, read_end: int) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
        )
        try:
            rest = b""
            while chunk := await reader.read(64 * 1024):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._log.write(name, line.decode(errors="replace"))
            if rest:
                self._log.write(name, rest.decode(errors="replace"))
        finally:
            transport.close()


def _ending(exit_status: int) -> str:
    if exit_status < 0:
        return f"was ended by {signal.Signals(-exit_status).name}"
    return f"ended with status {exit_status}"
