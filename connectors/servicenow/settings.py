"""What ``[filing.systems.NAME]`` may say where ``connector = "servicenow"``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reconciler.sdk import tickets
from reconciler.sdk.http import check_url
from reconciler.sdk.secrets import SecretRef

SETTLE_SECONDS = 120.0
"""A transaction of either API is cut off after 60 seconds, and one that waits for its turn begins later."""

OURS = frozenset({"correlation_id", "correlation_display"})
"""Fields that carry the key: nobody else fills them."""

CONTROL_ITEMS = "control_items"
"""The one name in ``fields`` that is no field of the table: sys_ids of controls to link the issue to."""

_TABLE = r"^[a-z][a-z0-9_]{0,79}$"
Severity = Literal["critical", "high", "medium", "low"]
Name = Annotated[str, Field(pattern=_TABLE)]


class States(BaseModel):
    """What the codes of ``state`` mean, and which are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resolved: Annotated[list[str], Field(description="Codes that mean resolved.")] = []
    closed: Annotated[list[str], Field(min_length=1, description="Codes that mean closed, cancelled ones too.")]
    reopen: Annotated[str, Field(min_length=1, description="Code written to reopen.")]
    resolve: Annotated[str, Field(min_length=1, description="Code written to resolve.")]
    close: Annotated[str, Field(min_length=1, description="Code written to close.")]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.close not in self.closed or self.resolve not in {*self.resolved, *self.closed}:
            message = "close must be one of closed, and resolve one of resolved or closed"
            raise ValueError(message)
        if self.reopen in {*self.resolved, *self.closed}:
            message = f"reopen: {self.reopen!r} means resolved or closed"
            raise ValueError(message)
        return self


STATES = {
    "incident": States(resolved=["6"], closed=["7", "8"], reopen="2", resolve="6", close="7"),
    "sn_grc_issue": States(closed=["3", "4", "7"], reopen="2", resolve="3", close="3"),
}
_CLOSING = {"incident": {"close_code": "Solution provided", "close_notes": "Ended by reconciler."}}
_URGENCY: dict[Severity, dict[str, str]] = {
    "critical": {"impact": "1", "urgency": "1"},
    "high": {"impact": "1", "urgency": "2"},
    "medium": {"impact": "2", "urgency": "2"},
    "low": {"impact": "3", "urgency": "3"},
}


class ControlLink(BaseModel):
    """The table that links an issue to controls."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: Annotated[Name, Field(description="Table of the links.")] = "sn_grc_m2m_issue_item"
    issue: Annotated[Name, Field(description="Its field that names the issue.")] = "sn_grc_issue"
    item: Annotated[Name, Field(description="Its field that names the control.")] = "sn_grc_item"


class TicketSettings(tickets.TicketSettings):
    """Where the instance is, who asks, and how a ticket becomes a record."""

    url: Annotated[str, Field(min_length=1, description="URL of the instance: https://NAME.service-now.com.")]
    table: Annotated[Name, Field(description="Table that is filed in: incident, sn_grc_issue, or another.")] = (
        "incident"
    )
    user: Annotated[str | None, Field(min_length=1, description="User; or client_id with client_secret.")] = None
    password: Annotated[SecretRef | None, Field(description="The user's password, by reference.")] = None
    client_id: Annotated[str | None, Field(min_length=1, description="Client id of OAuth client credentials.")] = None
    client_secret: Annotated[SecretRef | None, Field(description="The client's secret, by reference.")] = None
    display: Annotated[
        str, Field(pattern=r"^[\w .-]{1,100}$", description="Written to correlation_display beside the key.")
    ] = "reconciler"
    journal: Annotated[
        Literal["work_notes", "comments"],
        Field(description="Where remarks go: work_notes, or comments, which the caller of an incident sees too."),
    ] = "work_notes"
    severities: Annotated[
        dict[Severity, dict[Name, str]],
        Field(description="Severity -> fields and their values, such as impact and urgency."),
    ] = _URGENCY
    due_field: Annotated[
        str, Field(pattern=r"^([a-z][a-z0-9_]*)?$", description="Field of the due date (UTC); empty: none.")
    ] = "due_date"
    states: Annotated[States | None, Field(description="Codes of state; for other tables than the two they must.")] = (
        None
    )
    closing: Annotated[
        dict[Name, str] | None, Field(description="Fields written along when a ticket is resolved or closed.")
    ] = None
    import_set: Annotated[
        Name | None,
        Field(description="Staging table whose transform map coalesces on correlation_id; left out: the Table API."),
    ] = None
    import_prefix: Annotated[str, Field(pattern=r"^[a-z0-9_]*$", description="What its columns begin with.")] = "u_"
    control_link: Annotated[
        ControlLink | None, Field(description=f"How the sys_ids in fields.{CONTROL_ITEMS} are linked to the issue.")
    ] = None
    title_length: Annotated[int, Field(ge=20, le=4000, description="Characters of short_description.")] = 160
    body_length: Annotated[int, Field(ge=100, le=1_000_000, description="Characters of description.")] = 4000
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authorities to trust; relative to the configuration.")
    ] = None
    timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest time for one request.")] = 90.0

    @property
    def codes(self) -> States:
        """The codes of the table's ``state``."""
        return self.states or STATES[self.table]

    def weighed(self, severity: str) -> dict[str, str]:
        """Return the fields that a severity fills."""
        return next((fields for name, fields in self.severities.items() if name == severity), {})

    @property
    def ending(self) -> dict[str, str]:
        """What is written along with a resolved or closed state."""
        return _CLOSING.get(self.table, {}) if self.closing is None else self.closing

    @field_validator("url")
    @classmethod
    def _instance(cls, url: str) -> str:
        check_url(url, secret=True)
        return url.rstrip("/")

    @field_validator("fields")
    @classmethod
    def _free(cls, fields: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(OURS & set(fields)):
            message = f"{taken[0]} carries the key, and nothing else may fill it"
            raise ValueError(message)
        return fields

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = tuple(one is not None for one in (self.user, self.password, self.client_id, self.client_secret))
        if given not in {(True, True, False, False), (False, False, True, True)}:
            message = "user: give user with password, or client_id with client_secret, one of both"
            raise ValueError(message)
        if self.states is None and self.table not in STATES:
            message = f"states is missing: what the codes of {self.table}.state mean is known for {', '.join(STATES)}"
            raise ValueError(message)
        if CONTROL_ITEMS in self.fields and self.control_link is None:
            message = f"fields.{CONTROL_ITEMS} does nothing without control_link"
            raise ValueError(message)
        return self
