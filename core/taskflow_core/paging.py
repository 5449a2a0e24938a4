"""Pages of a list: their size, their order, and the opaque tokens that lead from one to the next.

A page starts after the last row of the page before, found by its values (keyset), so rows that come and
go meanwhile neither repeat nor hide others, and the last page costs what the first does.
"""

import base64
import binascii
import difflib
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Column, ColumnElement, and_, false, or_, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from taskflow_core.errors import InvalidArgument
from taskflow_core.settings import Settings

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_VERSION = 1
_TAG_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

KeysetValue = datetime | UUID | int | str | None
OrderColumn = Column[Any] | InstrumentedAttribute[Any]


def page_size(requested: int) -> int:
    """Rows on a page: 0 means 50, more than 1,000 means 1,000.

    Errors: InvalidArgument at `page_size` if negative.
    """
    if requested < 0:
        raise InvalidArgument.at(
            "page_size", f"{requested} is negative; 0 means the default", requested=str(requested)
        )
    return min(requested or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


@dataclass(frozen=True)
class PageTokens:
    """Writes and reads page tokens. They are signed, and hold nothing secret and no right to anything."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """With the key that all servers of these settings share."""
        secret = settings.secret_key or settings.database_url
        return cls(hmac.digest(secret.encode(), b"taskflow page token", "sha256"))

    def encode(self, values: Sequence[KeysetValue], arguments: Mapping[str, str]) -> str:
        """The token for the page after the row with these values, in a call with these other arguments.

        Put everything into `arguments` that decides what is listed: call, tenant, parent, filter, order.
        """
        content = [_VERSION, [_pack(value) for value in values], _digest(arguments)]
        body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        return base64.urlsafe_b64encode(self._tag(body) + body).rstrip(b"=").decode()

    def decode(self, token: str, arguments: Mapping[str, str]) -> tuple[KeysetValue, ...]:
        """The values of the row that the page follows.

        Errors: InvalidArgument at `page_token` (INVALID_PAGE_TOKEN) if the token is not of this service, or
        belongs to a call with other arguments.
        """
        try:
            signed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _not_ours() from None
        tag, body = signed[:_TAG_BYTES], signed[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body)):
            raise _not_ours()
        version, values, digest = json.loads(body)
        if version != _VERSION:
            raise _not_ours()
        if digest != _digest(arguments):
            raise InvalidArgument.at(
                "page_token",
                "belongs to a call with other arguments; all but page_size must stay as they were",
                reason="INVALID_PAGE_TOKEN",
            )
        return tuple(_unpack(value) for value in values)

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self.key, body, "sha256")[:_TAG_BYTES]


def _not_ours() -> InvalidArgument:
    return InvalidArgument.at(
        "page_token",
        "is not a next_page_token of this service; leave it empty for the first page",
        reason="INVALID_PAGE_TOKEN",
    )


def _digest(arguments: Mapping[str, str]) -> str:
    text = json.dumps(dict(arguments), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pack(value: KeysetValue) -> Any:
    match value:
        case datetime():
            return ["t", (value - _EPOCH) // _MICROSECOND]
        case UUID():
            return ["u", value.hex]
        case _:
            return value


def _unpack(value: Any) -> KeysetValue:
    match value:
        case ["t", int(microseconds)]:
            return _EPOCH + microseconds * _MICROSECOND
        case ["u", str(digits)]:
            return UUID(digits)
        case None | int() | str():
            return value
        case _:
            raise _not_ours()


@dataclass(frozen=True)
class OrderKey:
    """One column of an order."""

    name: str
    column: OrderColumn
    descending: bool

    @property
    def nullable(self) -> bool:
        return bool(getattr(self.column, "nullable", True))

    def clause(self) -> ColumnElement[Any]:
        return self.column.desc().nulls_first() if self.descending else self.column.asc().nulls_last()

    def ties(self, value: KeysetValue) -> ColumnElement[bool]:
        return self.column.is_(None) if value is None else self.column == value

    def follows(self, value: KeysetValue) -> ColumnElement[bool]:
        if value is None:
            return self.column.is_not(None) if self.descending else false()
        if self.descending:
            return self.column < value
        return or_(self.column > value, self.column.is_(None)) if self.nullable else self.column > value


@dataclass(frozen=True)
class Order:
    """A total order of rows. A value that is not set is later than every other, as in PostgreSQL's default.

    So `end_time` has the unfinished last, `end_time desc` has them first, and either is the reverse of the other.
    """

    keys: tuple[OrderKey, ...]

    def __str__(self) -> str:
        """The order written out, the same for all ways to ask for it: an argument for page tokens."""
        return ", ".join(f"{key.name} desc" if key.descending else key.name for key in self.keys)

    def clauses(self) -> list[ColumnElement[Any]]:
        """What to ORDER BY."""
        return [key.clause() for key in self.keys]

    def values(self, row: Mapping[str, Any]) -> tuple[KeysetValue, ...]:
        """The values by which `after` finds the place of this row, given by column names."""
        return tuple(row[key.column.key] for key in self.keys)

    def after(self, values: Sequence[KeysetValue]) -> ColumnElement[bool]:
        """WHERE a row comes after the one with these values."""
        if self._compares_as_row(values):
            # One range of the index; the form with OR below is not.
            row = tuple_(*(key.column for key in self.keys))
            other: Any = tuple(values)
            clause: ColumnElement[bool] = row < other if self.keys[0].descending else row > other
            return clause
        return or_(
            *(
                and_(
                    *(key.ties(tied) for key, tied in zip(self.keys[:i], values[:i], strict=True)),
                    key.follows(value),
                )
                for i, (key, value) in enumerate(zip(self.keys, values, strict=True))
            )
        )

    def _compares_as_row(self, values: Sequence[KeysetValue]) -> bool:
        """Whether SQL's row comparison gives this order: one direction, and no unset value that comes after."""
        one_direction = len({key.descending for key in self.keys}) == 1
        unset_may_follow = not self.keys[0].descending and any(key.nullable for key in self.keys)
        return one_direction and not unset_may_follow and None not in values


def parse_order(
    text: str, allowed: Mapping[str, OrderColumn], default: str, tie_breaker: str = "id"
) -> Order:
    """The order that `order_by` asks for: `create_time desc, name`. Blank means `default`.

    `allowed` has the columns by name, among them the unique `tie_breaker`, which is appended in the direction of
    the last key unless it is there.

    Errors: InvalidArgument at `order_by` (INVALID_ORDER_BY).
    """
    keys: list[OrderKey] = []
    for part in (text if text.strip() else default).split(","):
        key = _order_key(part, allowed)
        if any(key.name == earlier.name for earlier in keys):
            raise _invalid_order(f"{key.name!r} occurs twice", found=key.name)
        keys.append(key)
    if all(key.name != tie_breaker for key in keys):
        keys.append(OrderKey(tie_breaker, allowed[tie_breaker], keys[-1].descending))
    return Order(tuple(keys))


def _order_key(part: str, allowed: Mapping[str, OrderColumn]) -> OrderKey:
    name, *direction = part.split() or [""]
    if name not in allowed:
        close = difflib.get_close_matches(name, list(allowed), n=1)
        suggestion = f"; did you mean {close[0]!r}?" if close else ""
        raise _invalid_order(
            f"unknown field {name!r}{suggestion}; allowed: {', '.join(allowed)}",
            found=name,
            allowed=",".join(allowed),
        )
    if direction not in ([], ["asc"], ["desc"]):
        found = " ".join(direction)
        raise _invalid_order(f"{found!r} after {name!r}; allowed: asc, desc", found=found, allowed="asc,desc")
    return OrderKey(name, allowed[name], descending=direction == ["desc"])


def _invalid_order(description: str, **metadata: str) -> InvalidArgument:
    return InvalidArgument.at("order_by", description, reason="INVALID_ORDER_BY", **metadata)
