"""What arrives together is written together, and one bad item cannot fail its neighbours."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from taskflow_core.batching import ENOUGH, LINGER, Batcher, linger
from taskflow_core.errors import Unavailable


class Store:
    """Records the batches it is given, and refuses negative numbers all or nothing."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def flush(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        await self.gate.wait()
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [item * 10 for item in items]


async def test_items_submitted_together_share_a_flush():
    store = Store()
    batcher = Batcher(store.flush)
    assert await asyncio.gather(*map(batcher.submit, range(5))) == [0, 10, 20, 30, 40]
    assert store.batches == [[0, 1, 2, 3, 4]]


async def test_items_that_arrive_during_a_flush_wait_for_the_next_one():
    store = Store()
    store.gate.clear()
    batcher = Batcher(store.flush, writers=1)
    first = batcher.put(1)
    while not store.batches:
        await asyncio.sleep(0)
    others = [batcher.put(2), batcher.put(3)]
    store.gate.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30]
    assert store.batches == [[1], [2, 3]]


async def test_a_batch_is_never_larger_than_its_limit():
    store = Store()
    batcher = Batcher(store.flush, limit=2, writers=1)
    await asyncio.gather(*map(batcher.submit, range(5)))
    assert [len(batch) for batch in store.batches] == [2, 2, 1]


async def test_a_bad_item_fails_alone():
    store = Store()
    batcher = Batcher(store.flush)
    answers = await asyncio.gather(*map(batcher.submit, [1, 2, -3, 4]), return_exceptions=True)
    assert answers[:2] + answers[3:] == [10, 20, 40]
    assert isinstance(answers[2], ValueError)


async def test_an_error_of_the_whole_store_reaches_everybody_without_splitting():
    calls = 0

    async def away(items: Sequence[int]) -> list[int | Exception]:
        nonlocal calls
        calls += 1
        raise Unavailable("the store is away")

    batcher = Batcher(away)
    answers = await asyncio.gather(*map(batcher.submit, range(4)), return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert calls == 1


async def test_an_exception_among_the_answers_is_raised_to_its_caller_only():
    async def picky(items: Sequence[int]) -> list[int | Exception]:
        return [KeyError(item) if item == 2 else item for item in items]

    batcher = Batcher(picky)
    one, two = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert one == 1
    assert isinstance(two, KeyError)


async def test_a_caller_that_has_gone_does_not_disturb_the_others():
    store = Store()
    store.gate.clear()
    batcher = Batcher(store.flush)
    gone = asyncio.create_task(batcher.submit(1))
    stays = asyncio.create_task(batcher.submit(2))
    while not store.batches:
        await asyncio.sleep(0)
    gone.cancel()
    store.gate.set()
    assert await stays == 20
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_drain_waits_for_everything_handed_over():
    store = Store()
    batcher = Batcher(store.flush)
    futures = [batcher.put(item) for item in range(3)]
    await batcher.drain()
    assert all(future.done() for future in futures)


@pytest.mark.parametrize(
    ("size", "trip", "pause"),
    [
        (1, 0.01, None),  # what comes alone waits for nobody
        (2, 0.01, 0.01),
        (2, 60.0, LINGER),
        (ENOUGH, 0.01, None),  # more would hardly make it cheaper
    ],
)
async def test_after_a_trip_for_a_few_the_next_waits_as_long_as_it_took(
    size: int, trip: float, pause: float | None, monkeypatch: pytest.MonkeyPatch
):
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + trip)
    await linger(size, since=100.0)
    assert pauses == ([] if pause is None else [pytest.approx(pause)])


async def test_an_item_handed_over_just_as_a_flush_ends_is_not_forgotten():
    async def flush(items: Sequence[int]) -> list[int | Exception]:
        return list(items)

    batcher = Batcher(flush, writers=1)
    for _ in range(20):
        # The next item comes in the very step in which the caller of the last one wakes up.
        async with asyncio.timeout(5):
            assert await batcher.submit(1) == 1
