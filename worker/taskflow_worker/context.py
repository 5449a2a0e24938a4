"""What a handler knows about its attempt, and how it reports back."""

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence, Sized
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

from taskflow_core.progress import Progress, check_finite
from taskflow_worker.processes import ProcessPool

if TYPE_CHECKING:
    # Every process of the pool imports this module, and pydantic is most of what it would take to start.
    from taskflow_core.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")

# What a handler said of its progress, as it said it.
Said: TypeAlias = tuple[float | None, str, float | None, float | None, str]

# Characters of one log line that are kept.
MAX_LOG_LINE = 4000


class TaskContext:
    """The attempt that runs: first argument of every handler. Its methods may be called from any thread.

    `deadline` is when the attempt is stopped. `idempotency_key` is for services that are called on behalf
    of this attempt: it is never the same for two attempts.
    """

    def __init__(
        self,
        *,
        task_id: str,
        attempt: int,
        tenant_id: str,
        task_type: str,
        name: str,
        queue: str,
        priority: str,
        tags: Sequence[str],
        deadline: datetime | None,
        report: Callable[[Callable[[], Progress]], None],
        write_log: Callable[[str], None],
        processes: ProcessPool,
        settings: "Settings",
    ) -> None:
        """Made by the worker, on its event loop: there, and only there, `report` and `write_log` are called.

        `report` is told where the latest progress can be taken, once until it has been taken.
        """
        self.task_id = task_id
        self.attempt = attempt
        self.tenant_id = tenant_id
        self.task_type = task_type
        self.name = name
        self.queue = queue
        self.priority = priority
        self.tags = tuple(tags)
        self.deadline = deadline
        self.settings = settings
        self.idempotency_key = f"{task_id}:{attempt}"
        self._report = report
        self._write_log = write_log
        self._processes = processes
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._stopped = False
        self._said: Said = (0.0, "", None, None, "")
        self._is_announced = False

    @property
    def stopped(self) -> bool:
        """The attempt was cancelled or timed out, and what a plain function returns no longer counts.

        An async handler is interrupted. A plain function in its thread cannot be: it ends at its next
        `progress`, `log` or step of `track`, which raise CancelledError, or looks here.
        """
        return self._stopped

    def stop(self) -> None:
        """Tell a plain function that its attempt has ended. The worker calls this."""
        self._stopped = True

    def progress(
        self,
        percent: float | None = None,
        message: str = "",
        *,
        current: float | None = None,
        total: float | None = None,
        unit: str = "",
    ) -> None:
        """Report how far the attempt has come; never waits.

        Give `percent` (0 to 100), or `current` and `total`, or only a `message`. Reports that follow each
        other faster than watchers can use are merged: the latest wins. Raises ValueError for NaN.
        """
        # Handlers may say so a thousand times a second: what is merged into the latest costs next to nothing.
        if self._stopped:
            self._check_running()
        if not (isfinite(percent or 0) and isfinite(current or 0) and isfinite(total or 0)):
            check_finite(percent=percent, current=current, total=total)
        if percent is None and (current is None or not total):
            percent = self._percent_so_far()
        self._said = (percent, message, current, total, unit)
        if not self._is_announced:
            self._announce()

    def log(self, message: str, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """Write a line to the task's log, which everybody who watches the task sees; never waits."""
        self._check_running()
        line = message if level == "info" else f"{level}: {message}"
        self._on_loop(self._write_log, line[:MAX_LOG_LINE])

    @overload
    def track(
        self, iterable: Iterable[Item], *, total: float | None = None, message: str = "", unit: str = ""
    ) -> Iterator[Item]: ...
    @overload
    def track(
        self, iterable: AsyncIterable[Item], *, total: float | None = None, message: str = "", unit: str = ""
    ) -> AsyncIterator[Item]: ...
    def track(
        self,
        iterable: Iterable[Item] | AsyncIterable[Item],
        *,
        total: float | None = None,
        message: str = "",
        unit: str = "",
    ) -> Iterator[Item] | AsyncIterator[Item]:
        """The items of `iterable`, with progress reported as each one is done.

        `total` is the number of items; without it the length is taken, if there is one.
        """
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)

        def done(count: int) -> None:
            self.progress(message=message, current=count, total=total, unit=unit)

        if isinstance(iterable, AsyncIterable):
            return _track_async(iterable, done)
        return _track(iterable, done)

    async def run_in_process(self, function: Callable[..., Result], *args: Any) -> Result:
        """What `function` returns, run in a process of the worker's pool: for work that keeps a CPU busy.

        The function and its arguments must be picklable: a function at the top level of a module. It
        reports with `taskflow_worker.processes.report_progress`. When the attempt is cancelled or times
        out, the process is killed. Raises what the function raises, and ProcessDied.
        """
        return await self._processes.run(function, *args, on_progress=self._take_over)

    def _take_over(self, progress: Progress) -> None:
        """Report what a process has reported. On the event loop."""
        self._said = (progress.percent, progress.message, progress.current, progress.total, progress.unit)
        if not self._is_announced:
            self._announce()

    def _announce(self) -> None:
        """Say that there is something to take; once until it has been taken.

        Without a lock: it is kept first, and only then looked whether somebody will come for it.
        """
        self._is_announced = True
        self._on_loop(self._report, self._take)

    def _take(self) -> Progress:
        """The latest; what is said from here on is announced again."""
        self._is_announced = False
        return self._latest()

    def _percent_so_far(self) -> float:
        percent, _, current, total, _ = self._said
        if percent is None and current is not None and total:
            return 100 * float(current) / float(total)
        return percent or 0.0

    def _latest(self) -> Progress:
        percent, message, current, total, unit = self._said
        return Progress().followed_by(percent, message, current=current, total=total, unit=unit)

    def _on_loop(self, function: Callable[..., None], *args: Any) -> None:
        if threading.get_ident() == self._loop_thread:
            function(*args)
        else:
            self._loop.call_soon_threadsafe(function, *args)

    def _check_running(self) -> None:
        if self._stopped:
            raise asyncio.CancelledError("the attempt was stopped")


def _track(iterable: Iterable[Item], done: Callable[[int], None]) -> Iterator[Item]:
    done(0)
    for count, item in enumerate(iterable, 1):
        yield item
        done(count)


async def _track_async(iterable: AsyncIterable[Item], done: Callable[[int], None]) -> AsyncIterator[Item]:
    done(0)
    count = 0
    async for item in iterable:
        yield item
        count += 1
        done(count)
