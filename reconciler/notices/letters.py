"""What a notice says: a plain-text mail, or an event in JSON (pure)."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from reconciler.notices.values import Due, Notice

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST = 200
_MOST = 50
"""Things that one digest by mail names."""
_MOST_IN_EVENT = 25
"""Things that one event names: receivers of webhooks take 20 kB or little more."""
_POLICY: EmailPolicy[EmailMessage] = SMTP.clone(cte_type="7bit")
"""Not every server says that it takes eight bits."""


def line(text: str) -> str:
    """Return a text as one line without control characters: whatever a source held, it starts no header."""
    plain = " ".join(_CONTROLS.sub(" ", text).split())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."


def identity(notice: Notice, estate: str) -> str:
    """Return the id of a notice, the same each time that it is sent."""
    return "ntc-" + hashlib.sha256("\n".join((estate, *notice.key)).encode()).hexdigest()[:32]


def subject(notice: Notice, *, time_zone: str) -> str:
    """Return the subject: what, which, and by when."""
    if notice.kind == "digest":
        return f"{len(notice.items)} open: what you answer for"
    (due,) = notice.items
    word = "Due" if notice.kind == "reminder" else "Late"
    return line(f"{word} {_day(due.due_at, time_zone)}: {due.about} {due.title}")


def mail(
    notice: Notice, *, estate: str, sender: str, now: datetime, time_zone: str, personal_data: bool
) -> EmailMessage:
    """Return the message; its Message-ID is the notice's, so that one that arrives twice is told."""
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = subject(notice, time_zone=time_zone)
    message["From"] = Address(addr_spec=sender)
    message["To"] = Address(addr_spec=notice.recipient)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{identity(notice, estate)}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text(notice, estate=estate, time_zone=time_zone, personal_data=personal_data))
    return message


def text(notice: Notice, *, estate: str, time_zone: str, personal_data: bool) -> str:
    """Return the text: no person is named in it, unless ``personal_data`` lets the statement stand there."""
    head = {
        "reminder": f"This is due soon, and role {line(notice.role)} answers for it.",
        "escalation": f"This is late, so it goes up to role {line(notice.role)}.",
        "digest": f"What is open, worst first, of role {line(notice.role)} and what else you answer for:",
    }[notice.kind]
    parts = [head]
    for due in notice.items[:_MOST]:
        lines = [f"{due.about}: {line(due.title)}"]
        up = f", gone up to {line(due.escalated_to)}" if due.escalated_to else ""
        if personal_data and due.statement:
            lines.append(f"  {line(due.statement)}")
        lines += [
            f"  due:      {_day(due.due_at, time_zone)}",
            f"  severity: {due.severity}, {due.grade}",
            f"  rule:     {line(due.rule_id)}{f', in {line(due.source)}' if due.source else ''}",
            f"  answers:  role {line(due.owner_role)}{up}",
            f"  findings that stand: {due.standing}",
        ]
        parts.append("\n".join(lines))
    if len(notice.items) > _MOST:
        parts.append(f"... and {len(notice.items) - _MOST} more: `reconciler nonconformities list`.")
    parts.append(
        f"reconciler, for {line(estate)}. `reconciler nonconformities show NUMBER` tells more.\n"
        "Nobody reads answers to this message."
    )
    return "\n\n".join(parts) + "\n"


def event(notice: Notice, *, estate: str, now: datetime, personal_data: bool) -> dict[str, Any]:
    """Return a CloudEvent 1.0; its ``id`` stays the same each time that it is sent."""
    return {
        "specversion": "1.0",
        "id": identity(notice, estate),
        "source": f"/reconciler/{quote(estate, safe='')}",
        "type": f"reconciler.notice.{notice.kind}",
        "time": now.isoformat(),
        "subject": notice.about,
        "datacontenttype": "application/json",
        "data": {
            "stage": notice.stage,
            "role": notice.role,
            "count": len(notice.items),
            "items": [_item(due, personal_data=personal_data) for due in notice.items[:_MOST_IN_EVENT]],
        },
    }


def _item(due: Due, *, personal_data: bool) -> dict[str, Any]:
    said = {
        "about": due.about,
        "title": line(due.title),
        "rule_id": due.rule_id,
        "source": due.source,
        "severity": due.severity,
        "grade": due.grade,
        "due_at": due.due_at.isoformat(),
        "owner_role": due.owner_role,
        "escalated_to": due.escalated_to,
        "standing": due.standing,
    }
    return said | ({"statement": line(due.statement), "owner": due.owner} if personal_data else {})


def _day(at: datetime, time_zone: str) -> str:
    return at.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M %Z")
