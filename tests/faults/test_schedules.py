"""Three schedulers that are killed, frozen and cut off fire each time once, and miss none."""

import asyncio
import signal
from datetime import UTC, datetime

from support.faults.fires import EachSecond
from support.faults.story import Story

SECONDS = 12


async def test_three_schedulers_that_fail_in_every_way_fire_each_time_once(story: Story):
    cluster = story.cluster
    for _ in range(2):
        cluster.start_scheduler()
    schedules = await EachSecond.create(story, 40, SECONDS)

    async def misfortune() -> None:
        # One is frozen at any time, with whatever it has locked, and another one is killed.
        frozen = cluster.all("scheduler")[0]
        while datetime.now(UTC) < schedules.end:
            await asyncio.sleep(story.rng.uniform(0.3, 1.0))
            ready = [process for process in cluster.all("scheduler") if process.is_ready]
            if not ready:
                continue
            victim = story.rng.choice(ready)
            if story.rng.random() < 0.3:
                frozen.signal(signal.SIGCONT)
                frozen = victim
                frozen.signal(signal.SIGSTOP)
            else:
                victim.kill()
        frozen.signal(signal.SIGCONT)

    async def restart() -> None:
        await asyncio.sleep(SECONDS / 2)
        await asyncio.to_thread(cluster.restart_postgres_immediately)

    async with cluster.supervised("scheduler", 3):
        await asyncio.gather(misfortune(), restart())
        await schedules.until_over(45)
    await schedules.judge()
