"""What a fire does while the work of earlier ones is not final: pure decisions."""

from dataclasses import dataclass

from taskflow_core.states import FireOutcome, OverlapPolicy

# Fires of one schedule that wait at most.
MAX_WAITING = 1000


@dataclass(frozen=True)
class Decision:
    """What becomes of a fire. `cancels`: the earlier work, and what waited with the same wish."""

    outcome: FireOutcome
    cancels: bool = False


def decide(policy: str, *, running: int, waiting: int) -> Decision:
    """What a fire becomes while so many earlier ones run, and so many wait."""
    if policy == OverlapPolicy.ALLOW_ALL or not (running or waiting):
        return Decision(FireOutcome.FIRED)
    match policy:
        case OverlapPolicy.BUFFER_ONE:
            return Decision(FireOutcome.SKIPPED if waiting else FireOutcome.BUFFERED)
        case OverlapPolicy.BUFFER_ALL:
            return Decision(FireOutcome.DROPPED if waiting >= MAX_WAITING else FireOutcome.BUFFERED)
        case OverlapPolicy.CANCEL_OTHER:
            return Decision(FireOutcome.BUFFERED, cancels=True)
    return Decision(FireOutcome.SKIPPED)
