"""Rows that cross to the database as arrays arrive as they were, whatever they have in common."""

import pytest

from taskflow_core.app import App
from taskflow_core.arrays import crossed, crossing

KINDS = {"n": "int", "name": "text", "weight": "float8"}


@pytest.mark.parametrize(
    "rows",
    [
        [(1, "a", 0.5)],
        [(1, None, None)],
        [(1, "a", 0.5), (2, "a", 0.5), (3, "a", 0.5)],
        [(1, "a", None), (2, "b", None), (3, None, None)],
        [(1, None, 0.5), (2, "a", 0.5), (3, "a", 0.5)],
        [(1, "a", 0.5), (2, "a", None), (3, None, 0.5)],
        [],
    ],
)
async def test_rows_arrive_as_they_were_sent(app: App, rows: list[tuple[int, str | None, float | None]]):
    columns = [crossing([row[place] for row in rows]) for place in range(len(KINDS))]
    query = f"SELECT n, name, weight FROM {crossed(KINDS)} AS new ORDER BY n"
    assert [tuple(row) for row in await app.database.by_key.fetch(query, *columns)] == rows
