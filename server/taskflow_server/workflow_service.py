"""taskflow.v1.WorkflowService: what defines workflows, and what runs them."""

from taskflow_server.definition_rpcs import DefinitionRpcs


class WorkflowService(DefinitionRpcs):
    """Defines workflows. Calls that are not here are not built yet."""
