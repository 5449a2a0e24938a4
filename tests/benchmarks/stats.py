"""What statistics cost: to count the log, and to answer while much waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg

from taskflow_core.app import App, open_app
from taskflow_core.migrate import upgrade
from taskflow_core.settings import Settings
from taskflow_core.stats.tasks import TaskFilter

DATABASE = "statistics"

# Tasks that ran, with their logs, in transactions of 1,000 as the hot path writes them; and others that wait.
FINISHED = """
WITH made AS (
  INSERT INTO tasks (id, tenant_id, name, task_type, queue, priority, payload, payload_form, run_at, status,
    attempt, attempt_started_at, started_at, finished_at, last_sequence)
  SELECT gen_random_uuid(), 'bench', '', 'type' || n % 5, 'default', (ARRAY['HIGH', 'NORMAL', 'LOW'])[1 + n % 3],
    '{}', 'JSON', now(), 'SUCCEEDED', 1, now(), now(), now(), 3
  FROM generate_series(1, 1000) AS n RETURNING id
), attempts AS (
  INSERT INTO task_attempts (task_id, attempt, tenant_id, session_id, worker, outcome, started_at)
  SELECT id, 1, 'bench', 1, 'host:1', 'SUCCEEDED', now() - random() * interval '1 minute' FROM made
)
INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)
SELECT id, e.sequence, 'bench', e.kind, e.status, 1, 'bench'
FROM made, (VALUES (1, 'CREATED', 'QUEUED'), (2, 'STARTED', 'RUNNING'), (3, 'SUCCEEDED', 'SUCCEEDED'))
  AS e (sequence, kind, status)
"""
WAITING = """
WITH made AS (
  INSERT INTO tasks (id, tenant_id, name, task_type, queue, priority, payload, payload_form, run_at, status)
  SELECT gen_random_uuid(), 'bench', '', 'type' || n % 5, 'default', (ARRAY['HIGH', 'NORMAL', 'LOW'])[1 + n % 3],
    '{}', 'JSON', now(), 'QUEUED'
  FROM generate_series(1, 1000) AS n RETURNING id
)
INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor)
SELECT id, 1, 'bench', 'CREATED', 'QUEUED', 0, 'bench' FROM made
"""


async def stats_cost(database_url: str, redis_url: str, tasks: int) -> dict[str, float]:
    """So many tasks that finished, and as many that wait, in a database of their own, which nobody else counts.

    How many events are counted in a second; how long each answer takes then (milliseconds), with the last
    3,000 tasks not counted yet and with everything counted.
    """
    own_url = urlsplit(database_url)._replace(path=f"/{DATABASE}").geturl()
    maintenance = await asyncpg.connect(database_url)
    await maintenance.execute(f"CREATE DATABASE {DATABASE}")
    await maintenance.close()
    await asyncio.to_thread(upgrade, own_url)
    connection = await asyncpg.connect(own_url)
    async with open_app(Settings(database_url=own_url, redis_url=redis_url), "bench") as app:
        for _ in range(tasks // 1000):
            await connection.execute(FINISHED)
            await connection.execute(WAITING)
        await connection.execute("VACUUM ANALYZE")
        started = time.perf_counter()
        await app.stats.rollup.run()
        figures = {"events counted/s": 4 * tasks / (time.perf_counter() - started)}
        figures |= {f"{name} ms": await _milliseconds(call) for name, call in _calls(app).items()}
        calls = _calls(app)
        del calls["nothing to count"]
        for _ in range(3):
            await connection.execute(FINISHED)
        figures |= {f"{name} behind ms": await _milliseconds(call) for name, call in calls.items()}
    await connection.close()
    return figures


def _calls(app: App) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "overview": lambda: app.stats.overview("bench"),
        "tasks": lambda: app.stats.tasks("bench", TaskFilter()),
        "queues": lambda: app.stats.queues("bench"),
        "nothing to count": app.stats.rollup.run,
    }


async def _milliseconds(call: Callable[[], Awaitable[object]], times: int = 20) -> float:
    """The median."""
    spans = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        spans.append(time.perf_counter() - started)
    return 1000 * sorted(spans)[times // 2]
