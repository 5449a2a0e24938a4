"""The two meanings of a filter, in SQL and in Python, are one; and pages of any order put together are the list."""

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from taskflow_core import filters
from taskflow_core.filters import FilterField, compile_filter, matcher
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.states import TaskStatus

TASKS = sa.Table(
    "tasks",
    sa.MetaData(),
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("tags", postgresql.ARRAY(sa.Text)),
    sa.Column("attempt", sa.Integer),
    sa.Column("progress", sa.Double),
    sa.Column("cancel_requested", sa.Boolean),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("end_time", sa.DateTime(timezone=True)),
    sa.Column("schedule_id", sa.Uuid),
)
FIELDS = {
    "id": FilterField(TASKS.c.id, filters.UUID),
    "name": FilterField(TASKS.c.name, filters.TEXT),
    "status": FilterField(TASKS.c.status, filters.ENUM(TaskStatus)),
    "tags": FilterField(TASKS.c.tags, filters.TEXT_LIST),
    "attempt": FilterField(TASKS.c.attempt, filters.INTEGER),
    "progress": FilterField(TASKS.c.progress, filters.NUMBER),
    "cancel_requested": FilterField(TASKS.c.cancel_requested, filters.BOOLEAN),
    "end_time": FilterField(TASKS.c.end_time, filters.TIMESTAMP),
    "schedule_id": FilterField(TASKS.c.schedule_id, filters.UUID),
}
ORDERED: dict[str, sa.Column[Any]] = {
    name: TASKS.c[name] for name in ("create_time", "end_time", "attempt", "schedule_id", "id")
}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

# Few values, so that rows tie and filters hit.
words = st.text(st.sampled_from("aBé_%\\*\n "), max_size=4)
times = st.sampled_from([NOON + timedelta(microseconds=n) for n in range(4)])
small_ids = st.integers(1, 4).map(lambda n: UUID(int=n))
attempts = st.integers(-1, 2)
numbers = st.sampled_from([-0.5, 0.0, 0.1, 1e300])

rows = st.fixed_dictionaries(
    {
        "name": st.none() | words,
        "status": st.none() | st.sampled_from(TaskStatus).map(str),
        "tags": st.none() | st.lists(words, max_size=3),
        "attempt": st.none() | attempts,
        "progress": st.none() | numbers,
        "cancel_requested": st.none() | st.booleans(),
        "create_time": times,
        "end_time": st.none() | times,
        "schedule_id": st.none() | small_ids,
    }
)
row_sets = st.lists(rows, max_size=12).map(
    lambda found: [{"id": UUID(int=n), **row} for n, row in enumerate(found, start=1)]
)


def quoted(text: str) -> str:
    """The literal for this text, with its stars left as wildcards."""
    return '"' + text.replace("\\", "\\\\").replace("\n", "\\n") + '"'


ordering = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":"])
equality = st.sampled_from(["=", "!=", ":"])


def compared(
    name: str, operators: st.SearchStrategy[str], values: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    return st.tuples(operators, values).map(lambda pair: f"{name} {pair[0]} {pair[1]}")


comparisons = st.one_of(
    compared("name", equality, words.map(quoted)),
    compared("name", ordering, words.map(lambda word: quoted(word).replace("*", "\\*"))),
    compared("tags", st.just(":"), words.map(quoted)),
    compared("status", equality, st.sampled_from(TaskStatus).map(str.lower)),
    compared("attempt", ordering, (attempts | st.just(2**40)).map(str)),
    compared("progress", ordering, numbers.map(str)),
    compared("cancel_requested", equality, st.sampled_from(["true", "false"])),
    compared("end_time", ordering, times.map(datetime.isoformat)),
    compared("schedule_id", ordering, small_ids.map(str)),
    compared("id", ordering, small_ids.map(str)),
    st.sampled_from([name for name in FIELDS if name != "id"]).map(lambda name: f"{name}:*"),
)
filter_texts = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        inner.map(lambda text: f"NOT ({text})"),
        inner.map(lambda text: f"-({text})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) OR ({pair[1]})"),
        st.tuples(inner, inner).map(" AND ".join),
        st.tuples(inner, inner).map(" ".join),
    ),
    max_leaves=6,
)

real_database = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    # The database is emptied by each example itself.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Database:
    """The table of tasks on a real PostgreSQL, asked from code that is not asynchronous, as hypothesis wants it."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+asyncpg"))
        self._connection = self._runner.run(self._connect())

    async def _connect(self) -> Any:
        connection = await self._engine.connect()
        await connection.run_sync(TASKS.metadata.create_all)
        return connection

    def fill(self, found: list[dict[str, Any]]) -> None:
        self._runner.run(self._fill(found))

    async def _fill(self, found: list[dict[str, Any]]) -> None:
        await self._connection.execute(sa.delete(TASKS))
        if found:
            await self._connection.execute(sa.insert(TASKS), found)

    def ask(self, statement: sa.Select[Any]) -> list[dict[str, Any]]:
        result = self._runner.run(self._connection.execute(statement))
        return [dict(row) for row in result.mappings()]

    def selects(self, filter_text: str) -> set[UUID]:
        """The ids of the rows that the filter selects in SQL."""
        clause = compile_filter(filter_text, FIELDS)
        assert clause is not None
        return {row["id"] for row in self.ask(sa.select(TASKS.c.id).where(clause))}

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.run(self._engine.dispose())
        self._runner.close()


@pytest.fixture
def database(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.close()


@real_database
@given(found=row_sets, texts=st.lists(filter_texts, min_size=1, max_size=10))
def test_sql_and_python_give_a_filter_the_same_meaning(
    database: Database, found: list[dict[str, Any]], texts: list[str]
) -> None:
    database.fill(found)
    for text in texts:
        assert database.selects(text) == {row["id"] for row in found if matcher(text, FIELDS)(row)}, text


letters = "ab_%\\*"
names = st.lists(st.text(letters, max_size=4), max_size=12, unique=True)
patterns = st.lists(st.text(letters, max_size=5), min_size=1, max_size=6, unique=True)


@real_database
@given(found=names, wanted=patterns)
def test_wildcards_and_the_special_characters_of_like_mean_the_same_in_sql_and_python(
    database: Database, found: list[str], wanted: list[str]
) -> None:
    unset = dict.fromkeys(FIELDS)
    rows = [
        {**unset, "id": UUID(int=n), "name": name, "tags": [name], "create_time": NOON}
        for n, name in enumerate(found)
    ]
    database.fill(rows)
    for pattern in wanted:
        for text in (f"name = {quoted(pattern)}", f"name : {quoted(pattern)}", f"tags : {quoted(pattern)}"):
            assert database.selects(text) == {row["id"] for row in rows if matcher(text, FIELDS)(row)}, text


def later(value: Any) -> tuple[bool, Any]:
    """Sorts unset values after all others."""
    return (value is None, 0 if value is None else value)


order_texts = st.lists(
    st.tuples(st.sampled_from(list(ORDERED)), st.sampled_from(["", " asc", " desc"])),
    unique_by=lambda key: key[0],
    max_size=3,
).map(lambda keys: ", ".join(name + direction for name, direction in keys))


@real_database
@given(found=row_sets, order_by=order_texts, size=st.integers(1, 5))
def test_pages_of_any_size_and_order_put_together_are_the_sorted_list(
    database: Database, found: list[dict[str, Any]], order_by: str, size: int
) -> None:
    database.fill(found)
    order = parse_order(order_by, ORDERED, default="create_time desc")
    tokens, arguments = PageTokens(b"key"), {"order": str(order)}
    page = sa.select(TASKS).order_by(*order.clauses()).limit(size)

    listed = rows_of_page = database.ask(page)
    for _ in range(math.ceil(len(found) / size)):
        if rows_of_page:
            token = tokens.encode(order.values(rows_of_page[-1]), arguments)
            rows_of_page = database.ask(page.where(order.after(tokens.decode(token, arguments))))
            listed = listed + rows_of_page

    expected = found
    for key in reversed(order.keys):
        expected = sorted(expected, key=lambda row: later(row[key.name]), reverse=key.descending)
    assert rows_of_page == []
    assert [row["id"] for row in listed] == [row["id"] for row in expected]
