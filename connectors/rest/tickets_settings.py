"""What ``[filing.systems.NAME]`` may say where ``connector = "rest"``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reconciler.sdk import tickets

from .bodies import unknown
from .expressions import Expression
from .paging import Paging, Unpaged
from .profiles import merged
from .service import Plain, Service, no_secret

Standing = Literal["open", "resolved", "closed"]
TICKET = ("key", "title", "body", "severity", "priority", "due_at", "var")
REF = ("id", "number", "var")
Where = Annotated[Expression | None, Field(description="JMESPath of it; left out: not known.")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Call(_Part):
    """One request. Path, parameters, headers and body are templates."""

    method: Annotated[Literal["GET", "POST", "PUT", "PATCH"], Field(description="Method.")] = "GET"
    path: Annotated[str, Field(min_length=1, description="Path below url.")]
    params: Annotated[dict[str, Plain], Field(description="Query parameters.")] = Field(default_factory=dict)
    headers: Annotated[dict[str, str], Field(description="Headers.")] = Field(default_factory=dict)
    body: Annotated[dict[str, Any] | list[Any] | None, Field(description="JSON body.")] = None
    form: Annotated[dict[str, str] | None, Field(description="Body as a form, in place of JSON.")] = None
    again: Annotated[
        bool, Field(description="Twice at once does no more than once: an upsert, or an idempotency key.")
    ] = False

    _no_secret = field_validator("headers")(no_secret)

    @field_validator("path")
    @classmethod
    def _below_url(cls, path: str) -> str:
        if path.startswith("/") or "\\" in path or "://" in path:
            message = f"{path!r} is no path below url, such as api/tickets"
            raise ValueError(message)
        return path

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body is not None and self.form is not None:
            message = "body and form: give one of them"
            raise ValueError(message)
        return self

    def templates(self) -> list[Any]:
        """Return everything of it that is filled in."""
        return [self.path, dict(self.params), dict(self.headers), self.body, self.form]


class Listing(Call):
    """A request that lists tickets."""

    items: Annotated[Expression, Field(description="JMESPath of the list of tickets.")]
    id: Annotated[Expression, Field(description="JMESPath of a ticket's immutable id, from the ticket.")]
    number: Where = None
    url: Where = None
    key: Annotated[Expression, Field(description="JMESPath of our key, from the ticket.")]
    left_out: Annotated[
        Expression | None, Field(description="JMESPath, true for a ticket that does not count, such as a deleted one.")
    ] = None
    paging: Annotated[Paging, Field(description="How pages are handed out.")] = Unpaged()


class Create(Call):
    """The request that makes a ticket."""

    fields_into: Annotated[
        str, Field(description="Place in the body that [filing.systems.NAME.fields] go into, with dots; 0 in a list.")
    ] = ""
    id: Annotated[Expression, Field(description="JMESPath of the ticket's immutable id in the answer.")]
    number: Where = None
    url: Where = None


class Read(Call):
    """The request that reads a ticket by its id."""

    status: Annotated[Expression, Field(description="JMESPath of how it stands.")]
    key: Where = None
    number: Where = None
    url: Where = None
    assignee: Where = None
    resolution: Where = None
    updated_at: Where = None
    gone: Annotated[Expression | None, Field(description="JMESPath, true in an answer that says it is gone.")] = None
    gone_statuses: Annotated[list[Literal[404, 410]], Field(description="Statuses that say it is gone.")] = [404, 410]
    gone_error: Annotated[
        Expression | None, Field(description="JMESPath, true in the body of such a status; left out: the status alone.")
    ] = None


class Comments(Call):
    """The request that lists what was said on a ticket."""

    items: Annotated[Expression, Field(description="JMESPath of the list of comments.")]
    id: Annotated[Expression, Field(description="JMESPath of a comment's id, from the comment.")]
    text: Annotated[Expression, Field(description="JMESPath of its text.")]
    author: Where = None
    at: Where = None
    paging: Annotated[Paging, Field(description="How pages are handed out.")] = Unpaged()


class Alter(Call):
    """The request that sets the status, or fields, or both."""

    fields_into: Annotated[str, Field(description="Place in the body that the fields of a change go into.")] = ""
    status_into: Annotated[
        str, Field(description="Field there that takes the status; left out: the body names {{ status }} itself.")
    ] = ""


class Answers(_Part):
    """What an answer that says success by HTTP may mean all the same. JMESPath, true or a text where it does."""

    error: Annotated[Expression | None, Field(description="It was refused; a text is the reason.")] = None
    throttled: Annotated[Expression | None, Field(description="Come back later.")] = None
    expired: Annotated[Expression | None, Field(description="The session has ended.")] = None
    unsure: Annotated[Expression | None, Field(description="It may have been done.")] = None


class TicketSettings(tickets.TicketSettings, Service):
    """Where the service is, who files, and the requests that do it."""

    var: Annotated[dict[str, Plain], Field(description="Names that templates use as {{ var.NAME }}.")] = Field(
        default_factory=dict
    )
    idempotent: Annotated[
        bool, Field(description="Two creates under one key make one ticket, for ever, by the service's promise.")
    ] = False
    priorities: Annotated[
        dict[Literal["critical", "high", "medium", "low"], Plain],
        Field(description="Severity = what {{ priority }} is; left out: the severity."),
    ] = Field(default_factory=dict)
    statuses: Annotated[
        dict[str, Standing], Field(min_length=1, description="The service's status = open, resolved or closed.")
    ]
    status_values: Annotated[
        dict[Standing, Plain], Field(description="open, resolved, closed = what {{ status }} is to make it so.")
    ] = Field(default_factory=dict)
    answers: Annotated[Answers, Field(description="What answers mean beside their HTTP status.")] = Answers()
    find: Annotated[Listing, Field(description="Finds the tickets of a key.")]
    create: Annotated[Create, Field(description="Makes a ticket.")]
    read: Annotated[Read, Field(description="Reads a ticket.")]
    comments: Annotated[Comments | None, Field(description="Reads what was said on a ticket.")] = None
    comment: Annotated[Call | None, Field(description="Says something on a ticket.")] = None
    change: Annotated[Alter | None, Field(description="Sets status and fields of a ticket.")] = None
    keyed: Annotated[Listing, Field(description="Lists the tickets that carry a key of ours.")]
    request_seconds: Annotated[float, Field(gt=0, le=600, description="Seconds that one request may take.")] = 60.0

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("profile") is not None:
            return merged(given, "tickets")
        return given

    @model_validator(mode="after")
    def _templates(self) -> Self:
        named: Mapping[str, tuple[Call | None, tuple[str, ...]]] = {
            "find": (self.find, ("key", "var", "fields")),
            "create": (self.create, TICKET),
            "read": (self.read, REF),
            "comments": (self.comments, REF),
            "comment": (self.comment, (*REF, "comment", "mark")),
            "change": (self.change, (*REF, "status", "mark")),
            "keyed": (self.keyed, ("prefix", "var", "fields")),
        }
        for key, (call, names) in named.items():
            for problem in unknown(call.templates() if call is not None else [], names):
                message = f"{key}: {problem}"
                raise ValueError(message)
        return self
