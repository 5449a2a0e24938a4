"""The arithmetic behind `compute`: pure functions of small arguments that report how far they have come."""

import math
import random
import sys
from collections.abc import Callable
from operator import mul
from typing import Any

from taskflow_worker.processes import report_progress

# JSON readers that keep numbers as doubles (JavaScript does) are exact up to here.
MAX_EXACT = 2**53

# Numbers that one step of the sieve covers; the flags of a step fit a processor's cache.
SIEVE_STEP = 1_000_000
LAST_PRIMES = 10


def fibonacci(n: int) -> dict[str, Any]:
    """The n-th Fibonacci number, from 0, 1, 1, 2 ..."""
    value, following = 0, 1
    # Doubling: F(2k) = F(k) (2 F(k+1) - F(k)) and F(2k+1) = F(k)^2 + F(k+1)^2, a bit of n at a time.
    for bit in f"{n:b}":
        value, following = value * (2 * following - value), value**2 + following**2
        if bit == "1":
            value, following = following, value + following
    return {"n": n, "value": exact(value)}


def factorial(n: int) -> dict[str, Any]:
    """1 * 2 * ... * n, and how many decimal digits it has."""
    value = math.factorial(n)
    return {"n": n, "digits": len(decimal(value)), "value": exact(value)}


def primes(limit: int) -> dict[str, Any]:
    """How many primes there are up to `limit`, and the largest of them: a sieve in steps."""
    base = _small_primes(math.isqrt(limit))
    count = 0
    last: list[int] = []
    for start in range(0, limit + 1, SIEVE_STEP):
        flags = _sieve(start, min(start + SIEVE_STEP, limit + 1), base)
        count += flags.count(1)
        last = [*last, *_last_flagged(flags, start)][-LAST_PRIMES:]
        end = start + len(flags) - 1
        report_progress(message=f"{count} primes", current=end, total=limit, unit="numbers")
    return {"limit": limit, "count": count, "last": last}


def matrix(size: int, seed: int) -> dict[str, Any]:
    """The product of two square matrices of digits drawn with `seed`: its trace and the sum of its entries."""
    rng = random.Random(seed)  # noqa: S311 - reproducible on purpose
    left = [[rng.randrange(10) for _ in range(size)] for _ in range(size)]
    right = [[rng.randrange(10) for _ in range(size)] for _ in range(size)]
    columns = list(zip(*right, strict=True))
    trace = total = 0
    for done, row in enumerate(left):
        product = [sum(map(mul, row, column)) for column in columns]
        trace += product[done]
        total += sum(product)
        report_progress(current=done + 1, total=size, unit="rows")
    return {"size": size, "seed": seed, "trace": trace, "sum": total}


def pi(digits: int) -> dict[str, Any]:
    """Pi, cut off after so many digits behind the point, by Machin's formula."""
    guard = 20
    one = 10 ** (digits + guard)
    # The terms of the first series shrink by 25, of the second by 57121: the first is most of the work.
    first = _arctan_of_inverse(5, one, lambda part: report_progress(80 * part, unit="digits"))
    second = _arctan_of_inverse(239, one, lambda part: report_progress(80 + 20 * part, unit="digits"))
    text = decimal((16 * first - 4 * second) // 10**guard)
    return {"digits": digits, "value": f"{text[0]}.{text[1:]}"}


def collatz(limit: int) -> dict[str, Any]:
    """The start up to `limit` whose Collatz sequence (n/2 or 3n+1) takes the most steps down to 1."""
    steps = [0] * (limit + 1)
    longest = 1
    for start in range(2, limit + 1):
        number, taken = start, 0
        while number >= start:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            taken += 1
        steps[start] = taken + steps[number]
        if steps[start] > steps[longest]:
            longest = start
        if start % 10_000 == 0:
            report_progress(current=start, total=limit, unit="numbers")
    return {"limit": limit, "start": longest, "steps": steps[longest]}


def _small_primes(limit: int) -> list[int]:
    flags = bytearray(b"\x00\x00") + b"\x01" * (limit - 1)
    for number in range(2, math.isqrt(limit) + 1):
        if flags[number]:
            _strike(flags, number * number, number)
    return [number for number, flag in enumerate(flags) if flag]


def _sieve(start: int, end: int, base: list[int]) -> bytearray:
    """For each number from `start` to before `end` whether it is prime; `base` has the primes up to its root."""
    flags = bytearray(b"\x01") * (end - start)
    if start == 0:
        flags[:2] = bytes(2)
    for prime in base:
        first_multiple = -(-start // prime) * prime
        _strike(flags, max(prime * prime, first_multiple) - start, prime)
    return flags


def _strike(flags: bytearray, first: int, step: int) -> None:
    flags[first::step] = bytes(len(range(first, len(flags), step)))


def _last_flagged(flags: bytearray, start: int) -> list[int]:
    found: list[int] = []
    position = len(flags)
    while len(found) < LAST_PRIMES and (position := flags.rfind(1, 0, position)) >= 0:
        found.append(start + position)
    return found[::-1]


def _arctan_of_inverse(divisor: int, one: int, report: Callable[[float], None]) -> int:
    """arctan(1 / divisor), times `one`; `report` gets the part (0 to 1) that is done now and then."""
    power = total = one // divisor
    terms = max(1, int(math.log(one, divisor * divisor)))
    sign = 1
    for term in range(1, terms + 2):
        power //= divisor * divisor
        sign = -sign
        total += sign * (power // (2 * term + 1))
        if term % 256 == 0:
            report(min(1.0, term / terms))
    report(1.0)
    return total


def exact(value: int) -> int | str:
    """The integer as every JSON reader gets it right: as a number up to 2^53, as text of digits beyond."""
    return value if abs(value) <= MAX_EXACT else decimal(value)


def decimal(value: int) -> str:
    """The decimal digits, however many."""
    # Python refuses long ones by default to guard servers; here the operations bound their length.
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return str(value)
    finally:
        sys.set_int_max_str_digits(limit)
