"""Handlers of the service's own task types. They stand on core, which the handlers of users never see."""

from taskflow_core.app import App
from taskflow_worker.handlers.executions import execution_handlers
from taskflow_worker.handlers.replay import replay_handler
from taskflow_worker.registry import Handler


def service_handlers(app: App) -> list[Handler]:
    """What every worker serves beside the handlers of its registry."""
    return [replay_handler(app), *execution_handlers()]
