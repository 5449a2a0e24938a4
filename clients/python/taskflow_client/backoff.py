"""How long to wait before asking again, and when to give up."""

import random
import time
from collections.abc import Callable

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0


class Backoff:
    """Pauses between tries: drawn from 0 to a bound that doubles, until `patience` seconds have passed."""

    def __init__(
        self,
        patience: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - no secret
        self.reset()

    def reset(self) -> None:
        """Something came: start over with short pauses and full patience."""
        self._bound = FIRST_SECONDS
        self._give_up_at = self._clock() + self._patience

    def pause(self) -> float | None:
        """Seconds until the next try; None if it is time to give up."""
        if self._clock() >= self._give_up_at:
            return None
        seconds = self._rng.uniform(0, self._bound)
        self._bound = min(2 * self._bound, LONGEST_SECONDS)
        return seconds
