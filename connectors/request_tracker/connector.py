"""From a ticket to one of RT's, and back: pure, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused
from reconciler.sdk.tickets import Change, Comment, Status, Ticket, TicketRef, TicketView, checked

from .client import Record
from .settings import TicketSettings, wrong

REMARKS = frozenset({"Comment", "Correspond"})
"""Entries of a history that are remarks."""

_SUBJECT = 200
"""Bytes: RT cuts what is longer, in the middle of a word."""
_TEXT = 1_000_000
_TAIL = 1_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NOBODY = {"", "Nobody"}


def number_of(ref: TicketRef) -> str:
    """Return the id of a ticket; raise ``ConfigurationError`` for what is no id of RT's."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}", ref.id):
        raise ConfigurationError(f"no id of a ticket of RT: {ref.id!r}", advice="Give the number of the ticket.")
    return ref.id


def ref_of(settings: TicketSettings, number: str) -> TicketRef:
    """Return what a ticket is called and where people open it."""
    return TicketRef(number, number, f"{settings.url}/Ticket/Display.html?id={number}")


def creation(settings: TicketSettings, ticket: Ticket) -> dict[str, Any]:
    """Return the new ticket as RT takes it; raise ``ConfigurationError`` for what it would drop."""
    fields = written(settings, ticket.fields)
    body: dict[str, Any] = {
        "Queue": settings.queue,
        "Subject": subject(ticket.title),
        "Content": plain(ticket.body),
        "ContentType": "text/plain",
    }
    priority = next((value for name, value in settings.priorities.items() if name == ticket.severity), None)
    if priority is not None:
        body["Priority"] = priority
    if ticket.due_at is not None:
        body["Due"] = instant(ticket.due_at)
    custom = fields.pop("CustomFields", {})
    return body | fields | {"CustomFields": {**custom, settings.key_field: checked(ticket.key)}}


def update(settings: TicketSettings, change: Change) -> dict[str, Any]:
    """Return the fields that a change sets, the status among them."""
    if change.status is Status.GONE:
        raise ConfigurationError("a ticket is never deleted from here", advice="Ask for resolved or closed.")
    body = written(settings, change.fields)
    if change.status is not None:
        body["Status"] = settings.written.word(change.status)
    return body


def written(settings: TicketSettings, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as RT takes them; raise ``ConfigurationError`` for those that it would drop or that are ours."""
    # Checked once more: between the configuration and here stand templates, and other callers.
    if problem := wrong(fields, settings.key_field):
        raise ConfigurationError(f"fields: {problem}", advice="Correct [filing.systems.NAME.fields].")
    return {name: _value(value) for name, value in fields.items() if value is not None}


def custom_names(fields: Mapping[str, Any]) -> list[str]:
    """Return the custom fields that some fields fill."""
    return [str(name) for name in fields.get("CustomFields", {})]


def named(record: Record, name: str) -> Record | None:
    """Return a custom field of a ticket by its name, None where it does not show."""
    listed = record.get("CustomFields")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and str(one.get("name", "")).casefold() == name.casefold():
            return one
    return None


def values_of(record: Record, name: str) -> list[str] | None:
    """Return the values of a custom field of a ticket, empty ones left out; None where the field does not show."""
    found = named(record, name)
    held = found.get("values") if found is not None else None
    return [str(one) for one in held if one is not None and one != ""] if isinstance(held, list) else None


def view(settings: TicketSettings, ref: TicketRef, record: Record, comments: Sequence[Comment]) -> TicketView:
    """Return a ticket as RT has it; raise where what it says cannot be told."""
    keys = values_of(record, settings.key_field)
    if keys is None:
        raise Refused(
            f"ticket {ref.id} does not show {settings.key_field!r}",
            advice="Grant SeeCustomField, and apply the field to the queue that the ticket was moved to, or to all.",
            missing_permission="SeeCustomField",
        )
    how = values_of(record, settings.resolution_field) if settings.resolution_field else None
    owner = record.get("Owner")
    assignee = str(owner.get("id", "")) if isinstance(owner, dict) else ""
    return TicketView(
        ref=ref,
        status=meaning(settings, record["Status"]),
        raw_status=record["Status"],
        key=keys[0] if len(keys) == 1 else "",
        assignee=None if assignee in _NOBODY else assignee,
        resolution=", ".join(how) if how else None,
        updated_at=moment(record.get("LastUpdated")),
        comments=tuple(comments),
    )


def meaning(settings: TicketSettings, word: str) -> Status:
    """Return what a status of RT means; raise ``ConfigurationError`` for one that nobody has said it of."""
    found = settings.meanings.get(word.casefold())
    if found is None:
        raise ConfigurationError(
            f"statuses does not say what RT's status {word!r} means",
            advice=f'Add to the section\'s statuses: {word} = "open", "resolved" or "closed".',
        )
    return found


def comment(entry: Record, texts: Sequence[Record]) -> Comment:
    """Return a remark: the first plain text that came with it, else what its HTML says; files are left out."""
    parts = [one for one in texts if not one.get("Filename")]
    text = ""
    for kind in ("text/html", "text/plain"):
        for one in parts:
            if str(one.get("ContentType", "")).casefold() == kind and isinstance(one.get("Content"), str):
                text = one["Content"] if kind == "text/plain" else _without_tags(one["Content"])
                break
    creator = entry.get("Creator")
    author = str(creator.get("id", "")) if isinstance(creator, dict) else ""
    return Comment(str(entry["id"]), author, moment(entry.get("Created")), text)


def lacking(body: Mapping[str, Any], record: Record) -> list[str]:
    """Return the fields that were set and do not stand, as far as RT shows them in the form they were given in."""
    found = []
    for name, value in body.items():
        if name == "CustomFields":
            for field, asked in value.items():
                held = values_of(record, field)
                wanted = [str(one) for one in asked] if isinstance(asked, list) else [str(asked)]
                if held is not None and sorted(held) != sorted(wanted):
                    found.append(field)
            continue
        held = record.get(name)
        held = held.get("id") if isinstance(held, dict) else held
        if name in {"Status", "Owner", "Subject"} and str(held).casefold() != str(value).casefold():
            found.append(name)
    return found


def moment(text: object) -> datetime | None:
    """Return an instant of RT's; None where it has none, which it writes as the beginning of 1970."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Misbehaved("RT gives an instant that is none", advice="Report this with RT's version.") from None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return found if found.timestamp() else None


def instant(at: datetime) -> str:
    """Return an instant as RT takes it: UTC, without a zone."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def subject(title: str) -> str:
    """Return a title on one line, no longer than RT keeps."""
    line = " ".join(_CONTROL.sub(" ", _sound(title)).split())
    kept = line.encode()
    return line if len(kept) <= _SUBJECT else kept[: _SUBJECT - len("…".encode())].decode("utf-8", "ignore") + "…"


def plain(text: str) -> str:
    """Return a text that RT keeps as it is; the middle of a very long one is left out, since a mark ends comments."""
    text = _CONTROL.sub("", _sound(text).replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) <= _TEXT:
        return text
    cut = len(text) - _TEXT
    return f"{text[: _TEXT - _TAIL]}\n\n(cut: {cut} characters)\n\n{text[-_TAIL:]}"


def _sound(text: str) -> str:
    """Return a text without halves of characters, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {str(name): _value(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    return value


class _Text(HTMLParser):
    """Keeps what a page of HTML says, a line for each block."""

    _BLOCKS = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "blockquote", "pre"})
    _SILENT = frozenset({"style", "script", "head"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._silent += tag in self._SILENT
        if tag in self._BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in self._SILENT))
        if tag in self._BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def _without_tags(page: str) -> str:
    reader = _Text()
    reader.feed(page)
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", "".join(reader.parts)).strip()
