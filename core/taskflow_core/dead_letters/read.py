"""Seeing dead letters: one by one, and summed up by how they failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from taskflow_core.db import Database
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.models import Task
from taskflow_core.paging import PageTokens, page_size, parse_order
from taskflow_core.tasks.read import BASIC_COLUMNS, Page, PageRequest, fetch_page

ORDER_FIELDS = {"dead_time": Task.finished_at, "create_time": Task.created_at, "id": Task.id}

# Task types and queues that a group names.
NAMES = 20


@dataclass(frozen=True)
class Summary:
    """Some groups, the largest first, and how many dead letters there are in all groups of all pages."""

    page: Page
    total: int


class DeadLetterReader:
    """Lists and sums up the dead letters of one tenant at a time."""

    def __init__(self, database: Database, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def list(
        self, tenant_id: str, page: PageRequest, *, filter: str, order_by: str, full: bool
    ) -> Page:
        """Dead letters that match a filter, with payload if `full`.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, default="dead_time desc")
        query = select(*(Task.__table__.columns if full else BASIC_COLUMNS))
        query = query.where(*Selection(filter=filter).conditions(tenant_id))
        arguments = {"list": "dead letters", "tenant": tenant_id, "filter": filter, "order": str(order)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def summarize(self, tenant_id: str, page: PageRequest, *, filter: str) -> Summary:
        """Groups with one fingerprint each, the largest first. Without a filter an index holds all that is counted.

        A row is the last task of its group, without payload, and beside it `size`, `first_time`, `last_time`,
        `task_types` and `queues`, most frequent first. Raises InvalidArgument (INVALID_FILTER,
        INVALID_PAGE_TOKEN).
        """
        matching = Selection(filter=filter).conditions(tenant_id)
        arguments = {"list": "dead letter groups", "tenant": tenant_id, "filter": filter}
        limit = page_size(page.size)
        groups = (
            select(
                Task.error_fingerprint.label("fingerprint"),
                func.count().label("size"),
                func.min(Task.finished_at).label("first_time"),
                func.max(Task.finished_at).label("last_time"),
                func.sum(func.count()).over().label("total"),
            )
            .where(*matching)
            .group_by(Task.error_fingerprint)
            .subquery("groups")
        )
        wanted = select(groups)
        if page.token:
            size, fingerprint = self._tokens.decode(page.token, arguments)
            smaller = groups.c.size < size
            wanted = wanted.where(
                or_(smaller, and_(groups.c.size == size, groups.c.fingerprint > fingerprint))
            )
        # One group more than asked for tells whether there is another page.
        shown = wanted.order_by(groups.c.size.desc(), groups.c.fingerprint).limit(limit + 1).subquery("shown")
        of_group = [*matching, Task.error_fingerprint == shown.c.fingerprint]
        last = (
            select(*BASIC_COLUMNS)
            .where(*of_group)
            .order_by(Task.finished_at.desc(), Task.id.desc())
            .limit(1)
            .lateral("last")
        )

        def most_frequent(column: InstrumentedAttribute[str]) -> Any:
            names: ScalarSelect[str] = (
                select(column)
                .where(*of_group)
                .group_by(column)
                .order_by(func.count().desc(), column)
                .limit(NAMES)
                .scalar_subquery()
            )
            return func.array(names)

        query = (
            select(
                *last.c,
                *(shown.c[name] for name in ("size", "first_time", "last_time", "total")),
                most_frequent(Task.task_type).label("task_types"),
                most_frequent(Task.queue).label("queues"),
            )
            .select_from(shown.join(last, last.c.id.is_not(None)))
            .order_by(shown.c.size.desc(), shown.c.fingerprint)
        )
        async with self._database.engine.connect() as connection:
            rows = list((await connection.execute(query)).mappings())
        total = int(rows[0]["total"]) if rows else 0
        if len(rows) <= limit:
            return Summary(Page(rows, ""), total)
        end = rows[limit - 1]
        token = self._tokens.encode([end["size"], end["error_fingerprint"]], arguments)
        return Summary(Page(rows[:limit], token), total)

    async def count(
        self, tenant_id: str, selection: Selection, *, dead_before: datetime | None = None
    ) -> int:
        """How many there are, or were at a time and still are. Raises InvalidArgument (INVALID_FILTER)."""
        query = select(func.count()).select_from(Task).where(*selection.conditions(tenant_id))
        if dead_before is not None:
            query = query.where(Task.finished_at <= dead_before)
        async with self._database.engine.connect() as connection:
            return int(await connection.scalar(query) or 0)

    async def oldest(
        self,
        tenant_id: str,
        selection: Selection,
        limit: int,
        *,
        dead_before: datetime | None = None,
        after: tuple[datetime, UUID] | None = None,
    ) -> Sequence[tuple[datetime, UUID]]:
        """When they died, and their ids, oldest first, from after a place on.

        Raises InvalidArgument (INVALID_FILTER).
        """
        order = parse_order("dead_time", ORDER_FIELDS, default="")
        query = select(Task.finished_at, Task.id).where(*selection.conditions(tenant_id))
        if dead_before is not None:
            query = query.where(Task.finished_at <= dead_before)
        if after is not None:
            query = query.where(order.after(after))
        async with self._database.engine.connect() as connection:
            rows = await connection.execute(query.order_by(*order.clauses()).limit(limit))
            return [(finished_at, task_id) for finished_at, task_id in rows if finished_at is not None]
