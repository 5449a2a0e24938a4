"""Distributions of durations: exact where they say so, and off by at most 5 % where not."""

import math
import random

import pytest

from taskflow_core.stats.durations import GROWTH, ZERO, Durations


def distribution(values: list[int]) -> Durations:
    found = Durations()
    for value in values:
        bucket = ZERO if value == 0 else math.ceil(math.log(value) / math.log(GROWTH))
        found.add(total=value, longest=value, buckets=[(bucket, 1)])
    return found


@pytest.mark.parametrize("scale", [1, 1_000, 10**6, 3 * 10**9, 2 * 10**12])
def test_percentiles_of_any_scale_are_off_by_at_most_5_percent(scale: int):
    rng = random.Random(scale)
    values = sorted(round(rng.expovariate(1 / scale)) + 1 for _ in range(10_001))
    found = distribution(values)
    for share in (0.5, 0.95, 0.99):
        exact = values[math.ceil(share * len(values)) - 1] / 1e6
        assert found.percentile(share) == pytest.approx(exact, rel=0.05)


def test_mean_and_longest_are_exact_and_no_percentile_is_above_the_longest():
    found = distribution([0, 1, 999_999, 1_000_000])
    assert (found.count, found.mean, found.longest) == (4, 0.5, 1_000_000)
    assert found.percentile(0.99) <= 1.0
    assert found.percentile(0.1) == 0.0


def test_distributions_add_up_in_any_order():
    one, other = distribution([5, 70, 900]), distribution([1, 5, 10**7])
    together = distribution([5, 70, 900, 1, 5, 10**7])
    both = Durations()
    both.add_all(other)
    both.add_all(one)
    assert both == together
