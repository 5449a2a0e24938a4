"""Short ways to write definitions, and to let the service know their task types."""

import itertools
from typing import Any

from taskflow_core.app import App
from taskflow_core.retry import RetryPolicy
from taskflow_core.sessions import TypeDefaults, open_session

TASK_TYPES = ("echo", "compute", "http_request", "email")


async def register_task_types(app: App, *names: str) -> None:
    """Register task types as a worker does, through a session that nobody renews."""
    await open_session(
        app.database,
        "host:0",
        queues=["default"],
        priorities=["NORMAL"],
        types={name: TypeDefaults("A type of tests.", 60, RetryPolicy()) for name in names},
        slots=1,
        lease_seconds=60,
    )


def task_node(node_id: str, task_type: str = "echo", **fields: Any) -> dict[str, Any]:
    """A TASK node; fields of the task beside its type by name, those of the node as `node_...`."""
    node = {name.removeprefix("node_"): value for name, value in fields.items() if name.startswith("node_")}
    task = {name: value for name, value in fields.items() if not name.startswith("node_")}
    return {"id": node_id, "task": {"task_type": task_type, **task}, **node}


def edge(source: str, target: str, **fields: Any) -> dict[str, Any]:
    return {"source": source, "target": target, **fields}


def chain(name: str, *node_ids: str) -> dict[str, Any]:
    """A workflow of tasks that follow each other."""
    edges = [edge(source, target) for source, target in itertools.pairwise(node_ids)]
    return {"name": name, "nodes": [task_node(node_id) for node_id in node_ids], "edges": edges}
