"""The base of all rows: how names of constraints are made, and which column a Python type becomes."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Double, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import UserDefinedType


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's xid8: the number of a transaction, which never comes again."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The name of the type in DDL."""
        return "xid8"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "ck": "%(table_name)s_%(constraint_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read once by SQLAlchemy
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        float: Double,
        list[str]: ARRAY(Text),
        str: Text,
        UUID: PG_UUID(as_uuid=True),
    }


def is_one_of(column: str, values: Iterable[StrEnum]) -> str:
    """The condition of a constraint that a column holds one of the values.

    As one constant: PostgreSQL reads constraints anew for each statement, and a list of constants takes twice as long.
    """
    return f"{column} = ANY ('{{{','.join(sorted(values))}}}'::text[])"


def listed(values: Iterable[StrEnum]) -> str:
    """The values as SQL text, separated by commas."""
    return ", ".join(f"'{value}'" for value in sorted(values))
