"""The hints in Redis: which task may be due in which lane. The only place that names a Redis key.

A hint is `(task id, attempt)` in arq's own keys and job bytes, without payload. Losing or doubling one
is harmless: PostgreSQL decides who runs what, and the sweep puts back what is missing.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

import redis.asyncio as redis
from arq import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from taskflow_core.settings import Settings
from taskflow_core.states import Priority

REDIS_ERRORS = (redis.RedisError, OSError)

# The function name in arq's job bytes.
RUN_TASK = "run_task"
# Missing after a wipe: then the sweep puts every hint back at full speed.
EPOCH_KEY = "taskflow:epoch"
EVENTS_CHANNEL = "taskflow:events"
SCHEDULES_CHANNEL = "taskflow:schedules"
# A hint nobody took lives this long; the sweep puts it back if the task still waits.
HINT_TTL_MS = 24 * 3600 * 1000
# Hints of tasks due later than this wait in PostgreSQL until the sweep promotes them.
HORIZON_SECONDS = 60.0
# What the column of attempts holds.
MAX_ATTEMPT = 2**31 - 1
# Wake-up tokens kept per lane: enough for every worker that may sleep there.
WAKE_TOKENS = 32
# Hints in one script: it holds up all others in Redis meanwhile.
HINTS_PER_SCRIPT = 500


class Lane(NamedTuple):
    """One arq queue: a named queue and a priority."""

    queue: str
    priority: str

    @property
    def key(self) -> str:
        return f"taskflow:{self.queue}:{self.priority.lower()}"

    @property
    def wake_key(self) -> str:
        return f"{self.key}:wake"


def lanes(queues: Sequence[str], priorities: Sequence[str]) -> list[Lane]:
    """All lanes of these queues, most urgent first."""
    urgency = list(Priority)
    ordered = sorted(priorities, key=lambda name: urgency.index(Priority(name)))
    return [Lane(queue, priority) for priority in ordered for queue in queues]


class Hint(NamedTuple):
    """A task that may be due: run attempt `attempt + 1` at `due_ms` (Unix time) or later."""

    lane: Lane
    task_id: UUID
    attempt: int
    due_ms: int

    @property
    def id(self) -> str:
        """The job id in arq's keys."""
        return f"{self.task_id}:{self.attempt}"

    @property
    def job(self) -> str:
        """The job bytes as arq has them, in JSON: no pickle is ever read or written."""
        return (
            f'{{"t":null,"f":"{RUN_TASK}","a":["{self.task_id}",{self.attempt}],"k":{{}},"et":{self.due_ms}}}'
        )


def parse_hint_id(hint_id: str) -> tuple[UUID, int]:
    """The task and the attempt of an arq job id that `Hint.id` wrote. Raises ValueError for any other."""
    task_id, _, attempt = hint_id.partition(":")
    parsed = UUID(task_id), int(attempt)
    if f"{parsed[0]}:{parsed[1]}" != hint_id or not 0 <= parsed[1] <= MAX_ATTEMPT:
        raise ValueError(f"not the id of a hint: {hint_id!r}")
    return parsed


def cancel_channel(session_id: int) -> str:
    """Where a worker session hears which of its tasks to cancel."""
    return f"taskflow:cancel:{session_id}"


# KEYS: lane, wake list. ARGV: time to live (ms), tokens kept, then id, job bytes, due (ms) of each hint. Adds the
# hints that are not there, and wakes one sleeping worker if any of them is new and due.
ENQUEUE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due_now = 0
for i = 3, #ARGV, 3 do
  redis.call('SET', 'arq:job:' .. ARGV[i], ARGV[i + 1], 'NX', 'PX', ARGV[1])
  if redis.call('ZADD', KEYS[1], 'NX', ARGV[i + 2], ARGV[i]) == 1 and tonumber(ARGV[i + 2]) <= now + 1000 then
    due_now = due_now + 1
  end
end
if due_now > 0 then
  redis.call('LPUSH', KEYS[2], 1)
  redis.call('LTRIM', KEYS[2], 0, ARGV[2] - 1)
end
return due_now
"""

# KEYS: lanes, the one to serve first in front. ARGV: hints wanted, lease (ms), worker session, then the hints that
# are done with: the place of the lane among the keys, and the id.
# Drops what is done, takes due hints and raises their scores by the lease, so that nobody else sees them and
# they show again by themselves if the taker dies. Returns the hints' ids lane by lane, then when the next is due.
CLAIM = """
for i = 4, #ARGV, 2 do
  local id = ARGV[i + 1]
  redis.call('ZREM', KEYS[tonumber(ARGV[i])], id)
  redis.call('DEL', 'arq:job:' .. id, 'arq:in-progress:' .. id)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wanted = tonumber(ARGV[1])
local taken = {}
local next_due = -1
for lane = 1, #KEYS do
  local ids = {}
  if wanted > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[lane], '-inf', now, 'LIMIT', 0, wanted)) do
      redis.call('ZADD', KEYS[lane], 'XX', now + ARGV[2], id)
      redis.call('SET', 'arq:in-progress:' .. id, ARGV[3], 'PX', ARGV[2])
      ids[#ids + 1] = id
    end
    wanted = wanted - #ids
  end
  taken[lane] = ids
  local first = redis.call('ZRANGE', KEYS[lane], 0, 0, 'WITHSCORES')
  if first[2] and (next_due < 0 or tonumber(first[2]) - now < next_due) then
    next_due = math.max(0, tonumber(first[2]) - now)
  end
end
return {taken, next_due}
"""


@dataclass(frozen=True)
class Claim:
    """What one claim took: hint ids by lane, and milliseconds until the next hint is due, if any."""

    taken: list[tuple[Lane, str]]
    next_due_ms: int | None


class Queue:
    """The lanes, over one Redis client."""

    def __init__(self, client: ArqRedis) -> None:
        self.redis = client
        self._lists: Any = client  # redis-py types list commands as sync or async, and timeouts as int
        self._claim = client.register_script(CLAIM)

    async def enqueue(self, hints: Iterable[Hint], ring: Collection[UUID] = ()) -> None:
        """Add hints; those that are there already stay as they are. One round trip, however many.

        `ring`: tasks with new events, of which every server is told. Call it after the commit.
        """
        async with self.redis.pipeline(transaction=False) as pipe:
            for lane, group in groupby(sorted(hints, key=lambda hint: hint.lane), key=lambda hint: hint.lane):
                for part in _parts(list(group), HINTS_PER_SCRIPT):
                    arguments: list[Any] = [HINT_TTL_MS, WAKE_TOKENS]
                    for hint in part:
                        arguments += (hint.id, hint.job, hint.due_ms)
                    pipe.eval(ENQUEUE, 2, lane.key, lane.wake_key, *arguments)
            if ring:
                pipe.publish(EVENTS_CHANNEL, b"".join(task_id.bytes for task_id in ring))
            await pipe.execute()

    async def claim(
        self,
        order: Sequence[Lane],
        wanted: int,
        lease_ms: int,
        session_id: int,
        done: Iterable[tuple[Lane, str]] = (),
    ) -> Claim:
        """Drop the hints that are done with, and take up to `wanted` due ones, from the first lane first.

        One round trip.
        """
        places = {lane: place for place, lane in enumerate(order, start=1)}
        arguments: list[Any] = [wanted, lease_ms, session_id]
        for lane, hint_id in done:
            arguments += (places[lane], _to_bytes(hint_id))
        taken, next_due = await self._claim(keys=[lane.key for lane in order], args=arguments)
        return Claim(
            taken=[(lane, _to_text(hint)) for lane, ids in zip(order, taken, strict=True) for hint in ids],
            next_due_ms=None if next_due < 0 else int(next_due),
        )

    async def finish(self, hints: Iterable[tuple[Lane, str]]) -> None:
        """Drop hints that are done with. One round trip."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for lane, group in groupby(sorted(hints), key=lambda hint: hint[0]):
                ids = [_to_bytes(hint_id) for _, hint_id in group]
                pipe.zrem(lane.key, *ids)
                pipe.delete(
                    *(job_key_prefix.encode() + hint_id for hint_id in ids),
                    *(in_progress_key_prefix.encode() + hint_id for hint_id in ids),
                )
            await pipe.execute()

    async def missing(self, hints: Sequence[Hint]) -> list[Hint]:
        """Those of the hints, all of one lane, that Redis lacks. One round trip."""
        if not hints:
            return []
        scores = await self.redis.zmscore(hints[0].lane.key, [hint.id for hint in hints])
        return [hint for hint, score in zip(hints, scores, strict=True) if score is None]

    async def wait_for_wake(self, lanes: Sequence[Lane], seconds: float) -> Lane | None:
        """Sleep until one of the lanes gets a due hint; the lane, or `None` when the time is over."""
        keys = {lane.wake_key: lane for lane in lanes}
        answer = await self._lists.blpop(list(keys), timeout=seconds)
        return None if answer is None else keys[answer[0].decode()]

    async def wake(self, lane: Lane) -> None:
        """Wake one more worker of the lane: the first could not take everything."""
        await self._lists.lpush(lane.wake_key, 1)
        await self._lists.ltrim(lane.wake_key, 0, WAKE_TOKENS - 1)

    async def tell_cancel(self, session_id: int, task_id: UUID, attempt: int) -> None:
        """Tell the worker that runs the task to cancel it."""
        await self.redis.publish(cancel_channel(session_id), f"{task_id}:{attempt}")

    async def ring_schedulers(self) -> None:
        """Tell every scheduler that the next time of a schedule may have changed. Call it after the commit."""
        await self.redis.publish(SCHEDULES_CHANNEL, b"")


def open_redis(settings: Settings) -> ArqRedis:
    """A client of arq's kind that reconnects and speaks JSON; `aclose(close_connection_pool=True)` it at the end."""
    pool = redis.ConnectionPool.from_url(
        settings.redis_url,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.01), retries=2),
        retry_on_error=[redis.ConnectionError],
        socket_connect_timeout=2,
        socket_keepalive=True,
    )
    return ArqRedis(pool, job_serializer=_to_json, job_deserializer=json.loads)


def _parts(hints: Sequence[Hint], size: int) -> Iterator[Sequence[Hint]]:
    for start in range(0, len(hints), size):
        yield hints[start : start + size]


def _to_text(hint_id: bytes) -> str:
    """A lane may hold anything; what is no text survives the way there and back."""
    return hint_id.decode(errors="surrogateescape")


def _to_bytes(hint_id: str) -> bytes:
    return hint_id.encode(errors="surrogateescape")


def _to_json(job: dict[str, Any]) -> bytes:
    return json.dumps(job).encode()
