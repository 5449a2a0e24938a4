"""What failed alike has one fingerprint; what failed otherwise has another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskflow_core.fingerprint import fingerprint, normalised

ALIKE = {
    "numbers": ("took 12.5 s of 10", "took 3 s of 10"),
    "signs and exponents": ("value -5", "value 1.5e-7"),
    "quoted values": ("no customer 'Ada'", "no customer 'Bob Smith'"),
    "double quotes": ('unknown column "a"', 'unknown column "b \\" c"'),
    "UUIDs": (
        "task 0198c0de-0000-7000-8000-000000000000 is gone",
        "task 1d8f2c3e-1234-4abc-9def-0123456789ab is gone",
    ),
    "timestamps": ("due 2026-01-31T09:00:00Z", "due 2025-12-01 23:59:59.123+01:00"),
    "times of day": ("at 09:00:00", "at 23:59:59.5"),
    "generated ids": ("order ord_8fj39Kx2 is paid", "order ord_2mq7Zw91 is paid"),
    "hexadecimal": ("object at 0x7f3a1c", "object at 0xdeadbeef"),
    "digests": ("commit 9ac5dd57 not found", "commit d06727b1e2f3 not found"),
    "IPv4 addresses": ("connect to 10.0.0.1:5432 refused", "connect to 192.168.12.7:80 refused"),
    "IPv6 addresses": ("connect to ::1 refused", "connect to fe80::a1b2:3c4d refused"),
    "mail addresses": ("cannot send to ada@example.com", "cannot send to b.o+x@mail.example.org"),
    "lists of any length": ("missing 1, 2, 3", "missing 7"),
    "white space": ("a\n  b", "a b"),
}


@pytest.mark.parametrize(("one", "other"), ALIKE.values(), ids=ALIKE.keys())
def test_messages_that_differ_in_their_values_are_alike(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connection refused", "connection reset"),
        ("no customer 'Ada'", "no order 'Ada'"),
        ("can't open", "can't close"),  # an apostrophe opens no quote
        ("it's red, isn't it", "it's blue, isn't it"),
        ("decade", "facade"),  # hexadecimal digits, but words
    ],
)
def test_messages_that_differ_in_their_words_differ(one, other):
    assert normalised(one) != normalised(other)


@given(st.text(max_size=300))
def test_any_text_has_a_fingerprint(message):
    made = fingerprint("it", "ValueError", message, message)
    assert made == fingerprint("it", "ValueError", message, message)
    assert len(made) == 16
    assert int(made, 16) >= 0


@pytest.mark.parametrize("message", ["'" * 4000, "a1" * 2000, "a." * 2000, "1:" * 2000, "<number>, " * 400])
@pytest.mark.timeout(5)
def test_no_message_takes_long(message):
    normalised(message)


def trace(*frames: tuple[str, int, str], error: str = "ValueError: no") -> str:
    lines = [f'  File "{file}", line {line}, in {function}\n    x()' for file, line, function in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, error])


RUNNER = ("/app/worker/taskflow_worker/runner.py", 60, "handle")
CHARGE = ("/app/shop/billing.py", 10, "charge")
HTTPX = ("/venv/lib/python3.11/site-packages/httpx/_client.py", 900, "send")
JSON = ("/usr/lib/python3.11/json/decoder.py", 337, "decode")


def of(stack_trace: str, *, task_type: str = "it", message: str = "no") -> str:
    return fingerprint(task_type, "ValueError", message, stack_trace)


def test_the_type_of_the_error_tells_failures_apart():
    assert fingerprint("it", "ValueError", "no", "") != fingerprint("it", "TypeError", "no", "")


def test_neither_lines_nor_folders_nor_the_library_make_a_difference():
    here = trace(RUNNER, CHARGE, HTTPX)
    there = trace(
        ("/other/taskflow_worker/runner.py", 7, "handle"), ("/srv/1.2/shop/billing.py", 99, "charge"), JSON
    )
    assert of(here) == of(there)


def test_another_function_is_another_place():
    assert of(trace(RUNNER, CHARGE)) != of(trace(RUNNER, ("/app/shop/billing.py", 10, "refund")))


def test_only_the_innermost_functions_are_the_place():
    deep = [("/app/shop/a.py", 1, name) for name in ("one", "two", "three", "four")]
    assert of(trace(*deep)) == of(trace(*deep[1:]))
    assert of(trace(*deep)) != of(trace(*deep[:3]))


def test_the_depth_of_a_recursion_makes_no_difference():
    assert of(trace(CHARGE, *[("/app/shop/a.py", 1, "again")] * 2)) == of(
        trace(CHARGE, *[("/app/shop/a.py", 1, "again")] * 9)
    )


def test_of_chained_exceptions_the_one_that_was_raised_counts():
    during = "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    assert of(trace(HTTPX, JSON) + during + trace(CHARGE)) == of(trace(CHARGE))


def test_a_library_is_the_place_where_no_code_is_ours():
    assert of(trace(RUNNER, HTTPX)) != of(trace(RUNNER, JSON))


def test_one_place_is_one_whatever_task_reached_it():
    assert of(trace(CHARGE), task_type="a") == of(trace(CHARGE), task_type="b")


def test_a_failure_without_a_stack_is_told_apart_by_its_task_type():
    assert of("", task_type="a") != of("", task_type="b")
