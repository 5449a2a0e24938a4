"""Random workflows on real workers end as the oracle says, whatever breaks while they run.

TASKFLOW_FAULTS_SEED repeats the workflows, the failures of their nodes and the faults.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from support.executions import definition, task
from support.faults.checker import read_history, task_problems
from support.faults.execution_checker import Ended, read_ended
from support.faults.story import SEED, Story
from support.faults.workflows import WorkflowClient
from support.random_workflows import (
    all_nodes,
    breakable,
    expected,
    is_fatal,
    valid_workflow,
)
from support.waiting import until
from taskflow_dev.ports import LOOPBACK

COUNT = 60
# Seconds: hundreds of tasks, on a machine that may be busy.
PATIENCE = 90
# Words of the transaction in which a settled task moves its execution on.
ADVANCE = "UPDATE workflow_executions"
LOST = "SELECT count(*) FROM task_attempts WHERE tenant_id = $1 AND outcome = 'LOST'"

Fault = Callable[[Story], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Case:
    """A workflow, the nodes of it that fail, and so how it ends."""

    content: dict[str, Any]
    failing: frozenset[str]

    def problems(self, ended: Ended) -> list[str]:
        """What is not as it must be."""
        found = []
        wanted = expected(self.content, self.failing)
        status = "FAILED" if is_fatal(self.content, wanted) else "SUCCEEDED"
        if ended.row["status"] != status:
            found.append(f"it is {ended.row['status']} and should be {status}: {ended.row['error']}")
        elif status == "FAILED":
            undone = {node["id"] for node in all_nodes(self.content) if "compensation" in node}
            found += [
                f"not undone: {path}"
                for path, run in ended.runs.items()
                if run["node_id"] in undone and run["status"] == "SUCCEEDED"
            ]
        elif wanted != (top := {path: ended.statuses.get(path) for path in wanted}):
            found.append(f"its nodes are {top} and should be {wanted}")
        return found


def case(story: Story, number: int) -> Case:
    """A workflow of tasks that take a moment, some of which fail."""
    content = valid_workflow(story.rng, f"w{number}")
    failing = frozenset(name for name in breakable(content) if story.rng.random() < 0.1)
    for node in all_nodes(content):
        failures = 99 if node["id"] in failing else 0
        if "task" in node:
            node["task"] |= work(failures=failures, seconds=round(story.rng.uniform(0, 0.2), 3))
        if "compensation" in node:
            node["compensation"] |= work()
        if "subworkflow" in node:
            node["subworkflow"]["input"] = {"failures": failures}
    return Case(content, failing)


def work(**payload: Any) -> dict[str, Any]:
    return {"task_type": "faults.work", "payload": payload, "retry_policy": {"max_attempts": 1}}


def let_some_die(story: Story, cases: list[Case]) -> None:
    """A few nodes, wherever they lie, kill their workers in their first attempts."""
    tasks = [node["task"] for one in cases for node in all_nodes(one.content) if "task" in node]
    for template in story.rng.sample(tasks, 6):
        template["payload"]["exits"] = 1


async def kill_workers(story: Story) -> None:
    for _ in range(3):
        victim = await story.busy_worker(5, PATIENCE)
        victim.kill()
        await until(lambda: len(story.cluster.workers) == 2, 10, "the supervisor acts")


async def die_in_nodes(story: Story) -> None:
    """Some nodes take their worker with them: see `let_some_die`."""


async def cut_after_commits(story: Story) -> None:
    database = story.cluster.database
    database.cut_after(ADVANCE, times=12)
    await until(lambda: database.cuts >= 12, PATIENCE, "lines are cut")


async def restart_postgresql(story: Story) -> None:
    await story.until_begun(40, PATIENCE)
    await asyncio.to_thread(story.cluster.restart_postgres_immediately)


async def freeze_a_worker(story: Story) -> None:
    frozen = await story.busy_worker(5, PATIENCE)
    frozen.signal(signal.SIGSTOP)
    async with story.cluster.sql() as connection:

        async def its_work_is_lost() -> bool:
            return bool(await connection.fetchval(LOST, story.load.tenant))

        await until(its_work_is_lost, PATIENCE, "its lease is over")
    frozen.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    "break_something",
    [kill_workers, die_in_nodes, cut_after_commits, restart_postgresql, freeze_a_worker],
    ids=lambda fault: fault.__name__,
)
async def test_random_workflows_end_as_the_rules_say(story: Story, break_something: Fault):
    cluster, tenant = story.cluster, story.load.tenant
    cases = [case(story, number) for number in range(COUNT)]
    if break_something is die_in_nodes:
        let_some_die(story, cases)
    child = definition([task("work", computed={"failures": "input.failures"})], name="child")
    child["nodes"][0]["task"] |= {"task_type": "faults.work", "retry_policy": {"max_attempts": 1}}
    async with (
        grpc.aio.insecure_channel(f"{LOOPBACK}:{cluster.grpc_port}") as channel,
        cluster.supervised("worker"),
    ):
        client = WorkflowClient(channel, tenant)
        await client.create(child)
        workflow_ids = [await client.create(one.content) for one in cases]

        async def begin(workflow_id: str, content: dict[str, Any]) -> str:
            execution_id = await client.start(workflow_id, workflow_id)
            for node in content["nodes"]:
                if "wait" in node:
                    await client.signal(execution_id, node["id"])
            return execution_id

        starts = [
            begin(workflow_id, one.content) for workflow_id, one in zip(workflow_ids, cases, strict=True)
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(break_something(story))
            execution_ids = await asyncio.gather(*starts)
        async with cluster.sql() as connection:
            ended = await read_ended(connection, tenant, PATIENCE)
            history = await read_history(connection, tenant, [], cluster.executions)
    found = [*task_problems(history)]
    for execution in ended.values():
        found += [f"{execution.row['name']}: {problem}" for problem in execution.problems()]
    for execution_id, one in zip(execution_ids, cases, strict=True):
        found += [f"{one.content['name']}: {problem}" for problem in one.problems(ended[execution_id])]
    assert not found, "\n".join([f"TASKFLOW_FAULTS_SEED={SEED}: {len(found)} problems", *found[:20]])
