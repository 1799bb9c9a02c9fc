"""From a ticket to a record of ServiceNow, and back: pure, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused
from reconciler.sdk.texts import fitting, one_line
from reconciler.sdk.tickets import Change, Comment, Status, Ticket, TicketRef, TicketView, checked

from .client import Record, Sending
from .settings import CONTROL_ITEMS, OURS, TicketSettings

FIELDS = (
    "sys_id",
    "number",
    "correlation_id",
    "state",
    "active",
    "assigned_to",
    "close_code",
    "close_notes",
    "sys_updated_on",
    "work_notes",
    "comments",
)
"""Fields that a view is made of; the journals hold their whole text, and are not taken but compared."""

LISTED = ("sys_id", "number", "correlation_id")
ENTRIES = ("sys_id", "element_id", "element", "value", "sys_created_by", "sys_created_on")
JOURNALS = ("work_notes", "comments")

_ID = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"\[(?=/?code\])", re.IGNORECASE)
"""What lies between [code] and [/code] ServiceNow shows as HTML, in journals and on forms, unless it is told not to."""


def creation(settings: TicketSettings, ticket: Ticket) -> Sending:
    """Return the request that makes a ticket; raise ``ConfigurationError`` for what the table cannot hold."""
    body: dict[str, Any] = {
        "short_description": one_line(_safe(ticket.title), settings.title_length),
        "description": fitting(_safe(ticket.body), settings.body_length),
        **settings.weighed(ticket.severity),
    }
    if settings.due_field and ticket.due_at is not None:
        body[settings.due_field] = _written(ticket.due_at)
    body |= values(ticket.fields)
    body |= {"correlation_id": checked(ticket.key), "correlation_display": settings.display}
    if settings.import_set is not None:
        columns = {f"{settings.import_prefix}{name}": value for name, value in body.items()}
        return Sending("POST", f"api/now/import/{settings.import_set}", columns)
    wanted = {"sysparm_fields": ",".join(LISTED), "sysparm_exclude_reference_link": "true"}
    return Sending("POST", f"api/now/table/{settings.table}", body, wanted)


def update(settings: TicketSettings, ref: TicketRef, change: Change) -> Sending:
    """Return the request that does a change: one request, so that it is done whole or not at all."""
    codes = settings.codes
    body: dict[str, Any] = {}
    if change.status in {Status.RESOLVED, Status.CLOSED}:
        body |= settings.ending
        body["state"] = codes.resolve if change.status is Status.RESOLVED else codes.close
    elif change.status is Status.OPEN:
        body["state"] = codes.reopen
    elif change.status is not None:
        raise ConfigurationError(f"no ticket can be made {change.status}", advice="Use open, resolved or closed.")
    if change.comment:
        mark = f"[{change.mark}]"
        said = change.comment if mark in change.comment else f"{change.comment}\n\n{mark}"
        body[settings.journal] = fitting(_safe(said), settings.body_length)
    body |= values(change.fields)
    wanted = {"sysparm_fields": "sys_id,state", "sysparm_exclude_reference_link": "true"}
    return Sending("PATCH", f"api/now/table/{settings.table}/{record_id(ref.id)}", body, wanted)


def values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return configured fields as the Table API takes them; raise ``ConfigurationError`` naming one that it cannot."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name == CONTROL_ITEMS:
            continue
        if name in OURS or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ConfigurationError(f"fields.{name} is no field that may be filled", advice="Correct its name.")
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float | bool) for item in items):
            raise ConfigurationError(
                f"fields.{name}: a field of ServiceNow takes a text, a number, true or false, or a list of those",
                advice="References are given by their sys_id.",
            )
        given = ",".join(map(str, items)) if isinstance(value, list) else value
        found[name] = _safe(given) if isinstance(given, str) else given
    return found


def items(fields: Mapping[str, Any]) -> list[str]:
    """Return the sys_ids of controls that a ticket names; raise ``ConfigurationError`` for what is none."""
    given = fields.get(CONTROL_ITEMS, [])
    named = given.replace(",", " ").split() if isinstance(given, str) else given
    if not isinstance(named, list) or not all(isinstance(one, str) and _ID.fullmatch(one) for one in named):
        raise ConfigurationError(f"fields.{CONTROL_ITEMS}: not a list of sys_ids", advice="Give 32 hexadecimal digits.")
    return named


def made(settings: TicketSettings, answer: Record, ticket: Ticket) -> tuple[TicketRef, str]:
    """Return the record that a creation made, and the key that it kept (import sets do not say: the ticket's own).

    Raises ``Refused`` where a transform made none, ``Misbehaved`` where the answer names none.
    """
    result = answer.get("result")
    if settings.import_set is None:
        record = result if isinstance(result, Mapping) else {}
        return ref_of(settings, record), text(record, "correlation_id")
    rows = [row for row in result if isinstance(row, Mapping)] if isinstance(result, list) else []
    rows = [row for row in rows if row.get("table") == settings.table]
    if failed := [row for row in rows if row.get("status") == "error"]:
        raise Refused(
            f"{settings.import_set}: the transform failed: {failed[0].get('error_message', 'without words')}",
            advice="Look at the import set's row in ServiceNow, and correct the transform map or its scripts.",
        )
    done = [row for row in rows if row.get("status") in {"inserted", "updated", "ignored"} and row.get("sys_id")]
    if len(done) != 1:
        raise Misbehaved(
            f"{settings.import_set}: the answer names {len(done)} records of {settings.table}, not one",
            advice="One transform map of the staging table must write to the table, and coalesce on correlation_id.",
        )
    row = {"sys_id": done[0]["sys_id"], "number": done[0].get("display_value", "")}
    return ref_of(settings, row), ticket.key


def view(settings: TicketSettings, record: Record, entries: Sequence[Record]) -> TicketView:
    """Return a record with its journal as the product sees it."""
    code = text(record, "state")
    resolution = [said for said in (text(record, name, shown=True) for name in ("close_code", "close_notes")) if said]
    return TicketView(
        ref=ref_of(settings, record),
        status=_status(settings, record),
        raw_status=text(record, "state", shown=True) or code,
        key=text(record, "correlation_id"),
        assignee=text(record, "assigned_to", shown=True) or None,
        resolution=": ".join(resolution) or None,
        updated_at=_instant(text(record, "sys_updated_on")),
        comments=tuple(
            Comment(
                text(entry, "sys_id"),
                text(entry, "sys_created_by"),
                _instant(text(entry, "sys_created_on")),
                text(entry, "value"),
            )
            for entry in entries
        ),
    )


def ref_of(settings: TicketSettings, record: Record) -> TicketRef:
    """Return where a record is; raise ``Misbehaved`` for one without a sys_id."""
    sys_id = text(record, "sys_id")
    if not _ID.fullmatch(sys_id):
        raise Misbehaved(f"{settings.table}: a record without a sys_id", advice="Check url, table and access rules.")
    return TicketRef(sys_id, text(record, "number"), f"{settings.url}/{settings.table}.do?sys_id={sys_id}")


def record_id(sys_id: str) -> str:
    """Return a sys_id as it is; raise ``ConfigurationError`` for what is none."""
    if not _ID.fullmatch(sys_id):
        raise ConfigurationError(f"no sys_id: {sys_id!r}", advice="A record's id is 32 hexadecimal digits.")
    return sys_id


def text(record: Record, name: str, *, shown: bool = False) -> str:
    """Return a field's value, or what people see of it; empty where it is not given."""
    value = record.get(name)
    if isinstance(value, Mapping):
        value = value.get("display_value" if shown else "value")
    return value if isinstance(value, str) else ""


def _status(settings: TicketSettings, record: Record) -> Status:
    """Return what a code means: one that nobody named is as open as the record is active."""
    codes, code, active = settings.codes, text(record, "state"), text(record, "active")
    if settings.states is None and code in codes.closed and active == "true":
        raise ConfigurationError(
            f"{settings.table}: state {code} ({text(record, 'state', shown=True)}) is known as closed, and the record "
            "is active",
            advice="This instance has codes of its own: say under states what they mean.",
        )
    if code in codes.resolved:
        return Status.RESOLVED
    return Status.CLOSED if code in codes.closed or active == "false" else Status.OPEN


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _instant(written: str) -> datetime | None:
    try:
        return datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _safe(written: str) -> str:
    """Return a text without what ServiceNow would show as HTML."""
    return _CODE.sub("[ ", written)
