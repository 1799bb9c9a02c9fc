"""What ``[filing.systems.NAME]`` may say where ``connector = "request_tracker"``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reconciler.sdk import tickets
from reconciler.sdk.http import check_url
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.tickets import Status

OURS = {
    "Queue": "is what the key queue says",
    "Subject": "is what the template title says",
    "Content": "is what the template body says",
    "ContentType": "is always text/plain",
    "Attachments": "are never sent",
}
"""Fields of a new ticket that ``fields`` may not fill, and why."""

KNOWN = frozenset(
    {
        *("Requestor", "Cc", "AdminCc", "Owner", "CustomRoles", "CustomFields", "Status", "SLA"),
        *("Priority", "InitialPriority", "FinalPriority", "Starts", "Started", "Due"),
        *("TimeEstimated", "TimeLeft", "TimeWorked"),
        *("DependsOn", "DependedOnBy", "RefersTo", "ReferredToBy", "MemberOf", "Members", "Parents", "Children"),
    }
)
"""Fields of a new ticket that RT reads; it drops any other without a word."""

STATUSES = {
    "new": Status.OPEN,
    "open": Status.OPEN,
    "stalled": Status.OPEN,
    "resolved": Status.RESOLVED,
    "rejected": Status.CLOSED,
    "deleted": Status.GONE,
}
"""What the statuses of RT's own lifecycle mean."""

Severity = Literal["critical", "high", "medium", "low"]
_PRIORITIES: dict[Severity, int] = {"critical": 100, "high": 80, "medium": 50, "low": 20}


def wrong(fields: Mapping[str, Any], key_field: str) -> str:
    """Return what RT would drop of some fields, or what is not theirs to fill; empty: nothing."""
    for name in fields:
        if name in OURS:
            return f"{name} {OURS[name]}"
        if name not in KNOWN:
            return f"RT knows no field {name!r} of a ticket; a custom field stands under fields.CustomFields"
    custom = fields.get("CustomFields", {})
    if not isinstance(custom, Mapping):
        return "CustomFields must be a table: name of the custom field = value"
    if any(str(name).casefold() == key_field.casefold() for name in custom):
        return f"CustomFields: {key_field!r} carries the key, and nothing else may fill it"
    return ""


class Written(BaseModel):
    """The status that is written to reopen, resolve or close."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open: Annotated[str, Field(min_length=1, description="Status written to reopen.")] = "open"
    resolved: Annotated[str, Field(min_length=1, description="Status written to resolve.")] = "resolved"
    closed: Annotated[str, Field(min_length=1, description="Status written to close.")] = "resolved"

    def word(self, status: Status) -> str:
        """Return RT's word for a status that can be asked for."""
        return {Status.OPEN: self.open, Status.RESOLVED: self.resolved}.get(status, self.closed)


class TicketSettings(tickets.TicketSettings):
    """Where RT is, who asks, and how a ticket becomes one of RT's."""

    url: Annotated[str, Field(min_length=1, description="URL of RT as people open it: https://rt.example.org.")]
    token: Annotated[SecretRef, Field(description="Authentication token of the user that files, by reference.")]
    queue: Annotated[str, Field(pattern=r"^[^/\s][^/]{0,199}$", description="Name or id of the queue.")]
    key_field: Annotated[
        str,
        Field(pattern=r"^[^{}'\"\\]{1,200}$", description="Custom field of tickets that carries the key; only ours."),
    ] = "Reconciler key"
    resolution_field: Annotated[
        str | None, Field(min_length=1, description="Custom field that says how a ticket was resolved, if any does.")
    ] = None
    priorities: Annotated[dict[Severity, int], Field(description="Severity -> priority, a number.")] = _PRIORITIES
    statuses: Annotated[
        dict[str, Status],
        Field(description="Status of the queue's lifecycle = open, resolved or closed, beside those of RT's own."),
    ] = {}  # noqa: RUF012 - pydantic copies defaults
    written: Annotated[Written, Field(description="Statuses that are written.")] = Written()
    remark: Annotated[
        Literal["comment", "correspond"],
        Field(description="How we remark: comment, or correspond, which RT mails to the requestors too."),
    ] = "comment"
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authorities to trust; relative to the configuration.")
    ] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest time for one request.")] = 60.0
    page_size: Annotated[int, Field(ge=1, le=100, description="Tickets or entries asked for in one page.")] = 100

    @property
    def meanings(self) -> dict[str, Status]:
        """Status of RT, in lower case -> what it means."""
        return STATUSES | {name.casefold(): meaning for name, meaning in self.statuses.items()}

    @field_validator("url")
    @classmethod
    def _place(cls, url: str) -> str:
        check_url(url, secret=True)
        url = url.rstrip("/")
        if url.casefold().endswith("/rest/2.0"):
            message = "must be the URL that people open, without /REST/2.0"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if problem := wrong(self.fields, self.key_field):
            message = f"fields: {problem}"
            raise ValueError(message)
        for name, meaning in self.statuses.items():
            if (meaning is Status.GONE) is not (name.casefold() == "deleted"):
                message = f"statuses.{name}: RT finds no deleted ticket, and any other; only deleted means gone"
                raise ValueError(message)
        for name in ("open", "resolved", "closed"):
            word: str = getattr(self.written, name)
            means = self.meanings.get(word.casefold())
            if means is None or (means is Status.OPEN) is not (name == "open") or means is Status.GONE:
                message = f"written.{name}: {word!r} must be a status that statuses says means so"
                raise ValueError(message)
        return self
