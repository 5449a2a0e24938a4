"""taskflow.v1.WorkflowService: what defines workflows, and what runs them."""

from taskflow_server.definition_rpcs import DefinitionRpcs
from taskflow_server.execution_rpcs import ExecutionRpcs


class WorkflowService(DefinitionRpcs, ExecutionRpcs):
    """Defines workflows, and starts, steers and watches their executions."""
