"""Task types that are the service's own. It creates them itself; callers cannot, nor can their handlers serve them."""

PREFIX = "taskflow."

REPLAY = f"{PREFIX}replay"


def is_reserved(task_type: str) -> bool:
    """Whether only the service may use this task type."""
    return task_type.startswith(PREFIX)
