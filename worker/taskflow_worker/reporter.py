"""What running handlers report, on its way to the log: coalesced, bounded, and in order."""

import asyncio
from collections.abc import Callable

import structlog

from taskflow_core.payloads import storable
from taskflow_core.progress import Progress
from taskflow_core.tasks.report import Report, Reports, TaskReporting
from taskflow_core.tasks.rows import Row

log = structlog.get_logger()

# At most this often (seconds) is written what one task reports; of the progress that comes between the latest wins.
INTERVAL = 0.1
# At most so many attempts of a worker are written a second: where more report, each is written less often.
RATE = 500
# Log lines of one attempt that wait to be written; more are dropped, and the log says so.
MAX_WAITING_LINES = 100


class Pace:
    """Says when the attempts of a worker that have written may write again: all at once, to share a statement."""

    def __init__(self) -> None:
        self._resting: dict[Reporter, None] = {}  # in order
        self._is_ticking = False

    def rest(self, reporter: "Reporter") -> None:
        """Let it write again, in a while."""
        self._resting[reporter] = None
        if not self._is_ticking:
            self._is_ticking = True
            self._tick_later(0)

    def forget(self, reporter: "Reporter") -> None:
        """It has nothing to say any more."""
        self._resting.pop(reporter, None)

    def _tick_later(self, written: int) -> None:
        asyncio.get_running_loop().call_later(max(INTERVAL, written / RATE), self._tick)

    def _tick(self) -> None:
        rested, self._resting = self._resting, {}
        written = sum(reporter.write() for reporter in rested)
        if self._resting:
            self._tick_later(written)
        else:
            self._is_ticking = False


class Reporter:
    """Collects the progress and log lines of one attempt. All calls are on the event loop.

    What comes after a while of silence is written at once, with whatever else is said in the same turn of the loop.
    """

    def __init__(self, pace: Pace, reporting: TaskReporting, task: Row, session_id: int, worker: str) -> None:
        self._pace = pace
        self._reporting = reporting
        self._task = task
        self._session_id = session_id
        self._worker = worker
        self._latest: Callable[[], Progress] | None = None
        self._lines: list[Report] = []
        self._dropped = 0
        self._waits = False  # for its turn, which comes by itself
        self._writing: asyncio.Future[None] | None = None
        self._is_closed = False

    def progress(self, latest: Callable[[], Progress]) -> None:
        """Note that the attempt has come further, and where to take how far, when it can be written."""
        self._latest = latest
        self._start()

    def log(self, message: str) -> None:
        """Note a log line."""
        if len(self._lines) < MAX_WAITING_LINES:
            self._lines.append(Report("LOG", {"message": storable(message)}))
        else:
            self._dropped += 1
        self._start()

    async def close(self) -> None:
        """Write what is left. What comes later is no longer the attempt's to say."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._writing is None:
            self.write()
        self._is_closed = True
        self._pace.forget(self)
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def write(self) -> bool:
        """Hand over what there is to write, if there is something and it may be written; whether it was so."""
        if self._is_closed:
            return False
        if self._writing is not None:
            # Two of one attempt at once would take the same numbers.
            self._pace.rest(self)
            return False
        lines = self._take()
        self._waits = bool(lines)
        if not lines:
            return False
        self._pace.rest(self)
        self._writing = self._reporting.put(
            Reports(
                self._task["id"],
                self._task["attempt"],
                self._session_id,
                self._worker,
                lines,
                self._task["execution_id"],
            )
        )
        self._writing.add_done_callback(self._written)
        return True

    def _start(self) -> None:
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_soon(self.write)

    def _written(self, writing: "asyncio.Future[None]") -> None:
        self._writing = None
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("reports of an attempt were refused", task_id=str(self._task["id"]), exc_info=error)

    def _take(self) -> tuple[Report, ...]:
        lines, dropped, latest = self._lines, self._dropped, self._latest
        self._lines, self._dropped, self._latest = [], 0, None
        if dropped:
            lines.append(Report("LOG", {"message": f"{dropped} log lines were dropped here"}))
        if latest is not None:
            try:
                lines.append(_line(latest()))
            except Exception:
                # Such as a message that is no text. It takes nothing from the lines, nor from other attempts.
                log.exception("progress that cannot be written", task_id=str(self._task["id"]))
        return tuple(lines)


def _line(progress: Progress) -> Report:
    texts = {"message": storable(progress.message), "unit": storable(progress.unit)}
    return Report("PROGRESS", {"progress": vars(progress) | texts})
