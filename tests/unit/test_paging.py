import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from taskflow_core.errors import InvalidArgument
from taskflow_core.paging import Order, PageTokens, page_size, parse_order
from taskflow_core.settings import Settings

TASKS = sa.Table(
    "tasks",
    sa.MetaData(),
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("end_time", sa.DateTime(timezone=True)),
)
ALLOWED: dict[str, sa.Column[Any]] = {name: TASKS.c[name] for name in ("create_time", "end_time", "id")}
TOKENS = PageTokens(b"key")
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
NOON = datetime(2026, 1, 1, 12, microsecond=123_456, tzinfo=UTC)
ARGUMENTS = {"call": "ListTasks", "tenant": "default", "filter": "", "order": "create_time desc, id desc"}


def order(text: str) -> Order:
    return parse_order(text, ALLOWED, default="create_time desc")


def sql(*clauses: sa.ColumnElement[Any]) -> str:
    return ", ".join(
        str(clause.compile(dialect=postgresql.dialect(paramstyle="named"))) for clause in clauses
    )


def refused_token(token: str, arguments: dict[str, str], tokens: PageTokens = TOKENS) -> str:
    with pytest.raises(InvalidArgument) as caught:
        tokens.decode(token, arguments)
    assert caught.value.reason == "INVALID_PAGE_TOKEN"
    assert [wrong.field for wrong in caught.value.fields] == ["page_token"]
    return caught.value.message


@pytest.mark.parametrize(
    ("requested", "given_"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)]
)
def test_page_sizes_have_a_default_and_a_ceiling(requested: int, given_: int) -> None:
    assert page_size(requested) == given_


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"page_size: -1 is negative"):
        page_size(-1)


keyset_values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)),
)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(keyset_values, max_size=4), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_a_token_gives_back_the_exact_values_it_was_made_of(
    values: list[Any], arguments: dict[str, str]
) -> None:
    assert TOKENS.decode(TOKENS.encode(values, arguments), arguments) == tuple(values)


def test_times_of_any_zone_keep_their_microseconds() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert TOKENS.decode(TOKENS.encode([local], ARGUMENTS), ARGUMENTS) == (NOON,)


def test_tokens_are_short_and_fit_into_a_query_string() -> None:
    token = TOKENS.encode([NOON, ID], ARGUMENTS)
    assert len(token) < 180
    assert token.replace("-", "").replace("_", "").isalnum()


def test_every_changed_byte_of_a_token_is_noticed() -> None:
    signed = bytearray(base64.urlsafe_b64decode(TOKENS.encode([NOON, ID], ARGUMENTS) + "=="))
    for index in range(len(signed)):
        changed = signed.copy()
        changed[index] ^= 1
        refused_token(base64.urlsafe_b64encode(changed).decode(), ARGUMENTS)


@pytest.mark.parametrize("token", ["x", "abc", "eyJhIjoxfQ", "ü", "a b", "=", "A" * 5000])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert "is not a next_page_token of this service" in refused_token(token, ARGUMENTS)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.text())
def test_any_text_but_a_token_is_refused(token: str) -> None:
    refused_token(token, ARGUMENTS)


@pytest.mark.parametrize("argument", list(ARGUMENTS))
def test_a_token_belongs_to_a_call_with_the_same_arguments(argument: str) -> None:
    token = TOKENS.encode([NOON, ID], ARGUMENTS)
    message = refused_token(token, {**ARGUMENTS, argument: "other"})
    assert "belongs to a call with other arguments; all but page_size must stay" in message


def test_servers_of_one_database_read_each_others_tokens_without_any_setting() -> None:
    first = PageTokens.of(Settings(database_url="postgresql://a"))
    second = PageTokens.of(Settings(database_url="postgresql://a"))
    other = PageTokens.of(Settings(database_url="postgresql://b"))
    token = first.encode([1], ARGUMENTS)
    assert second.decode(token, ARGUMENTS) == (1,)
    refused_token(token, ARGUMENTS, other)


def test_a_secret_key_outlives_a_change_of_the_database_url() -> None:
    before = PageTokens.of(Settings(secret_key="s3cret", database_url="postgresql://a"))
    after = PageTokens.of(Settings(secret_key="s3cret", database_url="postgresql://b"))
    assert after.decode(before.encode([1], ARGUMENTS), ARGUMENTS) == (1,)


@pytest.mark.parametrize(
    ("text", "written_out"),
    [
        ("", "create_time desc, id desc"),
        ("  ", "create_time desc, id desc"),
        ("create_time", "create_time, id"),
        ("create_time asc", "create_time, id"),
        (" end_time   desc ", "end_time desc, id desc"),
        ("end_time,create_time desc", "end_time, create_time desc, id desc"),
        ("id desc", "id desc"),
        ("id, create_time", "id, create_time"),
    ],
)
def test_every_order_ends_with_the_id_so_that_it_is_total(text: str, written_out: str) -> None:
    assert str(order(text)) == written_out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "creat_time",
            "unknown field 'creat_time'; did you mean 'create_time'?; allowed: create_time, end_time, id",
        ),
        ("name", "unknown field 'name'; allowed: create_time"),
        ("create_time,", "unknown field ''"),
        ("create_time down", "'down' after 'create_time'; allowed: asc, desc"),
        ("create_time DESC", "'DESC' after 'create_time'"),
        ("create_time desc desc", "'desc desc' after 'create_time'"),
        ("end_time, end_time desc", "'end_time' occurs twice"),
    ],
)
def test_an_unknown_order_says_what_is_allowed(text: str, says: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        order(text)
    assert caught.value.reason == "INVALID_ORDER_BY"
    assert caught.value.fields[0].field == "order_by"
    assert says in caught.value.fields[0].description


def test_unset_values_are_later_than_all_others() -> None:
    assert (
        sql(*order("end_time desc").clauses()) == "tasks.end_time DESC NULLS FIRST, tasks.id DESC NULLS FIRST"
    )
    assert sql(*order("end_time").clauses()) == "tasks.end_time ASC NULLS LAST, tasks.id ASC NULLS LAST"


def test_the_default_order_continues_with_one_row_comparison_that_an_index_serves() -> None:
    clause = sql(order("").after([NOON, ID]))
    assert clause.startswith("(tasks.create_time, tasks.id) < (")
    assert "OR" not in clause


def test_an_ascending_order_by_something_unset_goes_on_to_the_unset_ones() -> None:
    assert "tasks.end_time IS NULL" in sql(order("end_time").after([NOON, ID]))


def test_the_place_of_a_row_is_given_by_its_values_in_the_order() -> None:
    row = {"id": ID, "create_time": NOON, "end_time": None, "name": "n"}
    assert order("end_time desc").values(row) == (None, ID)
