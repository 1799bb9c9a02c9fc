"""What ``[filing.systems.NAME]`` may say where ``connector = "jira"``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reconciler.sdk import tickets
from reconciler.sdk.http import check_url
from reconciler.sdk.secrets import SecretRef

SETTLE_SECONDS = 300.0
"""Jira's search shows a write within seconds, as a rule, and within minutes at worst; it names no bound."""

Severity = Literal["critical", "high", "medium", "low"]
Names = tuple[Annotated[str, Field(min_length=1)], ...]


class ServiceRequest(BaseModel):
    """File requests of Jira Service Management instead of plain issues."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service_desk: Annotated[str, Field(pattern=r"^\d+$", description="Id of the service desk.")]
    request_type: Annotated[str, Field(pattern=r"^\d+$", description="Id of the request type.")]
    internal_comments: Annotated[bool, Field(description="Whether remarks are internal notes.")] = True


class TicketSettings(tickets.TicketSettings):
    """Where the site is, who asks, and how a ticket becomes an issue."""

    url: Annotated[
        str,
        Field(min_length=1, description="https://NAME.atlassian.net, or https://api.atlassian.com/ex/jira/CLOUD-ID."),
    ]
    site: Annotated[
        str | None, Field(description="https://NAME.atlassian.net, where people open issues, if url is another.")
    ] = None
    user: Annotated[str | None, Field(min_length=1, description="Mail address of the account; with api_token.")] = None
    api_token: Annotated[SecretRef | None, Field(description="The account's API token, by reference.")] = None
    client_id: Annotated[str | None, Field(min_length=1, description="Client id of a service account; OAuth.")] = None
    client_secret: Annotated[SecretRef | None, Field(description="Its secret, by reference.")] = None
    token_url: Annotated[str, Field(description="Where the service account gets its tokens.")] = (
        "https://auth.atlassian.com/oauth/token"  # noqa: S105 - an address
    )
    project: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,254}$", description="Key of the project.")]
    issue_type: Annotated[str, Field(min_length=1, description="Name or id of the issue type; not for requests.")] = (
        "Task"
    )
    request: Annotated[ServiceRequest | None, Field(description="Which request of Jira Service Management.")] = None
    key_field: Annotated[
        str,
        Field(
            pattern=r"^(labels|summary|customfield_\d+)$",
            description="Field that carries the key: labels, or a text field where labels are not on the form.",
        ),
    ] = "labels"
    marker: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9]{2,49}$", description="Label, or word, that every ticket of ours carries.")
    ] = "reconciler"
    priorities: Annotated[dict[Severity, str], Field(description="Severity -> name of the priority.")] = Field(
        default_factory=dict
    )
    due_field: Annotated[
        str | None,
        Field(
            pattern=r"^(duedate|customfield_\d+)?$",
            description='Field of the due date; "" for none; left out: duedate for issues, none for requests.',
        ),
    ] = None
    time_zone: Annotated[str, Field(description="IANA zone in which an instant becomes the day that it is due on.")] = (
        "UTC"
    )
    rich_text: Annotated[
        Names, Field(description="Further fields that take text with paragraphs (Atlassian Document Format).")
    ] = ()
    resolved_statuses: Annotated[
        Names, Field(description="Statuses of the category done that mean resolved, not closed.")
    ] = ("Resolved",)
    closing: Annotated[Names, Field(description="Transitions, or statuses they lead to, that close; first first.")] = (
        "Closed",
        "Close",
        "Done",
        "Resolved",
    )
    resolving: Annotated[Names, Field(description="Transitions, or statuses they lead to, that resolve.")] = (
        "Resolved",
        "Resolve",
        "Done",
        "Closed",
    )
    reopening: Annotated[Names, Field(description="Transitions, or statuses they lead to, that reopen.")] = (
        "Reopened",
        "Reopen",
        "To Do",
        "Open",
    )
    resolution: Annotated[str, Field(description='Resolution set where the transition asks for one; "" for none.')] = (
        "Done"
    )
    transition_fields: Annotated[
        dict[str, Any], Field(description="Field = value, set by every transition whose screen has the field.")
    ] = Field(default_factory=dict)
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authorities to trust; relative to the configuration.")
    ] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest time for one request.")] = 60.0

    @property
    def due(self) -> str:
        """The field of the due date; empty: none."""
        return ("" if self.request else "duedate") if self.due_field is None else self.due_field

    @property
    def ours(self) -> frozenset[str]:
        """Fields that nobody else fills; labels take further ones."""
        return frozenset({"project", "issuetype", "summary", "description", self.key_field} - {"labels"})

    def priority(self, severity: str) -> str | None:
        """Return the priority of a severity, None where it is left to Jira."""
        return next((name for known, name in self.priorities.items() if known == severity), None)

    @field_validator("url", "site", "token_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url, secret=True)
        return None if url is None else url.rstrip("/")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = f"{name!r} is not an IANA time zone; use for example Europe/Amsterdam"
            raise ValueError(message) from None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = tuple(one is not None for one in (self.user, self.api_token, self.client_id, self.client_secret))
        if given not in {(True, True, False, False), (False, False, True, True)}:
            message = "user: give user with api_token, or client_id with client_secret, one of both"
            raise ValueError(message)
        if self.request is not None and "issue_type" in self.model_fields_set:
            message = "issue_type does nothing with request: the request type has its own"
            raise ValueError(message)
        if taken := sorted(self.ours & set(self.fields)):
            message = f"fields.{taken[0]} is filled by the product: use title, body, project, issue_type or key_field"
            raise ValueError(message)
        if "api.atlassian.com" in self.url and self.site is None:
            message = "site is missing: where people open issues cannot be told from this url"
            raise ValueError(message)
        return self
