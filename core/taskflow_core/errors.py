"""What callers can do wrong, and what can be down.

Each class has a `reason`: the name of an `ErrorReason` in the contract, without its prefix. `metadata`
holds every value that the message mentions.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One wrong field: its path as in the request, what is wrong, what is allowed, and a word for programs."""

    field: str
    description: str
    rule: str = ""


class TaskFlowError(Exception):
    """The family of all expected errors."""

    reason = "INTERNAL"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidArgument(TaskFlowError):
    """The request is wrong; `fields` says where."""

    reason = "INVALID_FIELDS"

    def __init__(
        self, message: str, fields: Sequence[FieldError] = (), *, reason: str | None = None, **metadata: str
    ) -> None:
        super().__init__(message, **metadata)
        self.fields = tuple(fields)
        if reason is not None:
            self.reason = reason

    @classmethod
    def at(
        cls, field: str, description: str, *, reason: str = "INVALID_FIELDS", **metadata: str
    ) -> "InvalidArgument":
        """The error for one wrong field."""
        error = FieldError(field, description, rule=reason)
        return cls(f"{field}: {description}", [error], reason=reason, **metadata)

    def under(self, prefix: str) -> "InvalidArgument":
        """The same error with `prefix` before every field path."""
        fields = [FieldError(f"{prefix}.{f.field}", f.description, f.rule) for f in self.fields]
        return InvalidArgument(f"{prefix}.{self.message}", fields, reason=self.reason, **self.metadata)


class NotFound(TaskFlowError):
    """Nothing of this kind has this id in the tenant."""

    reason = "NOT_FOUND"

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"no {kind} {id!r} in this tenant", kind=kind, id=id)
        self.kind = kind
        self.id = id


class AlreadyExists(TaskFlowError):
    """An id, a request id or a unique key is taken."""

    reason = "ALREADY_EXISTS"

    def __init__(self, message: str, *, reason: str = "ALREADY_EXISTS", **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.reason = reason


class WrongStatus(TaskFlowError):
    """The status does not allow this."""

    reason = "WRONG_STATUS"

    def __init__(self, kind: str, id: str, status: str, allowed: Sequence[str]) -> None:
        super().__init__(
            f"{kind} {id!r} is {status}; this needs {' or '.join(allowed)}",
            kind=kind,
            id=id,
            status=status,
            allowed=",".join(allowed),
        )


class PartOfExecution(TaskFlowError):
    """The task of a node goes with its execution."""

    reason = "WRONG_STATUS"

    def __init__(self, task_id: str, execution_id: str) -> None:
        super().__init__(
            f"task {task_id!r} is part of execution {execution_id!r}; retry the execution instead",
            kind="task",
            id=task_id,
            execution_id=execution_id,
        )


class EtagMismatch(TaskFlowError):
    """Somebody else changed it since the caller read it."""

    reason = "ETAG_MISMATCH"

    def __init__(self, kind: str, id: str, etag: str, current: str) -> None:
        super().__init__(
            f"{kind} {id!r} was changed meanwhile: its etag is {current!r}, not {etag!r}; read it again",
            kind=kind,
            id=id,
            etag=etag,
            current=current,
        )


class NoResult(TaskFlowError):
    """The task has no result, because it has not succeeded."""

    reason = "NO_RESULT"


class EventsExpired(TaskFlowError):
    """The events that were asked for are not kept any more."""

    reason = "EVENTS_EXPIRED"


class Unavailable(TaskFlowError):
    """A part of the service is down; the call may be repeated."""

    reason = "UNAVAILABLE"
