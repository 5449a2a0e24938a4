"""The arithmetic of `compute`, against formulas and tables that know nothing of it, and the limits of its payload."""

import decimal
import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskflow_worker.handlers import operations
from taskflow_worker.handlers.compute import OPERATIONS, Choice
from taskflow_worker.outcome import InvalidPayload
from taskflow_worker.payloads import parse_payload


def parse(payload):
    parameters, _ = OPERATIONS[parse_payload(Choice, payload).operation]
    return parse_payload(parameters, payload)


def fibonacci_by_addition(n):
    previous, value = 1, 0
    for _ in range(n):
        previous, value = value, previous + value
    return value


@pytest.mark.parametrize("n", [*range(100), 1000, 4321])
def test_fibonacci_is_what_addition_gives(n):
    assert int(operations.fibonacci(n)["value"]) == fibonacci_by_addition(n)


def test_numbers_up_to_2_to_the_53_are_numbers_and_larger_ones_text():
    assert operations.fibonacci(78)["value"] == 8944394323791464
    assert operations.fibonacci(79)["value"] == "14472334024676221"
    assert operations.exact(2**53) == 2**53
    assert operations.exact(2**53 + 1) == "9007199254740993"
    assert operations.exact(-(2**53) - 1) == "-9007199254740993"


def test_the_largest_fibonacci_number_has_all_its_digits():
    # Binet's formula, in logarithms.
    golden_ratio = (1 + math.sqrt(5)) / 2
    digits = math.floor(100_000 * math.log10(golden_ratio) - math.log10(5) / 2) + 1
    assert len(operations.fibonacci(100_000)["value"]) == digits


def test_factorial_is_what_multiplication_gives():
    assert operations.factorial(0) == {"n": 0, "digits": 1, "value": 1}
    assert operations.factorial(20) == {"n": 20, "digits": 19, "value": "2432902008176640000"}
    assert operations.factorial(18)["value"] == 6402373705728000


def test_the_largest_factorial_has_all_its_digits():
    largest = operations.factorial(20_000)
    assert largest["digits"] == math.floor(math.lgamma(20_001) / math.log(10)) + 1
    # Legendre: so often does 5, and so 10, divide it.
    zeros = sum(20_000 // 5**power for power in range(1, 7))
    assert len(largest["value"]) - len(largest["value"].rstrip("0")) == zeros


# The prime-counting function (OEIS A006880).
@pytest.mark.parametrize(
    ("limit", "count"), [(10, 4), (100, 25), (1000, 168), (1_000_000, 78_498), (10_000_000, 664_579)]
)
def test_as_many_primes_as_the_tables_say(limit, count):
    assert operations.primes(limit)["count"] == count


def primes_by_division(limit):
    return [n for n in range(2, limit + 1) if all(n % d for d in range(2, math.isqrt(n) + 1))]


@given(st.integers(2, 3000))
@settings(deadline=None)
def test_primes_are_what_division_gives(limit):
    expected = primes_by_division(limit)
    assert operations.primes(limit) == {"limit": limit, "count": len(expected), "last": expected[-10:]}


def test_the_last_primes_reach_over_the_steps_of_the_sieve(monkeypatch):
    monkeypatch.setattr(operations, "SIEVE_STEP", 7)
    expected = primes_by_division(500)
    assert operations.primes(500) == {"limit": 500, "count": len(expected), "last": expected[-10:]}


@pytest.mark.parametrize(("size", "seed"), [(1, 0), (2, 1), (17, 42)])
def test_trace_and_sum_of_a_product_follow_without_the_product(size, seed):
    rng = random.Random(seed)
    left, right = ([[rng.randrange(10) for _ in range(size)] for _ in range(size)] for _ in range(2))
    trace = sum(left[i][j] * right[j][i] for i in range(size) for j in range(size))
    total = sum(sum(row[k] for row in left) * sum(right[k]) for k in range(size))
    assert operations.matrix(size, seed) == {"size": size, "seed": seed, "trace": trace, "sum": total}


def pi_by_arithmetic_geometric_mean(digits):
    """Gauss and Legendre: the digits double with every step."""
    with decimal.localcontext() as context:
        context.prec = digits + 20
        a, b = decimal.Decimal(1), 1 / decimal.Decimal(2).sqrt()
        t, p = decimal.Decimal("0.25"), decimal.Decimal(1)
        for _ in range(digits.bit_length() + 2):
            following = (a + b) / 2
            b = (a * b).sqrt()
            t -= p * (a - following) ** 2
            a, p = following, 2 * p
        return str((a + b) ** 2 / (4 * t))[: digits + 2]


@pytest.mark.parametrize("digits", [1, 2, 31, 32, 50, 1000, 5000])
def test_pi_is_what_another_method_gives(digits):
    assert operations.pi(digits) == {"digits": digits, "value": pi_by_arithmetic_geometric_mean(digits)}


# The records of the Collatz sequence (OEIS A006877, A006878).
@pytest.mark.parametrize(
    ("limit", "start", "steps"),
    [(1, 1, 0), (2, 2, 1), (10, 9, 19), (100, 97, 118), (10_000, 6171, 261), (100_000, 77031, 350)],
)
def test_the_longest_collatz_sequence_is_the_known_one(limit, start, steps):
    assert operations.collatz(limit) == {"limit": limit, "start": start, "steps": steps}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"operation": "fibonacci", "n": 100_001}, "n: must be at most 100000"),
        ({"operation": "fibonacci", "n": -1}, "n: must be at least 0"),
        ({"operation": "fibonacci", "n": "30"}, "n: must be a whole number"),
        ({"operation": "fibonacci", "n": 2.5}, "n: must be a whole number"),
        ({"operation": "fibonacci", "n": True}, "n: must be a whole number"),
        ({"operation": "fibonacci"}, "n: is required"),
        ({"operation": "fibonacci", "n": 3, "m": 4}, "m: is not a field of this payload"),
        ({"operation": "factorial", "n": 20_001}, "n: must be at most 20000"),
        ({"operation": "primes", "limit": 1}, "limit: must be at least 2"),
        ({"operation": "primes", "limit": 10**9 + 1}, "limit: must be at most 1000000000"),
        (
            {"operation": "matrix", "size": 0, "seed": -1},
            "size: must be at least 1; seed: must be at least 0",
        ),
        ({"operation": "pi", "digits": 50_001}, "digits: must be at most 50000"),
        ({"operation": "collatz", "limit": 0}, "limit: must be at least 1"),
        (
            {"operation": "sing"},
            "operation: must be 'fibonacci', 'factorial', 'primes', 'matrix', 'pi' or 'collatz'",
        ),
        ({}, "operation: is required"),
        ([], "payload: must be an object"),
    ],
)
def test_a_wrong_payload_is_refused_with_the_field_and_what_is_allowed(payload, message):
    with pytest.raises(InvalidPayload) as caught:
        parse(payload)
    assert str(caught.value) == message


def test_every_operation_has_parameters_in_the_order_of_its_function():
    for name, (parameters, function) in OPERATIONS.items():
        wanted = list(parameters.model_fields)
        assert wanted[0] == "operation"
        code = function.__code__
        assert wanted[1:] == list(itertools.islice(code.co_varnames, code.co_argcount)), name
