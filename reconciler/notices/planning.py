"""Who is to be told of what, now (pure).

The same things due at the same instant give the same notices: which of them were sent before is the ledger's to say.
A stage that passed while nothing ran is not made up for by several messages: of reminders only the nearest to the due
date is planned, and of two escalations to one role the later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from reconciler.notices.addresses import usable
from reconciler.notices.values import WEBHOOK, Contacts, Due, Kind, Notice, Plan
from reconciler.sections.notices import Notices

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RANKS = ("critical", "high", "medium", "low")


def plan(
    owed: Iterable[Due],
    *,
    now: datetime,
    time_zone: str,
    section: Notices,
    escalate_to: Sequence[str],
    contacts: Contacts,
) -> Plan:
    """Return what is to be sent at ``now`` by the channels of ``section``.

    ``escalate_to`` are the roles that something late goes up to, in order. Days begin at midnight in ``time_zone``.
    """
    planner = _Planner(now, ZoneInfo(time_zone), section, escalate_to, contacts)
    known = sorted(owed, key=lambda one: (one.due_at, one.about))
    for due in known:
        planner.remind(due)
        planner.escalate(due)
    planner.digest(known)
    return Plan(notices=tuple(planner.notices), unaddressed=tuple(dict.fromkeys(planner.unaddressed)))


class _Planner:
    def __init__(
        self, now: datetime, zone: ZoneInfo, section: Notices, escalate_to: Sequence[str], contacts: Contacts
    ) -> None:
        self._now = now
        self._zone = zone
        self._section = section
        self._escalate_to = escalate_to
        self._contacts = contacts
        self.notices: list[Notice] = []
        self.unaddressed: list[str] = []

    def remind(self, due: Due) -> None:
        """Plan the reminder whose day has come, before the due date."""
        if self._now >= due.due_at:
            return
        days = [n for n in self._section.remind_days_before if self._now >= due.due_at - timedelta(days=n)]
        if not days:
            return
        nearest = min(days)
        role, address = self._owner(due)
        since, stage = due.due_at - timedelta(days=nearest), f"{self._day(due.due_at)} -{nearest}d"
        self._add(_notice("reminder", due.about, stage, role=role, since=since, items=(due,)), address)

    def escalate(self, due: Due) -> None:
        """Plan every escalation whose day has come, after the due date: one role further up each."""
        below = self._answering(due)
        holders = self._contacts.holders
        chain = [role for role in self._above(below) if not holders.vacant(role) or self._contacts.role(role)]
        days_after = set(self._section.escalate_days_after)
        stages = sorted(n for n in days_after if self._now >= due.due_at + timedelta(days=n))
        told: dict[str, int] = {}
        for position, days in enumerate(stages):
            if chain:
                told[chain[min(position, len(chain) - 1)]] = days
        if stages and not chain:
            self.unaddressed.append(f"{due.about} is late, and there is no role above {below} to tell")
        for role, days in told.items():
            since, stage = due.due_at + timedelta(days=days), f"{self._day(due.due_at)} +{days}d"
            notice = _notice("escalation", due.about, stage, role=role, since=since, items=(due,))
            self._add(notice, self._contacts.role(role))

    def digest(self, owed: Sequence[Due]) -> None:
        """Plan one list for each owner, on the last of the digest weekdays that has come."""
        today = self._now.astimezone(self._zone).date()
        day = next(
            (
                found
                for back in range(len(_WEEKDAYS))
                if _WEEKDAYS[(found := today - timedelta(days=back)).weekday()] in self._section.digest_weekdays
            ),
            None,
        )
        if day is None:
            return
        mails: dict[str, list[tuple[str, Due]]] = {}
        roles: dict[str, list[Due]] = {}
        for due in sorted(owed, key=lambda one: (_RANKS.index(one.severity), one.due_at, one.about)):
            role, address = self._owner(due)
            roles.setdefault(role, []).append(due)
            if self._section.smtp is not None:
                if address is None:
                    self._unknown(due.about, role)
                else:
                    mails.setdefault(address, []).append((role, due))
        since = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        for address, pairs in mails.items():
            items = tuple(due for _, due in pairs)
            notice = _notice("digest", "open", day.isoformat(), role=pairs[0][0], since=since, items=items)
            self._mail(notice, address)
        for role, dues in roles.items():
            self._hook(_notice("digest", role, day.isoformat(), role=role, since=since, items=tuple(dues)))

    def _owner(self, due: Due) -> tuple[str, str | None]:
        """Return the role that answers now, and its address."""
        role = self._answering(due)
        configured = Contacts(addresses=self._contacts.addresses).role(role)
        return role, configured or self._contacts.person(due.owner) or self._contacts.role(role)

    def _answering(self, due: Due) -> str:
        """Return the role that answers now: where nobody holds it, the next one up that somebody holds."""
        vacant, role = self._contacts.holders.vacant, due.owner_role
        return next((up for up in self._above(role) if not vacant(up)), role) if vacant(role) else role

    def _above(self, role: str) -> Sequence[str]:
        plain, below = [each.strip().lower() for each in self._escalate_to], role.strip().lower()
        return self._escalate_to[plain.index(below) + 1 :] if below in plain else self._escalate_to

    def _add(self, notice: Notice, address: str | None) -> None:
        if self._section.smtp is not None:
            if address is None:
                self._unknown(notice.about, notice.role)
            else:
                self._mail(notice, address)
        self._hook(notice)

    def _mail(self, notice: Notice, address: str) -> None:
        if usable(address):
            self.notices.append(msgspec.structs.replace(notice, recipient=address))
        else:
            self.unaddressed.append(f"{notice.about}: role {notice.role} has no address that mail can be sent to")

    def _hook(self, notice: Notice) -> None:
        if self._section.webhook is not None:
            # One endpoint is told of every role: two that hear of one thing at one stage are two events.
            recipient = f"{WEBHOOK} {notice.role}"
            self.notices.append(msgspec.structs.replace(notice, recipient=recipient, channel="webhook"))

    def _unknown(self, about: str, role: str) -> None:
        why = self._contacts.holders.unknown
        self.unaddressed.append(
            f"{about}: no address is known for role {role}" + (f": its holder is not known: {why}" if why else "")
        )

    def _day(self, at: datetime) -> str:
        return at.astimezone(self._zone).date().isoformat()


def _notice(kind: Kind, about: str, stage: str, *, role: str, since: datetime, items: tuple[Due, ...]) -> Notice:
    """Return a notice that has no recipient yet."""
    return Notice(
        kind=kind, about=about, stage=stage, recipient="", channel="mail", role=role, due_at=since, items=items
    )
