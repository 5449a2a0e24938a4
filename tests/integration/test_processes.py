"""Work in processes: killed when it is given up, and a process that dies costs only its own call."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest

from support import cpu_work
from taskflow_core.progress import Progress
from taskflow_worker.processes import ProcessDied, ProcessPool, report_progress


@pytest.fixture
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(2)
    yield pool
    await pool.close()


@contextlib.asynccontextmanager
async def running(pool: ProcessPool, function, *args) -> AsyncIterator[tuple[asyncio.Task[Any], Progress]]:
    """A call that is under way, and its first report."""
    first: asyncio.Future[Progress] = asyncio.get_running_loop().create_future()

    def keep_first(progress: Progress) -> None:
        if not first.done():
            first.set_result(progress)

    call = asyncio.create_task(pool.run(function, *args, on_progress=keep_first))
    try:
        yield call, await first
    finally:
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError, ProcessDied):
            await call


async def gone(pid: int) -> None:
    """Wait until a process that need not be our child has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            await asyncio.to_thread(psutil.wait_procs, [process], 30)


def processes_of_pools() -> list[psutil.Process]:
    """The children of this process that run functions, not servers."""
    return [child for child in psutil.Process().children() if "process_main" in " ".join(child.cmdline())]


async def test_a_function_runs_in_another_process_which_is_used_again(pool):
    first = await pool.run(cpu_work.process_id)
    assert first != os.getpid()
    assert await pool.run(cpu_work.process_id) == first


async def test_a_function_waits_until_a_process_is_free(pool):
    async with (
        running(pool, cpu_work.report_and_hang, 1) as (first, _),
        running(pool, cpu_work.report_and_hang, 2) as (second, _),
    ):
        third = asyncio.create_task(pool.run(cpu_work.process_id))
        # The third call has come as far as it can.
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0))])
        assert len(processes_of_pools()) == 2
        first.cancel()
        assert await third > 0
        assert not second.done()


async def test_large_arguments_and_results_pass(pool):
    text = "ü" * 3_000_000
    assert await pool.run(cpu_work.length, text) == len(text)
    assert await pool.run(cpu_work.repeat, "ab", 4_000_000) == "ab" * 4_000_000


async def test_progress_arrives_in_order_and_the_last_report_for_certain(pool):
    reports: list[Progress] = []
    assert await pool.run(cpu_work.count_with_progress, on_progress=reports.append) == "counted"
    currents = [report.current for report in reports]
    assert currents == sorted(set(currents))
    assert reports[-1] == Progress(
        100.0, f"number {cpu_work.REPORTS - 1}", cpu_work.REPORTS, cpu_work.REPORTS, "numbers"
    )


async def test_each_call_starts_with_no_progress(pool):
    await pool.run(cpu_work.count_with_progress)
    reports: list[Progress] = []
    await pool.run(report_progress, None, "starting", on_progress=reports.append)
    assert reports == [Progress(0.0, "starting")]


async def test_a_cancelled_call_is_killed_and_its_process_replaced(pool):
    async with running(pool, cpu_work.report_and_hang, 1) as (call, progress):
        pid = int(progress.message)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not psutil.pid_exists(pid)
    assert await pool.run(cpu_work.process_id) != pid


async def test_a_call_that_times_out_is_killed(pool):
    reports: list[Progress] = []
    started = asyncio.Event()

    def note(progress: Progress) -> None:
        reports.append(progress)
        started.set()

    async def limited() -> None:
        async with asyncio.timeout(None) as limit:
            call = asyncio.create_task(pool.run(cpu_work.report_and_hang, 1, on_progress=note))
            await started.wait()
            limit.reschedule(asyncio.get_running_loop().time())
            await call

    with pytest.raises(TimeoutError):
        await limited()
    assert not psutil.pid_exists(int(reports[0].message))


async def test_what_a_function_has_started_is_killed_with_it(pool):
    async with running(pool, cpu_work.start_a_child_and_hang) as (call, progress):
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await gone(int(progress.message))


async def test_the_exception_of_a_function_is_raised_with_its_stack_trace(pool):
    with pytest.raises(ValueError, match="too blue") as caught:
        await pool.run(cpu_work.refuse, "too blue")
    assert "in refuse" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (cpu_work.raise_picky, "Picky: one two"),
        (cpu_work.exit_python, "SystemExit: 3"),
    ],
)
async def test_an_exception_that_cannot_travel_is_told(pool, function, message):
    with pytest.raises(RuntimeError, match=message):
        await pool.run(function)


async def test_a_result_that_cannot_travel_is_an_error(pool):
    with pytest.raises(AttributeError, match="lambda"):
        await pool.run(cpu_work.return_a_lambda)


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        (cpu_work.exit_at_once, (7,), "exit_at_once ended with exit code 7"),
        (cpu_work.be_killed, (), "be_killed was killed by SIGKILL, perhaps because memory ran out"),
    ],
)
async def test_a_process_that_dies_fails_its_call_only(pool, function, args, message):
    async with running(pool, cpu_work.report_and_hang, 1) as (neighbour, _):
        with pytest.raises(ProcessDied, match=message):
            await pool.run(function, *args)
        assert await pool.run(cpu_work.process_id) > 0
        assert not neighbour.done()


async def test_an_idle_process_that_died_is_replaced(pool):
    pid = await pool.run(cpu_work.process_id)
    os.kill(pid, signal.SIGKILL)
    await gone(pid)
    # Its line is seen closed a moment later; until then a call fails as for any process that dies.
    for _ in range(100):
        with contextlib.suppress(ProcessDied):
            assert await pool.run(cpu_work.process_id) != pid
            return
    pytest.fail("the pool did not recover")


async def test_a_process_does_not_end_by_signals_meant_for_the_worker(pool):
    pid = await pool.run(cpu_work.process_id)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert await pool.run(cpu_work.process_id) == pid


async def test_close_leaves_no_process_behind(pool):
    idle = await pool.run(cpu_work.process_id)
    async with running(pool, cpu_work.report_and_hang, 1) as (call, progress):
        await pool.close()
        with pytest.raises(ProcessDied):
            await call
    assert not psutil.pid_exists(idle)
    assert not psutil.pid_exists(int(progress.message))
    with pytest.raises(RuntimeError, match="closed"):
        await pool.run(cpu_work.process_id)


WORKER = """
import asyncio
from support import cpu_work
from taskflow_worker.processes import ProcessPool

def tell(progress):
    print(progress.message, flush=True)

async def work():
    pool = ProcessPool(2)
    idle = await pool.run(cpu_work.process_id)
    print(idle, flush=True)
    await asyncio.gather(*[pool.run(cpu_work.report_and_hang, 1, on_progress=tell) for _ in range(2)])

asyncio.run(work())
"""


async def test_no_process_outlives_a_worker_that_was_killed():
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}\n{WORKER}",
        stdout=asyncio.subprocess.PIPE,
    )
    assert worker.stdout is not None
    pids = {int(await worker.stdout.readline()) for _ in range(3)}
    worker.kill()
    await worker.communicate()
    for pid in pids:
        await gone(pid)
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
