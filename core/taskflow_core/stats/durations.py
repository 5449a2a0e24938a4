"""Distributions of durations that can be added up. Pure; durations are in whole microseconds.

They are counted in buckets that grow by a constant factor, so a percentile is off by at most 5 %, whatever
the scale: the middle of a bucket is less than 4.8 % from both of its ends. Mean and maximum are exact.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

GROWTH = 1.1
# Bucket b holds what is above GROWTH**(b - 1) and at most GROWTH**b microseconds; this one holds zero.
ZERO = -1


def bucket_sql(microseconds: str) -> str:
    """The bucket of a duration, as an expression over an expression."""
    return f"CASE WHEN {microseconds} <= 0 THEN {ZERO} ELSE ceil(ln({microseconds}) / ln({GROWTH}))::int END"


@dataclass
class Durations:
    """How long things took."""

    total: int = 0
    longest: int = 0
    buckets: Counter[int] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.buckets.total()

    def add(self, *, total: int, longest: int, buckets: Iterable[tuple[int, int]]) -> None:
        """Add others: their sum, their longest, and how many are in which bucket."""
        self.total += total
        self.longest = max(self.longest, longest)
        for bucket, count in buckets:
            self.buckets[bucket] += count

    def add_all(self, other: "Durations") -> None:
        """Add another distribution."""
        self.add(total=other.total, longest=other.longest, buckets=other.buckets.items())

    @property
    def mean(self) -> float:
        """The mean in seconds. Only if `count` is not zero."""
        return self.total / self.count / 1e6

    def percentile(self, share: float) -> float:
        """What so great a share is at most, in seconds. Only if `count` is not zero."""
        rank = math.ceil(share * self.count)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(_middle(bucket), self.longest) / 1e6
        raise ValueError("there are no durations")


def _middle(bucket: int) -> float:
    return 0.0 if bucket == ZERO else 2 * GROWTH**bucket / (GROWTH + 1)
