"""All that can be done with schedules, in one hand."""

from dataclasses import dataclass

from taskflow_core.announce import Announcer
from taskflow_core.clock import Clock, database_time
from taskflow_core.db import Database
from taskflow_core.executions.assembly import Executions
from taskflow_core.paging import PageTokens
from taskflow_core.queue import Queue
from taskflow_core.schedules.ask import ScheduleRequests
from taskflow_core.schedules.create import ScheduleCreation
from taskflow_core.schedules.fire import Firing
from taskflow_core.schedules.preview import SchedulePreview
from taskflow_core.schedules.read import ScheduleReader
from taskflow_core.schedules.ring import ScheduleRing
from taskflow_core.schedules.steer import ScheduleSteering
from taskflow_core.schedules.workflows import WorkflowFires
from taskflow_core.settings import Settings
from taskflow_core.tasks.cancel import TaskCancellation


@dataclass(frozen=True)
class Schedules:
    """What servers and schedulers do with schedules."""

    reader: ScheduleReader
    creation: ScheduleCreation
    steering: ScheduleSteering
    requests: ScheduleRequests
    preview: SchedulePreview
    firing: Firing
    ring: ScheduleRing


def assemble_schedules(
    settings: Settings,
    database: Database,
    queue: Queue,
    announcer: Announcer,
    cancellation: TaskCancellation,
    tokens: PageTokens,
    executions: Executions,
    *,
    clock: Clock = database_time,
) -> Schedules:
    """Put it together. `clock` says what time it is."""
    workflows = WorkflowFires(database, executions)
    firing = Firing(
        database, announcer, cancellation, clock, workflows, max_payload_bytes=settings.max_payload_bytes
    )
    ring = ScheduleRing(queue)
    reader = ScheduleReader(database, tokens)
    return Schedules(
        reader=reader,
        creation=ScheduleCreation(database, firing, ring, workflows.check),
        steering=ScheduleSteering(database, firing, ring, workflows.check),
        requests=ScheduleRequests(database, firing),
        preview=SchedulePreview(database, firing, reader),
        firing=firing,
        ring=ring,
    )
