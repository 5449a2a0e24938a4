"""What executions want of their relatives: each order is a task of the relative's own, and is obeyed when it ends.

So no transaction holds more executions than it locked at its start, in the order of their ids.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from taskflow_core.executions.happen import CancelRequested, Happening, Retried
from taskflow_core.executions.plan import Plan
from taskflow_core.states import NodeRunStatus
from taskflow_core.tasks.rows import Row

Order = dict[str, Any]  # the payload of the task


def orders_of(plan: Plan) -> Iterator[tuple[UUID, Order]]:
    """The orders of a plan, each with the execution that it goes to."""
    execution = plan.execution
    parent = f"execution {execution.id}, of which it is a part,"
    for child_id in plan.cancelled_children:
        yield child_id, {"cancel": f"{parent} no longer needs it"}
    for run in plan.resumed:
        assert run.child_execution_id is not None  # noqa: S101 - it has one that runs on
        yield run.child_execution_id, {"retry": f"{parent} runs on", "node_run_id": str(run.id)}
    # One that runs on may end again at once.
    ends_here = execution.finished_at not in (None, plan.state.execution.finished_at)
    if execution.parent_execution_id is not None and (ends_here or plan.tells_parent):
        yield execution.parent_execution_id, {"node_run_id": str(execution.parent_node_run_id)}


def is_from_parent(order: Order) -> bool:
    """Whether the order is for a child; the other kind says that a node run is to be looked at again."""
    return "cancel" in order or "retry" in order


def from_parent(order: Order, child_id: UUID, runs: Mapping[str, Row]) -> Happening | None:
    """What an order means to the child; None if its parent has thought better of it since.

    The order to cancel may come before the one to run on that it follows: that one is then not obeyed.
    """
    if "cancel" in order:
        return CancelRequested(order["cancel"], by_parent=True)
    run = runs.get(order["node_run_id"])
    if run is None or run["child_execution_id"] != child_id or run["stop"] is not None:
        return None
    return Retried(order["retry"], by_parent=True) if run["status"] == NodeRunStatus.RUNNING else None
