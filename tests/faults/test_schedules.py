"""Three schedulers that are killed, frozen and cut off fire each time once, and miss none."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from support.faults.cluster import until
from support.faults.story import Story
from taskflow_proto.v1 import schedule_pb2, schedule_service_pb2
from taskflow_proto.v1.schedule_service_pb2_grpc import ScheduleServiceStub

if TYPE_CHECKING:
    from taskflow_proto.v1.schedule_service_pb2_grpc import ScheduleServiceAsyncStub

SCHEDULES = 40
SECONDS = 12
NEXT_DUE = "SELECT min(next_fire_at) FROM schedules WHERE tenant_id = $1 AND status = 'ACTIVE'"
# Of each schedule: its fires, the tasks that it created, the tasks that fires name, and the fires that are not FIRED.
FIRED = """
SELECT s.id, s.fired,
  (SELECT count(*) FROM schedule_fires f WHERE f.schedule_id = s.id) AS fires,
  (SELECT count(DISTINCT f.task_id) FROM schedule_fires f JOIN tasks t ON t.id = f.task_id
   WHERE f.schedule_id = s.id AND t.schedule_id = s.id) AS named,
  (SELECT count(*) FROM tasks t WHERE t.tenant_id = s.tenant_id AND t.schedule_id = s.id) AS tasks,
  (SELECT count(*) FROM schedule_fires f WHERE f.schedule_id = s.id AND f.outcome <> 'FIRED') AS others
FROM schedules s WHERE s.tenant_id = $1
"""


async def test_three_schedulers_that_fail_in_every_way_fire_each_time_once(story: Story):
    cluster, tenant = story.cluster, story.load.tenant
    for _ in range(2):
        cluster.start_scheduler()
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    end = begin + timedelta(seconds=SECONDS)
    schedule = schedule_pb2.Schedule(
        name="each second",
        task_type="faults.work",
        cron_expression="* * * * * *",
        overlap_policy=schedule_pb2.Schedule.ALLOW_ALL,
    )
    schedule.start_time.FromDatetime(begin)
    schedule.end_time.FromDatetime(end)
    stub: ScheduleServiceAsyncStub = ScheduleServiceStub(story.load.channel)
    request = schedule_service_pb2.CreateScheduleRequest(schedule=schedule)
    metadata = (("x-tenant-id", tenant),)
    await asyncio.gather(*(stub.CreateSchedule(request, metadata=metadata) for _ in range(SCHEDULES)))

    async def misfortune() -> None:
        # One is frozen at any time, with whatever it has locked, and another one is killed.
        frozen = cluster.all("scheduler")[0]
        while datetime.now(UTC) < end:
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

    async def is_over() -> bool:
        async with cluster.sql() as connection:
            return await connection.fetchval(NEXT_DUE, tenant) is None

    async with cluster.supervised("scheduler", 3):
        await asyncio.gather(misfortune(), restart())
        await until(is_over, 45, "all schedules are COMPLETED")
    async with cluster.sql() as connection:
        rows = await connection.fetch(FIRED, tenant)
    assert len(rows) == SCHEDULES
    expected = SECONDS + 1
    for row in rows:
        assert (row["fired"], row["fires"], row["named"], row["tasks"], row["others"]) == (
            *(expected, expected, expected, expected),
            0,
        )
