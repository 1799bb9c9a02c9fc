"""From a ticket to an issue of Jira, and back: pure, no network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused
from reconciler.sdk.texts import one_line
from reconciler.sdk.tickets import KEY, Change, Comment, Status, Ticket, TicketRef, TicketView

from .adf import document, text_of
from .client import Sending
from .settings import TicketSettings

Issue = Mapping[str, Any]

OURS = "rec-"
"""How every key begins: so a label that is a key is told from any other."""

_TITLE = 255

_MARKED = re.compile(rf"{OURS}[a-z0-9-]+")


def checked(key: str, least: str = KEY) -> str:
    """Return a key as it is; raise ``ConfigurationError`` for one that could be more than a word in a query."""
    if not re.fullmatch(least, key) or not key.startswith(OURS):
        raise ConfigurationError(
            f"no key of a ticket: {key!r}", advice=f"A key is a-z, 0-9 and -, and begins with {OURS}."
        )
    return key


def creation(settings: TicketSettings, ticket: Ticket) -> Sending:
    """Return the request that makes a ticket, its key in it; raise ``ConfigurationError`` for what cannot be one."""
    key = checked(ticket.key)
    fields: dict[str, Any] = {
        "summary": one_line(ticket.title, _TITLE),
        "description": document(ticket.body),
    }
    if (priority := settings.priority(ticket.severity)) is not None:
        fields["priority"] = {"name": priority}
    if settings.due and ticket.due_at is not None:
        fields[settings.due] = ticket.due_at.astimezone(ZoneInfo(settings.time_zone)).date().isoformat()
    fields |= values(settings, ticket.fields)
    carried = f"{settings.marker} {key}"
    if settings.key_field == "labels":
        fields["labels"] = sorted({*fields.get("labels", []), settings.marker, key})
    elif settings.key_field == "summary":
        fields["summary"] = f"{one_line(ticket.title, _TITLE - len(carried) - 3)} [{carried}]"
    else:
        fields[settings.key_field] = carried
    if settings.request is not None:
        body = {
            "serviceDeskId": settings.request.service_desk,
            "requestTypeId": settings.request.request_type,
            "requestFieldValues": fields,
            "isAdfRequest": True,
        }
        return Sending("POST", "rest/servicedeskapi/request", body)
    kind = settings.issue_type
    fields["project"] = {"key": settings.project}
    fields["issuetype"] = {"id": kind} if kind.isdigit() else {"name": kind}
    return Sending("POST", "rest/api/3/issue", {"fields": fields})


def values(settings: TicketSettings, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return configured fields as Jira takes them; raise ``ConfigurationError`` naming one that may not be filled."""
    for name in fields:
        if name in settings.ours or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            raise ConfigurationError(
                f"fields.{name} is no field that may be filled",
                advice="Use the field's id, as customfield_10010; title, body, project and issue_type fill the others.",
            )
    labels = fields.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(one, str) and one and " " not in one for one in labels):
        raise ConfigurationError("fields.labels: not a list of words", advice="A label has no blanks.")
    return _rich(settings, fields)


def remark(settings: TicketSettings, change: Change) -> dict[str, Any]:
    """Return the body of a comment that carries the mark of its change."""
    mark = f"[{change.mark}]"
    text = change.comment if mark in change.comment else f"{change.comment}\n\n{mark}"
    body: dict[str, Any] = {"body": document(text)}
    if settings.request is not None and settings.request.internal_comments:
        body["properties"] = [{"key": "sd.public.comment", "value": {"internal": True}}]
    return body


def query(settings: TicketSettings, key: str = "") -> str:
    """Return the JQL that finds what carries ``key``, or, without one, everything of ours, in every project."""
    if settings.key_field == "labels":
        clause = f'labels = "{key or settings.marker}"'
    else:
        number = settings.key_field.removeprefix("customfield_")
        place = settings.key_field if settings.key_field == "summary" else f"cf[{number}]"
        clause = f'{place} ~ "\\"{key or settings.marker}\\""'
    return f"{clause} ORDER BY created ASC, key ASC"


def keys_of(settings: TicketSettings, issue: Issue) -> list[str]:
    """Return the keys that an issue carries, as a rule one; raise ``Misbehaved`` where the field does not show."""
    fields = fields_of(issue)
    if settings.key_field not in fields:
        raise Misbehaved(
            f"{issue.get('key')}: {settings.key_field} does not show, so that its key cannot be read",
            advice="Have the field shown in the project, or set key_field to another.",
        )
    found = fields[settings.key_field]
    if settings.key_field == "labels":
        labels = found if isinstance(found, list) else []
        return sorted(one for one in labels if isinstance(one, str) and _is_key(one))
    words = text_of(found) if isinstance(found, Mapping) else str(found or "")
    return [key for key in re.findall(rf"\b{settings.marker} ({_MARKED.pattern})", words) if _is_key(key)]


def view(settings: TicketSettings, issue: Issue, comments: Sequence[Issue]) -> TicketView:
    """Return an issue with its comments as the product sees it."""
    fields = fields_of(issue)
    status = fields.get("status")
    keys = keys_of(settings, issue)
    return TicketView(
        ref=ref_of(settings, issue),
        status=status_of(settings, status),
        raw_status=name_of(status),
        key=keys[0] if keys else "",
        assignee=name_of(fields.get("assignee")) or None,
        resolution=name_of(fields.get("resolution")) or None,
        updated_at=_instant(fields.get("updated")),
        comments=tuple(
            Comment(
                str(one.get("id", "")),
                name_of(one.get("author")),
                _instant(one.get("created")),
                text_of(one.get("body")),
            )
            for one in comments
        ),
    )


def transition(settings: TicketSettings, wanted: Status, offered: Sequence[Issue], issue: str) -> dict[str, Any]:
    """Return the request body of the transition that leads where ``wanted`` says.

    By name first (of the transition or of the status behind it, in the configured order), then by category, where only
    one leads there. Raises ``Refused`` where none does, ``ConfigurationError`` where it is not clear which, or where
    its screen asks for a field that nobody fills.
    """
    names = {Status.OPEN: "reopening", Status.RESOLVED: "resolving", Status.CLOSED: "closing"}
    if wanted not in names:
        raise ConfigurationError(f"no ticket can be made {wanted}", advice="Use open, resolved or closed.")
    ends = wanted is not Status.OPEN
    fitting = [one for one in offered if (status_of(settings, one.get("to")) is not Status.OPEN) is ends]
    if not fitting:
        there = ", ".join(name_of(one) for one in offered) or "none"
        raise Refused(
            f"{issue}: no transition leads to {wanted} from where it stands; these credentials may do: {there}",
            advice="Grant Transition Issues, or give the workflow a way there.",
            missing_permission="" if offered else "TRANSITION_ISSUES",
        )
    chosen = next(_preferred(getattr(settings, names[wanted]), fitting), None)
    chosen = chosen or (fitting[0] if len(fitting) == 1 else None)
    if chosen is None:
        raise ConfigurationError(
            f"{issue}: several transitions lead to {wanted}: {', '.join(name_of(one) for one in fitting)}",
            advice=f"Name the one that is meant under {names[wanted]}.",
        )
    body: dict[str, Any] = {"transition": {"id": str(chosen.get("id", ""))}}
    if fields := _on_screen(settings, chosen, issue, ends=ends):
        body["fields"] = fields
    return body


def status_of(settings: TicketSettings, status: object) -> Status:
    """Return what a status means: by its category, and by name whether done is resolved or closed."""
    category = status.get("statusCategory") if isinstance(status, Mapping) else None
    if not isinstance(category, Mapping) or not isinstance(category.get("key"), str):
        raise Misbehaved("a status without a category", advice="Check url: this is not Jira Cloud's interface.")
    if category["key"] != "done":
        return Status.OPEN
    resolved = {name.casefold() for name in settings.resolved_statuses}
    return Status.RESOLVED if name_of(status).casefold() in resolved else Status.CLOSED


def ref_of(settings: TicketSettings, issue: Issue) -> TicketRef:
    """Return where an issue is: its id stays when it moves to another project, its key does not."""
    number, key = issue.get("id") or issue.get("issueId"), issue.get("key") or issue.get("issueKey")
    if not isinstance(number, str) or not number.isdigit() or not isinstance(key, str):
        raise Misbehaved("the answer names no issue", advice="Check url.")
    return TicketRef(number, key, f"{settings.site or settings.url}/browse/{key}")


def issue_id(found: str) -> str:
    """Return an issue's id as it is; raise ``ConfigurationError`` for what is none."""
    if not found.isascii() or not found.isdigit():
        raise ConfigurationError(f"no id of an issue: {found!r}", advice="An issue's id is a number.")
    return found


def fields_of(issue: Issue) -> Mapping[str, Any]:
    """Return the fields of an issue; raise ``Misbehaved`` where there are none."""
    fields = issue.get("fields")
    if not isinstance(fields, Mapping):
        raise Misbehaved("an issue without fields", advice="Check url.")
    return fields


def name_of(found: object) -> str:
    """Return the name of a status, person, resolution or transition; empty for nobody and nothing."""
    if not isinstance(found, Mapping):
        return ""
    name = found.get("name") or found.get("displayName")
    return name if isinstance(name, str) else ""


def _on_screen(settings: TicketSettings, chosen: Issue, issue: str, *, ends: bool) -> dict[str, Any]:
    """Return what goes into the screen of a transition: Jira refuses a field that is not on it, and one too few."""
    screen = chosen.get("fields")
    asks: Mapping[str, Any] = screen if isinstance(screen, Mapping) else {}
    given = {"resolution": {"name": settings.resolution}} if ends and settings.resolution else {}
    fields = _rich(settings, {k: v for k, v in (given | settings.transition_fields).items() if k in asks})
    for name, how in asks.items():
        if name not in fields and isinstance(how, Mapping) and how.get("required") and not how.get("hasDefaultValue"):
            raise ConfigurationError(
                f"{issue}: the transition {name_of(chosen)} asks for {name}",
                advice=f"Give it under transition_fields.{name}, or take it off the screen.",
            )
    return fields


def _rich(settings: TicketSettings, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: document(value) if name in settings.rich_text and isinstance(value, str) else value
        for name, value in fields.items()
    }


def _preferred(names: Iterable[str], fitting: Sequence[Issue]) -> Iterator[Issue]:
    for name in names:
        for one in fitting:
            if name.casefold() in {name_of(one).casefold(), name_of(one.get("to")).casefold()}:
                yield one


def _is_key(word: str) -> bool:
    return word.startswith(OURS) and re.fullmatch(KEY, word) is not None


def _instant(written: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
