"""Schedules that fire each second for a while, and a count of what that came to."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from support.faults.story import Story
from support.waiting import until
from taskflow_proto.v1 import schedule_pb2, schedule_service_pb2
from taskflow_proto.v1.schedule_service_pb2_grpc import ScheduleServiceStub

if TYPE_CHECKING:
    from taskflow_proto.v1.schedule_service_pb2_grpc import ScheduleServiceAsyncStub

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
LATENESS = """
SELECT min(actual_time - fire_time) AS least, max(actual_time - fire_time) AS most FROM schedule_fires
WHERE tenant_id = $1
"""


@dataclass(frozen=True)
class EachSecond:
    """So many schedules that fire in each second from `begin` to `end`."""

    story: Story
    count: int
    begin: datetime
    end: datetime

    @classmethod
    async def create(cls, story: Story, count: int, seconds: int) -> "EachSecond":
        """Create them. They begin three seconds from now."""
        begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
        created = cls(story, count, begin, begin + timedelta(seconds=seconds))
        await asyncio.gather(*(created._create_one() for _ in range(count)))
        return created

    async def until_over(self, seconds: float) -> None:
        """Wait until all are COMPLETED."""
        async with self.story.cluster.sql() as connection:

            async def is_over() -> bool:
                return await connection.fetchval(NEXT_DUE, self.story.load.tenant) is None

            await until(is_over, seconds, "all schedules are COMPLETED")

    async def judge(self) -> None:
        """Check that each time of each schedule has fired once, and started one task."""
        async with self.story.cluster.sql() as connection:
            rows = await connection.fetch(FIRED, self.story.load.tenant)
        assert len(rows) == self.count
        expected = int((self.end - self.begin).total_seconds()) + 1
        for row in rows:
            assert (row["fired"], row["fires"], row["named"], row["tasks"], row["others"]) == (
                *(expected, expected, expected, expected),
                0,
            )

    async def lateness(self) -> tuple[timedelta, timedelta]:
        """The least and the most by which they fired after their times."""
        async with self.story.cluster.sql() as connection:
            row: Any = await connection.fetchrow(LATENESS, self.story.load.tenant)
        return row["least"], row["most"]

    async def _create_one(self) -> None:
        schedule = schedule_pb2.Schedule(
            name="each second",
            task_type="faults.work",
            cron_expression="* * * * * *",
            overlap_policy=schedule_pb2.Schedule.ALLOW_ALL,
        )
        schedule.start_time.FromDatetime(self.begin)
        schedule.end_time.FromDatetime(self.end)
        stub: ScheduleServiceAsyncStub = ScheduleServiceStub(self.story.load.channel)
        request = schedule_service_pb2.CreateScheduleRequest(schedule=schedule)
        await stub.CreateSchedule(request, metadata=(("x-tenant-id", self.story.load.tenant),))
