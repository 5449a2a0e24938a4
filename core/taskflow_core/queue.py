"""The hints in Redis: which task may be due in which lane. The only place that names a Redis key.

A hint is `(task id, attempt)` in arq's own keys and job bytes, without payload. Losing or doubling one
is harmless: PostgreSQL decides who runs what, and the sweep puts back what is missing.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import redis.asyncio as redis
from arq import ArqRedis
from arq.constants import job_key_prefix
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from taskflow_core.ids import parse_id
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
# Redis's clock may be so far from the database's before hints are put by Redis's: longer than a trip takes, which
# makes the two look apart.
CLOCKS_APART_MS = 100
# What the column of attempts holds.
MAX_ATTEMPT = 2**31 - 1
# Wake-up tokens kept per lane: enough for every worker that may sleep there.
WAKE_TOKENS = 32
# Hints in one script: it holds up all others in Redis meanwhile, and its Lua has a stack for a few thousand at most.
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


def parse_hint_id(hint_id: str) -> tuple[UUID, int]:
    """The task and the attempt of an arq job id that `Hint.id` wrote. Raises ValueError for any other."""
    task_id, _, attempt = hint_id.partition(":")
    parsed = parse_id(task_id), int(attempt)
    if f"{parsed[0]}:{parsed[1]}" != hint_id or not 0 <= parsed[1] <= MAX_ATTEMPT:
        raise ValueError(f"not the id of a hint: {hint_id!r}")
    return parsed


def cancel_channel(session_id: int) -> str:
    """Where a worker session hears which of its tasks to cancel."""
    return f"taskflow:cancel:{session_id}"


# KEYS: lane, wake list. ARGV: time to live (ms), tokens kept, the database's time (ms), the difference of clocks that
# is let be (ms), then the hints as one text, each as task:attempt:due (ms), and what to ring the servers with. Adds
# those that are not there, with the job bytes as arq has them, in JSON (no pickle is ever read or written), and wakes
# one sleeping worker if some are new and some are due. A lone hint is offered with the wake-up: the worker need not
# look for it.
ENQUEUE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fast = now - ARGV[3]
if math.abs(fast) <= tonumber(ARGV[4]) then
  fast = 0
end
local scores = {{}}
local is_due = false
for id, task, attempt, ms in string.gmatch(ARGV[5], '(([%x-]+):(%d+)):(%d+)') do
  local job = '{{"t":null,"f":"{RUN_TASK}","a":["' .. task .. '",' .. attempt .. '],"k":{{}},"et":' .. ms .. '}}'
  redis.call('SET', 'arq:job:' .. id, job, 'NX', 'PX', ARGV[1])
  scores[#scores + 1] = ms + fast
  scores[#scores + 1] = id
  is_due = is_due or ms + fast <= now + 1000
end
if redis.call('ZADD', KEYS[1], 'NX', unpack(scores)) > 0 and is_due then
  local offered = #scores == 2 and scores[1] <= now and scores[2] or ''
  redis.call('LPUSH', KEYS[2], offered)
  redis.call('LTRIM', KEYS[2], 0, ARGV[2] - 1)
end
if ARGV[6] ~= '' then
  redis.call('PUBLISH', '{EVENTS_CHANNEL}', ARGV[6])
end
"""

# KEYS: lanes, the one to serve first in front. ARGV: hints wanted, lease (ms), then of each lane the hints that are done
# with: how many, and their ids.
# Drops what is done, takes due hints and raises their scores by the lease, so that nobody else sees them and
# they show again by themselves if the taker dies. Returns the hints' ids lane by lane, then when the next is due.
# A command takes a thousand of them at most: Lua's stack has room for a few thousand.
CLAIM = """
local count = 3
for lane = 1, #KEYS do
  local last = count + ARGV[count]
  for first = count + 1, last, 1000 do
    local some = {unpack(ARGV, first, math.min(first + 999, last))}
    redis.call('ZREM', KEYS[lane], unpack(some))
    for i, id in ipairs(some) do
      some[i] = 'arq:job:' .. id
    end
    redis.call('DEL', unpack(some))
  end
  count = last + 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wanted = tonumber(ARGV[1])
local taken = {}
local next_due = -1
for lane = 1, #KEYS do
  local ids = {}
  if wanted > 0 then
    ids = redis.call('ZRANGEBYSCORE', KEYS[lane], '-inf', now, 'LIMIT', 0, wanted)
    local scores = {}
    for i, id in ipairs(ids) do
      scores[2 * i - 1] = now + ARGV[2]
      scores[2 * i] = id
    end
    for first = 1, #scores, 1000 do
      redis.call('ZADD', KEYS[lane], 'XX', unpack(scores, first, math.min(first + 999, #scores)))
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
    """The lanes, over one Redis client. `now` is the database's time, to which Redis's clock may not keep."""

    def __init__(self, client: ArqRedis, now: Callable[[], datetime]) -> None:
        self.redis = client
        self._now = now
        # The types of redis-py say that list commands are sync or async and timeouts int; some commands have none.
        self._untyped: Any = client
        self._claim = client.register_script(CLAIM)

    async def enqueue(self, hints: Iterable[Hint], ring: Collection[UUID] = ()) -> None:
        """Add hints; those that are there already stay as they are. One round trip, however many.

        `ring`: tasks with new events, of which every server is told. Call it after the commit.
        """
        limits = (HINT_TTL_MS, WAKE_TOKENS, int(self._now().timestamp() * 1000), CLOCKS_APART_MS)
        told = b"".join(task_id.bytes for task_id in ring)
        commands: list[list[Any]] = [
            ["EVAL", ENQUEUE, 2, lane.key, lane.wake_key, *limits, " ".join(part), b""]
            for lane, texts in _by_lane((hint.lane, f"{hint.id}:{hint.due_ms}") for hint in hints).items()
            for part in _parts(texts, HINTS_PER_SCRIPT)
        ]
        if commands:
            commands[-1][-1] = told
        elif told:
            commands = [["PUBLISH", EVENTS_CHANNEL, told]]
        await self._execute(commands)

    async def _execute(self, commands: Sequence[Sequence[Any]]) -> None:
        if len(commands) == 1:  # without a pipeline, which makes it wait twice as long
            await self._untyped.execute_command(*commands[0])
            return
        async with self.redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            await pipe.execute()

    async def claim(
        self, order: Sequence[Lane], wanted: int, lease_ms: int, done: Iterable[tuple[Lane, str]] = ()
    ) -> Claim:
        """Drop the hints that are done with, and take up to `wanted` due ones, from the first lane first.

        One round trip.
        """
        done_by_lane = _by_lane(done)
        arguments: list[Any] = [wanted, lease_ms]
        for lane in order:
            ids = done_by_lane.get(lane, [])
            arguments += (len(ids), *map(_to_bytes, ids))
        taken, next_due = await self._claim(keys=[lane.key for lane in order], args=arguments)
        return Claim(
            taken=[(lane, _to_text(hint)) for lane, ids in zip(order, taken, strict=True) for hint in ids],
            next_due_ms=None if next_due < 0 else int(next_due),
        )

    async def finish(self, hints: Iterable[tuple[Lane, str]]) -> None:
        """Drop hints that are done with. One round trip."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for lane, texts in _by_lane(hints).items():
                ids = list(map(_to_bytes, texts))
                pipe.zrem(lane.key, *ids)
                pipe.delete(*(job_key_prefix.encode() + hint_id for hint_id in ids))
            await pipe.execute()

    async def missing(self, hints: Sequence[Hint]) -> list[Hint]:
        """Those of the hints, all of one lane, that Redis lacks. One round trip."""
        if not hints:
            return []
        scores = await self.redis.zmscore(hints[0].lane.key, [hint.id for hint in hints])
        return [hint for hint, score in zip(hints, scores, strict=True) if score is None]

    async def wait_for_wake(self, lanes: Sequence[Lane], seconds: float) -> tuple[Lane, str] | None:
        """Sleep until one of the lanes gets due hints; the lane, and the hint's id if it is one, else an empty text.

        `None` when the time is over.
        """
        keys = {lane.wake_key: lane for lane in lanes}
        answer = await self._untyped.blpop(list(keys), timeout=seconds)
        return None if answer is None else (keys[answer[0].decode()], _to_text(answer[1]))

    async def wake(self, lane: Lane) -> None:
        """Wake one more worker of the lane: the first could not take everything."""
        await self._untyped.lpush(lane.wake_key, "")
        await self._untyped.ltrim(lane.wake_key, 0, WAKE_TOKENS - 1)

    async def tell_cancel(self, session_id: int, task_id: UUID, attempt: int) -> None:
        """Tell the worker that runs the task to cancel it."""
        await self.redis.publish(cancel_channel(session_id), f"{task_id}:{attempt}")

    async def ring_schedulers(self) -> None:
        """Tell every scheduler that the next time of a schedule may have changed. Call it after the commit."""
        await self.redis.publish(SCHEDULES_CHANNEL, b"")


def open_redis(settings: Settings) -> ArqRedis:
    """A client of arq's kind that reconnects and speaks JSON; `aclose(close_connection_pool=True)` it at the end."""
    pool = _Pool.from_url(
        settings.redis_url,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.01), retries=2),
        retry_on_error=[redis.ConnectionError],
        socket_connect_timeout=2,
        socket_keepalive=True,
    )
    return ArqRedis(pool, job_serializer=_to_json, job_deserializer=json.loads)


class _Pool(redis.ConnectionPool):
    """Hands connections out as they are.

    Redis-py would try to read from each first, to see whether it was closed: a quarter of what a command costs. The
    command sees it too, and is tried again.
    """

    async def ensure_connection(self, connection: redis.connection.AbstractConnection) -> None:
        await connection.connect()  # type: ignore[no-untyped-call] # of redis-py


def _by_lane(hints: Iterable[tuple[Lane, str]]) -> dict[Lane, list[str]]:
    lanes: defaultdict[Lane, list[str]] = defaultdict(list)
    for lane, text in hints:
        lanes[lane].append(text)
    return lanes


def _parts(hints: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(hints), size):
        yield hints[start : start + size]


def _to_text(hint_id: bytes) -> str:
    """A lane may hold anything; what is no text survives the way there and back."""
    return hint_id.decode(errors="surrogateescape")


def _to_bytes(hint_id: str) -> bytes:
    return hint_id.encode(errors="surrogateescape")


def _to_json(job: dict[str, Any]) -> bytes:
    return json.dumps(job).encode()
