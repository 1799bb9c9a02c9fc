"""What every table of the database shares: metadata with named constraints, row numbers, and instants."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BIG = BigInteger().with_variant(Integer(), "sqlite")
"""A growing row number; SQLite numbers rows only in a column declared INTEGER."""


class Instant(TypeDecorator[datetime]):
    """An aware instant in UTC, on every database.

    SQLite has no such type and would drop the zone; there it is ISO 8601 text of one width, which sorts.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return text of 32 characters on SQLite, ``timestamptz`` elsewhere."""
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Write UTC; an instant without a zone is refused, for to guess one would move deadlines by hours."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"{value.isoformat()} has no time zone"
            raise ValueError(message)
        utc = value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read UTC, whatever the zone of the session."""
        if value is None:
            return None
        instant: datetime = datetime.fromisoformat(value) if dialect.name == "sqlite" else value
        return instant.astimezone(UTC)


class Model(SQLModel, registry=registry(metadata=METADATA)):
    """What the tables share: metadata of their own, apart from anybody else's SQLModel tables."""
