"""When a failed attempt is followed by another: pure arithmetic."""

import random
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when failed attempts are retried. Waits are in seconds."""

    max_attempts: int = 3
    initial_backoff: float = 1.0
    max_backoff: float = 300.0
    backoff_multiplier: float = 2.0
    jitter: Literal["FULL", "NONE"] = "FULL"
    non_retryable_error_types: tuple[str, ...] = ()

    def allows_retry(self, failed_attempts: int, error_type: str) -> bool:
        """Whether another attempt follows after `failed_attempts` failures, the last of this type."""
        return failed_attempts < self.max_attempts and error_type not in self.non_retryable_error_types

    def backoff(self, failed_attempts: int, rng: random.Random) -> float:
        """Seconds to wait after the given number of failures (from 1).

        Exponential with full jitter: drawn evenly from 0 to the capped bound, which spreads a herd best
        (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
        """
        # The exponent is capped so that a long series cannot overflow a float.
        growth = self.backoff_multiplier ** min(failed_attempts - 1, 64)
        bound = min(self.max_backoff, self.initial_backoff * growth)
        return bound if self.jitter == "NONE" else rng.uniform(0, bound)
