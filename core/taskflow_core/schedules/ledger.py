"""What becomes of the fires of one schedule: decided here, in memory, while its row is locked."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from taskflow_core.executions.start import NewExecution
from taskflow_core.ids import new_id
from taskflow_core.schedules.catch_up import Due
from taskflow_core.schedules.fires import Fire
from taskflow_core.schedules.overlap import decide
from taskflow_core.states import FireOutcome, FireTrigger, OverlapPolicy, ScheduleStatus, TaskStatus
from taskflow_core.tasks.create import NewTask
from taskflow_core.tasks.rows import Row

COUNTERS = ("fired", "caught_up", "skipped", "missed", "dropped", "triggered", "backfilled", "failed")
# Fires that somebody asked for go on while the schedule is paused.
ASKED_FOR = frozenset({FireTrigger.MANUAL, FireTrigger.BACKFILL})

Start = Callable[[Row, Fire], NewTask | NewExecution]


class Refused(Exception):
    """The work of a fire cannot be created; the message says why."""


class Ledger:
    """One schedule and its fires that matter now: what was, and what is to be written.

    `start` makes the work of a fire, or raises Refused. The status moves of a schedule and of its fires are
    made here, under the lock, and written by `Firing`.
    """

    def __init__(self, schedule: Row, fires: Iterable[Fire], now: datetime, start: Start) -> None:
        self.schedule = schedule
        self.now = now
        self.status: str = schedule["status"]
        self.note: str = schedule["note"]
        self.next_fire_at: datetime | None = schedule["next_fire_at"]
        self.last_fire_at: datetime | None = schedule["last_fire_at"]
        self.last_task_id: UUID | None = schedule["last_task_id"]
        self.last_execution_id: UUID | None = schedule["last_execution_id"]
        self.counts: dict[str, int] = {name: schedule[name] for name in COUNTERS}
        fires = list(fires)
        self.running = [fire for fire in fires if fire.outcome == FireOutcome.FIRED]
        self.waiting = [fire for fire in fires if fire.outcome == FireOutcome.BUFFERED]
        self.written: dict[datetime, Fire] = {}
        self.tasks: list[tuple[UUID, NewTask]] = []
        self.executions: list[tuple[Fire, NewExecution]] = []
        self._start = start

    def state(self) -> dict[str, Any]:
        """What is to be written of the schedule itself, by column."""
        return {
            "status": self.status,
            "note": self.note,
            "next_fire_at": self.next_fire_at,
            "last_fire_at": self.last_fire_at,
            "last_task_id": self.last_task_id,
            "last_execution_id": self.last_execution_id,
            "buffered": len(self.waiting),
            **self.counts,
        }

    @property
    def runs_left(self) -> bool:
        """Whether `max_runs` lets its times start more work; what waits counts."""
        limit = self.schedule["max_runs"]
        waiting = sum(fire.trigger not in ASKED_FOR for fire in self.waiting)
        return limit is None or self.counts["fired"] + waiting < limit

    @property
    def to_cancel(self) -> list[Fire]:
        """Fires in the place of whose work another waits to start."""
        if not any(fire.overlap_policy == OverlapPolicy.CANCEL_OTHER for fire in self.waiting):
            return []
        return [fire for fire in self.running if not fire.cancelling]

    def close_ended(self) -> None:
        """Close the fires whose work is final, and pause after a failure if that is wanted."""
        for fire in [fire for fire in self.running if not fire.is_unfinished]:
            self.running.remove(fire)
            fire.open = False
            self._write(fire)
            if fire.work_status == TaskStatus.FAILED:
                self.counts["failed"] += 1
                if self.schedule["pause_on_failure"] and self.status == ScheduleStatus.ACTIVE:
                    self.pause(f"paused by the service: {_work_of(fire)} FAILED")

    def release(self) -> None:
        """Start what waits, one at a time, when nothing runs."""
        while not self.running:
            able = [
                fire
                for fire in self.waiting
                if fire.trigger in ASKED_FOR or self.status != ScheduleStatus.PAUSED
            ]
            if not able:
                return
            # Whoever cancelled the others did not mean to wait for the rest.
            fire = min(able, key=lambda f: (f.overlap_policy != OverlapPolicy.CANCEL_OTHER, f.fire_time))
            self.waiting.remove(fire)
            self._begin(fire, f"waited since {_text(fire.actual_time)}")

    def come_due(self, due: Sequence[Due], start_time: Callable[[datetime], datetime]) -> None:
        """Fire the times that came, oldest first, as far as there are runs left."""
        for time in due:
            if not self.runs_left:
                return
            fire = self._fire(time.time, time.trigger, self.schedule["overlap_policy"], start_time(time.time))
            if time.missed:
                self._decide(fire, FireOutcome.MISSED, time.missed)
            else:
                self.fire(fire)

    def asked(self, time: datetime, trigger: FireTrigger, policy: str, *, again: Fire | None = None) -> Fire:
        """Fire because somebody asks for it. `again`: the fire of this time that started nothing."""
        fire = self._fire(time, trigger, policy or self.schedule["overlap_policy"], self.now)
        if again is not None:
            fire.stored = again.stored
        self.fire(fire)
        return fire

    def fire(self, fire: Fire) -> None:
        """Decide a fire by its overlap policy, and begin its work if nothing is in the way."""
        decision = decide(fire.overlap_policy, running=len(self.running), waiting=len(self.waiting))
        if decision.cancels:
            self._supersede(fire)
        match decision.outcome:
            case FireOutcome.FIRED:
                self._begin(fire)
            case FireOutcome.BUFFERED:
                self._decide(fire, FireOutcome.BUFFERED, f"waits for {self._in_the_way()}")
                fire.open = True
                self.waiting.append(fire)
            case FireOutcome.DROPPED:
                self._decide(fire, FireOutcome.DROPPED, f"{len(self.waiting)} fires wait already")
            case _:
                self._decide(fire, FireOutcome.SKIPPED, f"{self._in_the_way()} is not final")

    def refuse(self, fire: Fire, reason: str) -> None:
        """Take back a fire whose execution could not be started after all."""
        counter = {FireTrigger.MANUAL: "triggered", FireTrigger.BACKFILL: "backfilled"}
        self.counts[counter.get(FireTrigger(fire.trigger), "fired")] -= 1
        self.counts["caught_up"] -= fire.trigger == FireTrigger.CATCH_UP
        self.running.remove(fire)
        self.last_execution_id = self.schedule["last_execution_id"]
        fire.execution_id, fire.open, fire.run_number = None, False, 0
        self._decide(fire, FireOutcome.REFUSED, reason)

    def pause(self, note: str) -> None:
        """ACTIVE -> PAUSED."""
        self.status, self.note, self.next_fire_at = ScheduleStatus.PAUSED, note, None

    def expect(self, next_fire_at: datetime | None) -> None:
        """Set when it fires next; ACTIVE | PAUSED | COMPLETED -> COMPLETED without a time, -> ACTIVE with one."""
        self.next_fire_at = next_fire_at if self.runs_left else None
        self.status = ScheduleStatus.COMPLETED if self.next_fire_at is None else ScheduleStatus.ACTIVE

    def _supersede(self, by: Fire) -> None:
        for fire in [f for f in self.waiting if f.overlap_policy == OverlapPolicy.CANCEL_OTHER]:
            self.waiting.remove(fire)
            fire.open = False
            self._decide(fire, FireOutcome.SKIPPED, f"the fire of {_text(by.fire_time)} took its place")

    def _begin(self, fire: Fire, reason: str = "") -> None:
        fire.actual_time = self.now
        fire.run_number = 1 + sum(self.counts[name] for name in ("fired", "triggered", "backfilled"))
        try:
            work = self._start(self.schedule, fire)
        except Refused as error:
            fire.open, fire.run_number = False, 0
            self._decide(fire, FireOutcome.REFUSED, str(error))
            return
        if isinstance(work, NewTask):
            fire.task_id = self.last_task_id = new_id()
            self.tasks.append((fire.task_id, work))
        else:
            fire.execution_id = self.last_execution_id = new_id()
            self.executions.append((fire, work))
        fire.open = True
        fire.work_status = TaskStatus.RUNNING
        self.running.append(fire)
        self._decide(fire, FireOutcome.FIRED, reason)

    def _decide(self, fire: Fire, outcome: FireOutcome, reason: str) -> None:
        fire.outcome, fire.reason, fire.actual_time = outcome, reason, self.now
        match outcome:
            case FireOutcome.FIRED:
                counter = {FireTrigger.MANUAL: "triggered", FireTrigger.BACKFILL: "backfilled"}
                self.counts[counter.get(FireTrigger(fire.trigger), "fired")] += 1
                self.counts["caught_up"] += fire.trigger == FireTrigger.CATCH_UP
            case FireOutcome.SKIPPED | FireOutcome.MISSED | FireOutcome.DROPPED:
                self.counts[outcome.lower()] += 1
        self._write(fire)

    def _write(self, fire: Fire) -> None:
        self.written[fire.fire_time] = fire

    def _fire(self, time: datetime, trigger: FireTrigger, policy: str, start_time: datetime) -> Fire:
        if trigger != FireTrigger.BACKFILL:
            self.last_fire_at = time if self.last_fire_at is None else max(time, self.last_fire_at)
        return Fire(
            schedule_id=self.schedule["id"],
            tenant_id=self.schedule["tenant_id"],
            fire_time=time,
            trigger=trigger,
            overlap_policy=policy,
            actual_time=self.now,
            start_time=start_time,
        )

    def _in_the_way(self) -> str:
        if self.running:
            fire = self.running[-1]
            return f"{_work_of(fire)} of the fire of {_text(fire.fire_time)}"
        return f"the fire of {_text(self.waiting[-1].fire_time)}, which waits"


def _work_of(fire: Fire) -> str:
    return f"task {fire.task_id}" if fire.task_id else f"execution {fire.execution_id}"


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
