"""Schedules that start workflows: the same policies, with executions as the work."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from support.schedules import MINUTE, SetClock, again, create, fires_of, outcomes_of, schedules_at
from support.tasks import TENANT
from support.workflows import register_task_types, task_node
from taskflow_core.app import App
from taskflow_core.errors import InvalidArgument
from taskflow_core.schedules.assembly import Schedules
from taskflow_core.workflows.definitions import NewWorkflow


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def schedules(app: App, clock: SetClock) -> Schedules:
    return schedules_at(app, clock)


async def workflow(app: App, **fields: Any) -> UUID:
    await register_task_types(app, "echo")
    content = {"name": f"w-{uuid4().hex[:8]}", "nodes": [task_node("only")], "edges": [], **fields}
    row = await app.workflows.create(NewWorkflow(TENANT, content))
    workflow_id: UUID = row["id"]
    return workflow_id


async def tick(schedules: Schedules, clock: SetClock) -> None:
    clock.advance(MINUTE)
    await schedules.firing.fire_due()
    await schedules.firing.follow_up()


async def test_a_fire_starts_an_execution_whose_input_it_computes(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(
        schedules,
        task_type=None,
        workflow_id=await workflow(app),
        payload='{"a": 1}',
        payload_expressions={"number": "fire.run_number"},
        tags=["nightly"],
    )
    await tick(schedules, clock)
    [fire] = await fires_of(schedules, schedule)
    assert (fire["outcome"], fire["task_id"], fire["run_number"]) == ("FIRED", None, 1)
    execution = await app.executions.reader.get(TENANT, fire["execution_id"])
    assert (execution["status"], execution["schedule_id"]) == ("RUNNING", schedule["id"])
    assert (json.loads(execution["input"]), execution["tags"]) == ({"a": 1, "number": 1}, ["nightly"])
    assert (await again(schedules, schedule))["last_execution_id"] == fire["execution_id"]

    await tick(schedules, clock)
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED"]
    reason = (await fires_of(schedules, schedule))[1]["reason"]
    assert reason.startswith(f"execution {fire['execution_id']} of the fire")
    await app.executions.steering.cancel(
        TENANT, fire["execution_id"], "tester", "enough", skip_compensation=True
    )
    await tick(schedules, clock)
    assert await outcomes_of(schedules, schedule) == ["FIRED", "SKIPPED", "FIRED"]


async def test_a_newer_fire_cancels_the_execution_and_takes_its_place(
    app: App, schedules: Schedules, clock: SetClock
):
    schedule = await create(
        schedules, task_type=None, workflow_id=await workflow(app), overlap_policy="CANCEL_OTHER"
    )
    await tick(schedules, clock)
    await tick(schedules, clock)
    first, second = await fires_of(schedules, schedule)
    assert (first["outcome"], second["outcome"]) == ("FIRED", "FIRED")
    execution = await app.executions.reader.get(TENANT, first["execution_id"])
    assert (execution["status"], execution["cancel_reason"]) == (
        "CANCELLED",
        "a newer fire of its schedule takes its place",
    )


async def test_a_workflow_that_cannot_start_refuses_the_fire_and_no_other(
    app: App, schedules: Schedules, clock: SetClock
):
    schema = {"type": "object", "required": ["to"]}
    picky = await create(schedules, task_type=None, workflow_id=await workflow(app, input_schema=schema))
    good = await create(schedules)
    await tick(schedules, clock)
    assert await outcomes_of(schedules, good) == ["FIRED"]
    assert await outcomes_of(schedules, picky) == ["REFUSED"]
    [fire] = await fires_of(schedules, picky)
    assert (fire["execution_id"], fire["run_number"]) == (None, 0)
    assert "'to' is a required property" in fire["reason"]
    assert (await again(schedules, picky))["fired"] == 0


async def test_a_schedule_of_a_workflow_that_is_not_there_is_refused(app: App, schedules: Schedules):
    with pytest.raises(InvalidArgument) as refused:
        await create(schedules, task_type=None, workflow_id=uuid4())
    assert refused.value.fields[0].field == "schedule.workflow_id"
    with pytest.raises(InvalidArgument) as refused:
        await create(schedules, task_type=None, workflow_id=await workflow(app), workflow_version=7)
    assert refused.value.fields[0].field == "schedule.workflow_version"
