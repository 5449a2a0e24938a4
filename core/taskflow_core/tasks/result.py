"""The results of tasks: small ones in the row, large ones in the result store."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.errors import NoResult, NotFound
from taskflow_core.payloads import ResultTooLarge, result_text
from taskflow_core.result_store import CHUNK, ResultStore, ResultStoreError
from taskflow_core.states import TaskStatus
from taskflow_core.tasks.rows import Row

GET_RESULT = """
SELECT t.status, r.result, r.result_url FROM tasks t LEFT JOIN task_results r ON r.task_id = t.id
WHERE t.id = $1 AND t.tenant_id = $2
"""


@dataclass(frozen=True)
class KeptResult:
    """A result as its row has it: as JSON text, or as the URL where the text lies."""

    text: str | None = None
    url: str | None = None


class TaskResults:
    """Keeps results and reads them back. Without a store there are only small ones.

    `inline_bytes` is the most that a row holds, `max_bytes`, which is more, the most that a store is given.
    """

    def __init__(
        self, database: Database, store: ResultStore | None, *, inline_bytes: int, max_bytes: int
    ) -> None:
        self._database = database
        self._store = store
        self._inline_bytes = inline_bytes
        self._max_bytes = max_bytes

    async def keep(self, task: Row, value: Any) -> KeptResult:
        """Keep what the running attempt of a task returned, until it is settled with it.

        Raises InvalidResult, ResultTooLarge, ResultStoreError.
        """
        try:
            return KeptResult(text=result_text(value, self._inline_bytes, "TASKFLOW_RESULT_STORE"))
        except ResultTooLarge:
            if self._store is None:
                raise
        # A large one takes seconds to write down: heartbeats and other attempts go on meanwhile.
        text = await asyncio.to_thread(result_text, value, self._max_bytes)
        url = await self._store.write(task["tenant_id"], task["id"], task["attempt"], text.encode())
        return KeptResult(url=url)

    async def read(self, tenant_id: str, task_id: UUID) -> AsyncGenerator[bytes, None]:
        """The result as JSON text, in chunks. Raises NotFound, NoResult, ResultStoreError."""
        row = await self._database.pool.fetchrow(GET_RESULT, task_id, tenant_id)
        if row is None:
            raise NotFound("task", str(task_id))
        if row["status"] != TaskStatus.SUCCEEDED:
            raise NoResult(
                f"task {task_id} is {row['status']}; only a SUCCEEDED task has a result",
                kind="task",
                id=str(task_id),
                status=row["status"],
            )
        if row["result_url"] is not None:
            async with aclosing(self._read_stored(row["result_url"])) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        data = row["result"].encode()
        for start in range(0, len(data), CHUNK):
            yield data[start : start + CHUNK]

    def _read_stored(self, url: str) -> AsyncGenerator[bytes, None]:
        if self._store is None:
            raise ResultStoreError(
                f"the result lies at {url}, and this server has no result store"
                " (setting TASKFLOW_RESULT_STORE)",
                url=url,
                setting="TASKFLOW_RESULT_STORE",
            )
        return self._store.read(url)
