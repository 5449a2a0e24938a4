"""Task types that are the service's own. It creates them itself; callers cannot, nor can their handlers serve them."""

PREFIX = "taskflow."

REPLAY = f"{PREFIX}replay"
# Of an execution: a DELAY, and whatever the engine does a little later in a transaction of its own. They do
# nothing themselves; the execution advances when they end.
DELAY = f"{PREFIX}delay"
STEP = f"{PREFIX}step"
# Neither lists nor statistics nor webhooks tell of these: the executions tell what happens.
OF_EXECUTIONS = (DELAY, STEP)


def is_reserved(task_type: str) -> bool:
    """Whether only the service may use this task type."""
    return task_type.startswith(PREFIX)
