"""What is repeated until the database answers, and what is wrong for good."""

import asyncpg
import pytest
from asyncpg.exceptions import _base

from taskflow_core.db import is_outage, is_refusal, until_answered


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.InterfaceError("the pool is closing"),
        asyncpg.InternalClientError("another operation is in progress"),
        asyncpg.QueryCanceledError(),
        asyncpg.DiskFullError(),
        asyncpg.ReadOnlySQLTransactionError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_may_pass_is_repeated(error: Exception):
    tries = 0

    async def work() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise error
        return tries

    assert is_outage(error)
    assert await until_answered(work, "a test") == 2


@pytest.mark.parametrize("error", [_base.DataError("out of range"), asyncpg.DataError(), KeyError()])
async def test_what_stays_wrong_is_raised(error: Exception):
    async def work() -> None:
        raise error

    assert not is_outage(error)
    with pytest.raises(type(error)):
        await until_answered(work, "a test")


@pytest.mark.parametrize(
    ("error", "refuses"),
    [
        (_base.DataError("out of range"), True),
        (asyncpg.UntranslatableCharacterError(), True),
        (asyncpg.ProgramLimitExceededError(), True),
        (asyncpg.UndefinedColumnError(), False),
        (asyncpg.CheckViolationError(), False),
        (asyncpg.InterfaceError("the pool is closing"), False),
        (ValueError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_errors_about_a_value_are_refusals_of_it(error: Exception, refuses: bool):
    assert is_refusal(error) is refuses
