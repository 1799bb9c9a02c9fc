"""Links between accounts and people, and what people decided about them."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, Text
from sqlmodel import Field

from reconciler.database.model import BIG, Instant, Model


class LinkRow(Model, table=True):
    """An account and a person: linked by a matcher, linked by hand, or rejected. ``since`` is when first made."""

    __tablename__: ClassVar[str] = "links"

    source: str = Field(primary_key=True)
    account_id: str = Field(primary_key=True)
    person_id: str = Field(primary_key=True)
    state: str
    method: str
    confidence: float | None
    since: datetime | None = Field(sa_type=Instant)
    decided_by: str | None
    decided_at: datetime | None = Field(sa_type=Instant)
    reason: str | None = Field(sa_type=Text)


class LinkDecisionRow(Model, table=True):
    """What a named person decided about an account and a person; rows are added and never altered."""

    __tablename__: ClassVar[str] = "link_decisions"
    __table_args__ = (Index(None, "source", "account_id"),)

    number: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    source: str
    account_id: str
    person_id: str
    decision: str
    before: str = Field(sa_type=Text)
    decided_by: str
    decided_at: datetime = Field(sa_type=Instant)
    reason: str = Field(sa_type=Text)
