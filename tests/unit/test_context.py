"""What a handler can say while it runs, from wherever it runs."""

import asyncio
import math
from collections.abc import Callable

import pytest

from support.contexts import make_context
from taskflow_core.progress import Progress
from taskflow_worker.registry import Handler
from taskflow_worker.threads import run_in_thread


async def test_an_attempt_has_an_idempotency_key_of_its_own():
    context, _ = make_context(task_id="t1", attempt=2)
    assert context.idempotency_key == "t1:2"


async def test_progress_is_reported_at_once_on_the_event_loop():
    context, reported = make_context()
    context.progress(10, "loading")
    context.progress(current=3, total=4, unit="files")
    assert reported.progress == [Progress(10.0, "loading"), Progress(75.0, "", 3.0, 4.0, "files")]


async def test_progress_from_a_thread_is_reported_on_the_event_loop():
    context, reported = make_context()
    await run_in_thread(context.progress, 50, "half")
    await reported.until(progress=1)
    assert reported.progress == [Progress(50.0, "half")]


async def test_a_flood_of_progress_from_a_thread_is_merged_into_the_latest():
    context, reported = make_context()

    def flood():
        for percent in range(10_001):
            context.progress(percent / 100)

    await run_in_thread(flood)
    while not reported.progress or reported.percents[-1] < 100:
        await asyncio.sleep(0)
    assert list(reported.percents) == sorted(reported.percents)
    assert len(reported.progress) < 10_001


async def test_what_is_said_before_the_latest_was_taken_is_merged_also_on_the_event_loop():
    announced: list[Callable[[], Progress]] = []
    context, _ = make_context()
    context._report = announced.append  # noqa: SLF001 - a taker that takes its time
    context.progress(10, "ten")
    for percent in range(11, 50):
        context.progress(percent)
    context.progress(message="packing")
    (take,) = announced
    assert take() == Progress(49.0, "packing")
    context.progress(60)
    assert announced == [take, take]
    assert take() == Progress(60.0)


async def test_progress_that_is_no_number_is_refused_and_nothing_is_reported():
    context, reported = make_context()
    with pytest.raises(ValueError, match="percent must be a finite number"):
        context.progress(math.nan)
    assert not reported.progress


async def test_a_log_line_names_its_level_unless_it_is_info():
    context, reported = make_context()
    context.log("fetched")
    context.log("slow", level="warning")
    await run_in_thread(context.log, "from a thread")
    await reported.until(lines=3)
    assert reported.lines == ["fetched", "warning: slow", "from a thread"]


async def test_a_long_log_line_is_cut():
    context, reported = make_context()
    context.log("x" * 10_000)
    assert len(reported.lines[0]) == 4000


async def test_tracked_items_are_reported_as_they_are_done():
    context, reported = make_context()
    seen = [
        (item, reported.percents[-1]) for item in context.track(["a", "b"], message="packing", unit="files")
    ]
    assert seen == [("a", 0.0), ("b", 50.0)]
    assert reported.progress[-1] == Progress(100.0, "packing", 2.0, 2.0, "files")


async def test_a_tracked_async_iterable_takes_a_total():
    async def pages():
        yield 1
        yield 2

    context, reported = make_context()
    assert [page async for page in context.track(pages(), total=4, unit="pages")] == [1, 2]
    assert list(reported.percents) == [0.0, 25.0, 50.0]


async def test_tracking_without_a_length_counts_only():
    context, reported = make_context()
    assert list(context.track(iter("ab"))) == ["a", "b"]
    assert [(report.percent, report.current) for report in reported.progress] == [(0, 0), (0, 1), (0, 2)]


async def test_a_plain_function_whose_attempt_was_cancelled_ends_at_its_next_report():
    context, reported = make_context()
    ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def work(context, _):
        try:
            while True:
                context.progress(1)
        finally:
            loop.call_soon_threadsafe(ended.set_result, context.stopped)

    call = asyncio.create_task(Handler("work", work)(context, None))
    await reported.until(progress=1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await ended
