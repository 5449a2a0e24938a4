"""All that can be done with executions, in one hand."""

from dataclasses import dataclass

from taskflow_core.executions.advance import Advancement
from taskflow_core.executions.progress import NodeProgress
from taskflow_core.executions.read import ExecutionReader, Whole
from taskflow_core.executions.rerun import ExecutionRerun
from taskflow_core.executions.retention import ExecutionRetention
from taskflow_core.executions.start import ExecutionStart
from taskflow_core.executions.steer import ExecutionSteering
from taskflow_core.watch import Watch


@dataclass(frozen=True)
class Executions:
    """What servers, workers and schedulers do with executions."""

    advancement: Advancement
    start: ExecutionStart
    steering: ExecutionSteering
    rerun: ExecutionRerun
    reader: ExecutionReader
    watch: Watch[Whole]
    retention: ExecutionRetention
    node_progress: NodeProgress
