"""A process that evaluates expressions, and dies of those that take too much time or memory.

CEL has no limit of its own: a map within a map over a long list runs for minutes, and nothing in this process could
stop it. So what repeats is evaluated in a child, which the kernel ends when an evaluation has used up its time. The
next one gets a new child.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog

from taskflow_core.payloads import canonical_json
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import Expression

log = structlog.get_logger()

CPU_SECONDS = 1.0
# On the clock, for a child that is frozen or gets no processor.
PATIENCE = 10.0
MEMORY_BYTES = 1024 * 1024 * 1024
# A frame is the length of its JSON in so many bytes, and the JSON.
LENGTH_BYTES = 4
# The member that marks a time in JSON; no other text can hold NUL.
TIME, DURATION = "\0time", "\0duration"


class NotEvaluated(ExpressionError):
    """The process was ended from outside: it says nothing about the expression."""


class Sandbox:
    """One child, started when it is needed, for one evaluation at a time."""

    def __init__(
        self,
        *,
        cpu_seconds: float = CPU_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
        patience: float = PATIENCE,
    ) -> None:
        self._patience = patience
        self._cpu_seconds = cpu_seconds
        self._memory_bytes = memory_bytes
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def evaluate(self, expression: Expression, parts: Mapping[str, Any]) -> Any:
        """The value of an expression over what it reads: JSON, datetime or timedelta. Raises ExpressionError."""
        request = frame({"source": expression.source, "parts": dict(parts)})
        async with self._turn:
            answer = await self._answer(request) or await self._answer(request)
        if answer is None:
            raise NotEvaluated("cannot be evaluated: its process was ended twice")
        if "error" in answer:
            raise ExpressionError(answer["error"], answer["position"])
        return answer["value"]

    async def close(self) -> None:
        """End the child."""
        async with self._turn:
            if self._child is not None:
                await self._end(self._child)

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                # -P: whatever lies in the current folder is not imported.
                *("-P", "-m", "taskflow_core.workflows.sandbox_child"),
                *(str(self._cpu_seconds), str(self._memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        return self._child

    async def _answer(self, request: bytes) -> dict[str, Any] | None:
        """The answer; None if the child was ended from outside."""
        child = await self._ready()
        try:
            async with asyncio.timeout(self._patience):
                return await _ask(child, request)
        except TimeoutError:
            log.warning("an expression's process did not answer", seconds=self._patience)
            await self._end(child)
            return None
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await child.wait()
            self._child = None
            log.warning("an expression ended its process, or somebody else did", code=code)
            return self._refusal(code)
        except asyncio.CancelledError:
            # Its answer would be taken for that of the next.
            await self._end(child)
            raise

    def _refusal(self, code: int) -> dict[str, Any] | None:
        limits = {
            -signal.SIGPROF: f"{self._cpu_seconds:g} s",
            -signal.SIGABRT: f"{self._memory_bytes // 1024**2} MiB",
        }
        if code not in limits:
            return None
        return {"error": f"takes more than {limits[code]}; let a task compute it", "position": None}

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        self._child = None
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _ask(child: asyncio.subprocess.Process, request: bytes) -> dict[str, Any]:
    if child.stdin is None or child.stdout is None:
        raise ConnectionError
    child.stdin.write(request)
    await child.stdin.drain()
    length = int.from_bytes(await child.stdout.readexactly(LENGTH_BYTES), "big")
    answer: dict[str, Any] = unframe(await child.stdout.readexactly(length))
    return answer


def frame(message: Mapping[str, Any]) -> bytes:
    """A message, ready to be sent."""
    content = canonical_json(_marked(message)).encode()
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def unframe(content: bytes) -> Any:
    """A message, from the JSON of its frame."""
    return json.loads(content, object_hook=_unmarked)


def _marked(value: Any) -> Any:
    match value:
        case datetime():
            return {TIME: value.isoformat()}
        case timedelta():
            return {DURATION: value.total_seconds()}
        case dict():
            return {name: _marked(member) for name, member in value.items()}
    return value


def _unmarked(members: dict[str, Any]) -> Any:
    match members:
        case {"\0time": time}:
            return datetime.fromisoformat(time)
        case {"\0duration": seconds}:
            return timedelta(seconds=seconds)
    return members
