"""What moving tasks asks of the executions that they belong to."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.tasks.rows import Row


class Executions(Protocol):
    """Moves executions on together with their tasks: lock them, move the tasks, advance, commit, and say so."""

    async def lock(self, connection: Connection, execution_ids: Iterable[UUID]) -> list[Row]:
        """Lock executions, before any of their tasks is moved."""

    async def after_tasks(self, connection: Connection, locked: Sequence[Row], moved: Sequence[Row]) -> Any:
        """Move locked executions on after some of their tasks were moved."""

    async def say(self, advanced: Any) -> None:
        """Say what `after_tasks` did; after the commit."""
