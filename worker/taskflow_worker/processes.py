"""A pool of processes for work that keeps a CPU busy, where a call that is given up is killed.

Why not `concurrent.futures` or pebble: the first cannot stop a call that runs; the second is polled ten
times a second and is broken for good once an idle process dies (seen with 5.2.3). Neither has progress.
"""

import asyncio
import json
import os
import pickle
import signal
import socket
import struct
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from taskflow_core.progress import Progress

Result = TypeVar("Result")

# Both directions carry pickles, each behind its length in bytes.
LENGTH = struct.Struct("!Q")

# The process gets the path on which the worker finds its modules, to find the same functions.
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]);"
    "from taskflow_worker.process_main import main; main(int(sys.argv[1]))"
)


class ProcessDied(Exception):
    """The process that ran a function ended before the function did."""


class ProcessPool:
    """Up to `size` processes, each started when it is first needed and used again and again."""

    def __init__(self, size: int) -> None:
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    async def run(
        self,
        function: Callable[..., Result],
        *args: Any,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """What `function(*args)` returns in a process; waits for a free one.

        The function, its arguments and its result must be picklable. `on_progress` is called on the event
        loop with what the function reports: in order, the latest report for certain, some that it
        overtook left out. When the caller is cancelled the process is killed, with the processes the
        function started. Raises what the function raises, with the process's stack trace as a note, and
        ProcessDied.
        """
        call = pickle.dumps((function, args))
        async with self._free:
            worker = await self._take()
            try:
                succeeded, value = await worker.call(call, on_progress)
            except ProcessDied as error:
                raise ProcessDied(f"the process that ran {_name(function)} {error}") from None
            finally:
                if worker.busy:
                    self._all.discard(worker)
                    await worker.kill()
                else:
                    self._idle.append(worker)
        if succeeded:
            result: Result = value
            return result
        raise value

    async def close(self) -> None:
        """Kill all processes, also those that are busy; they are gone when this returns."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*(worker.kill() for worker in self._all))
        self._all.clear()

    async def _take(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            self._all.discard(worker)
            await worker.kill()
        worker = await _start()
        self._all.add(worker)
        if self._closed:
            await self.close()
            raise RuntimeError("the pool of processes is closed")
        return worker


class _Worker:
    """One process and the line to it."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.busy = False
        self._process = process
        self._reader = reader
        self._writer = writer

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._reader.at_eof()

    async def call(self, call: bytes, on_progress: Callable[[Progress], None] | None) -> tuple[bool, Any]:
        """Whether the function succeeded, and its result or error. `busy` stays set if this is left otherwise."""
        self.busy = True
        try:
            self._writer.write(LENGTH.pack(len(call)))
            self._writer.write(call)
            await self._writer.drain()
            while isinstance(message := await self._receive(), Progress):
                if on_progress is not None:
                    on_progress(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ProcessDied(_how_it_ended(await self._process.wait())) from None
        self.busy = False
        succeeded, value = message
        return succeeded, value

    async def kill(self) -> None:
        """End the process and those it has started."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()
        await self._process.wait()

    async def _receive(self) -> Any:
        (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        return pickle.loads(await self._reader.readexactly(length))  # noqa: S301 - from our own process


async def _start() -> _Worker:
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                START,
                str(theirs.fileno()),
                json.dumps(sys.path),
                stdin=DEVNULL,
                pass_fds=[theirs.fileno()],
                # A group of its own: Ctrl-C in the worker's terminal passes it by, and `kill` reaches all of it.
                start_new_session=True,
            )
        except BaseException:
            # A process that was started all the same sees its line closed and ends.
            writer.close()
            raise
    return _Worker(process, reader, writer)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}" + (
        ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
    )


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


class _Reporting:
    """Where the reports of the function that runs in this process go."""

    progress = Progress()
    send: Callable[[Progress], None] | None = None


# Set in the processes of a pool only; a function there has the process to itself.
reporting = _Reporting()


def report_progress(
    percent: float | None = None,
    message: str = "",
    *,
    current: float | None = None,
    total: float | None = None,
    unit: str = "",
) -> None:
    """Report how far the function has come, as `TaskContext.progress` does; never waits.

    For functions that run in a pool of processes. Anywhere else it only checks its arguments, so that such
    a function can be called as any other.
    """
    reporting.progress = reporting.progress.followed_by(
        percent, message, current=current, total=total, unit=unit
    )
    if reporting.send is not None:
        reporting.send(reporting.progress)
