# ruff: noqa: D102 - what a protocol reads is described where it is kept
"""Notices as values: what is due, who can be told, and what is to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from reconciler.snapshot.people import Holders

Kind = Literal["reminder", "escalation", "digest"]
Channel = Literal["mail", "webhook"]
WEBHOOK = "webhook"
"""The recipient of what goes to ``[notices.webhook]``."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody owes by a time: a nonconformity, or the corrective action of one."""

    about: str
    """NC-000123, or NC-000123 action."""
    title: str
    statement: str = ""
    """May name people: in notices with ``personal_data`` only."""
    rule_id: str
    source: str | None = None
    severity: str
    grade: str
    due_at: datetime
    owner_role: str
    owner: str | None = None
    """person_id of who answers; null where nobody is known to."""
    escalated_to: str | None = None
    standing: int = 0
    """Findings that stand."""


class Contacts(msgspec.Struct, frozen=True, kw_only=True):
    """Who can be told. ``addresses``: role -> address of the configuration; ``emails``: person_id -> address."""

    addresses: Mapping[str, str] = {}
    holders: Holders = Holders(unknown="no run has read them")
    emails: Mapping[str, str] = {}

    def role(self, role: str) -> str | None:
        """Return the address of a role, else of its holder; None where none is known."""
        plain = role.strip().lower()
        named = next((address for each, address in self.addresses.items() if each.strip().lower() == plain), None)
        return named or self.person(self.holders.holder(role))

    def person(self, person_id: str | None) -> str | None:
        """Return the address of a person, None where none is known."""
        return self.emails.get(person_id) if person_id else None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one recipient; ``kind``, ``about``, ``stage`` and ``recipient`` together are sent once."""

    kind: Kind
    about: str
    stage: str
    recipient: str
    """A mail address, or ``webhook``."""
    channel: Channel
    role: str
    """As whom the recipient is told."""
    due_at: datetime
    """Since when it is to be sent."""
    items: tuple[Due, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is the only one of."""
        return self.kind, self.about, self.stage, self.recipient


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent now, and whom nobody knows how to reach."""

    notices: tuple[Notice, ...] = ()
    unaddressed: tuple[str, ...] = ()


class _Action(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def owner_role(self) -> str: ...
    @property
    def due_on(self) -> date: ...
    @property
    def done_at(self) -> datetime | None: ...


class Nonconforming(Protocol):
    """What is read of a nonconformity; ``reconciler.nonconformity.record.Nonconformity`` is one."""

    @property
    def nc_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def statement(self) -> str: ...
    @property
    def rule_id(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def severity(self) -> str: ...
    @property
    def grade(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def owner_role(self) -> str: ...
    @property
    def owner(self) -> str | None: ...
    @property
    def escalated_to(self) -> str | None: ...
    @property
    def action(self) -> _Action | None: ...
    @property
    def standing(self) -> int: ...


def dues(found: Iterable[Nonconforming], *, holders: Holders, time_zone: str) -> list[Due]:
    """Return what is owed: each nonconformity that is open, and each corrective action that is not done.

    One whose watch period runs (``verifying``) is owed by nobody: it waits for the machine. An action is due at the
    end of its day in ``time_zone``.
    """
    owed: list[Due] = []
    for one in found:
        if one.state != "open":
            continue
        due = Due(
            about=one.nc_id,
            title=one.title,
            statement=one.statement,
            rule_id=one.rule_id,
            source=one.source,
            severity=one.severity,
            grade=one.grade,
            due_at=one.due_at,
            owner_role=one.owner_role,
            owner=one.owner,
            escalated_to=one.escalated_to,
            standing=one.standing,
        )
        owed.append(due)
        action = one.action
        if action is not None and action.done_at is None:
            end = datetime.combine(action.due_on + timedelta(days=1), time(), ZoneInfo(time_zone)).astimezone(UTC)
            owed.append(
                msgspec.structs.replace(
                    due,
                    about=f"{one.nc_id} action",
                    title=f"Corrective action: {one.title}",
                    statement=action.text,
                    due_at=end,
                    owner_role=action.owner_role,
                    owner=holders.holder(action.owner_role),
                    escalated_to=None,
                )
            )
    return owed
