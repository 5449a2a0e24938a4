"""Which of the times that have come still fire: pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from taskflow_core.states import CatchUpPolicy, FireTrigger

# A time that is seen within this is on time: schedulers take a moment when much is due at once.
ON_TIME = timedelta(seconds=10)


@dataclass(frozen=True)
class Due:
    """A time that has come: it fires, unless it was missed, and then `missed` says why."""

    time: datetime
    trigger: FireTrigger = FireTrigger.TIME
    missed: str = ""


def catch_up(
    times: Sequence[datetime], now: datetime, window: timedelta, policy: str, *, more: bool = False
) -> list[Due]:
    """What becomes of times up to now, earliest first. `more` tells that later ones have come, too."""
    last = None if more or not times else times[-1]
    return [_due(time, now, window, policy, is_last=time == last) for time in times]


def _due(time: datetime, now: datetime, window: timedelta, policy: str, *, is_last: bool) -> Due:
    late = now - time
    if late <= ON_TIME:
        return Due(time)
    if late > window:
        missed = f"seen {_seconds(late)} late, past the catch-up window of {_seconds(window)}"
    elif policy == CatchUpPolicy.NONE:
        missed = f"seen {_seconds(late)} late, and the catch-up policy is NONE"
    elif policy == CatchUpPolicy.LATEST and not is_last:
        missed = f"seen {_seconds(late)} late, and the catch-up policy takes only the latest"
    else:
        missed = ""
    return Due(time, FireTrigger.CATCH_UP, missed)


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.0f} s"
