"""The tasks of one test, from their submission to the verdict."""

import os
import random
from dataclasses import dataclass
from typing import Any

from support.faults import executions
from support.faults.checker import History, problems, read_history, wait_until_final
from support.faults.cluster import LEASE, Cluster
from support.faults.load import Load
from support.faults.processes import Process
from support.waiting import until
from taskflow_core.queue import lanes
from taskflow_core.states import Priority

SEED = os.environ.get("TASKFLOW_FAULTS_SEED") or str(random.randrange(10**9))
# Seconds from the end of the load: two leases, and what the work itself may take on a busy machine.
QUIET = 2 * LEASE + 45
# Seconds for what the load is to do, also while a process starts anew.
PATIENCE = 45

LANES = [lane.key for lane in lanes(["default"], list(Priority))]


@dataclass(frozen=True)
class Story:
    """A cluster, and the load of one test on it. `rng` draws the same for the same seed."""

    cluster: Cluster
    load: Load
    rng: random.Random

    async def until_begun(self, count: int, seconds: float = PATIENCE, **where: Any) -> None:
        """Wait until so many attempts have begun; with `pid=` or `task_id=`, only those count."""
        await until(lambda: self.count("begin", **where) >= count, seconds, f"{count} attempts begin")

    async def busy_worker(self, attempts: int, seconds: float = PATIENCE) -> Process:
        """A worker that has begun so many attempts of this test, once there is one."""
        busy: list[Process] = []

        def find() -> bool:
            busy[:] = [w for w in self.cluster.workers if self.count("begin", pid=w.pid) >= attempts]
            return bool(busy)

        await until(find, seconds, f"a worker begins {attempts} attempts")
        return busy[0]

    def count(self, step: executions.Step, **where: Any) -> int:
        """How many attempts of this test began, ended or were stopped so far."""
        return sum(
            execution.step == step and all(getattr(execution, name) == value for name, value in where.items())
            for execution in executions.read(self.cluster.executions, self.load.tenant)
        )

    async def judge(self, within: float = QUIET) -> History:
        """Wait until all is done, check every promise, and return what is known."""
        async with self.cluster.sql() as connection:
            await wait_until_final(connection, self.load.tenant, within)
            history = await read_history(
                connection, self.load.tenant, self.load.submissions, self.cluster.executions
            )
        found = list(problems(history))
        assert not found, "\n".join([f"TASKFLOW_FAULTS_SEED={SEED}: {len(found)} problems", *found[:20]])
        await self._judge_redis()
        return history

    async def _judge_redis(self) -> None:
        """No hint stays behind: those of the dead show again after their lease, and are dropped."""
        async with self.cluster.redis() as client:

            async def is_drained() -> bool:
                return not await client.keys("arq:*") and not await client.exists(*LANES)

            await until(is_drained, LEASE + 30, "Redis holds no hint")
