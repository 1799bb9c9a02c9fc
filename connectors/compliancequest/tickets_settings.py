"""What ``[filing.systems.NAME]`` may say where ``connector = "compliancequest"``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reconciler.sdk import tickets
from reconciler.sdk.columns import columns_of, nearest

from .connection import Connection
from .soql import is_name, is_path

Standing = Literal["open", "resolved", "closed"]


@dataclass(frozen=True, slots=True)
class Names:
    """What an object and its fields are called, as public code shows them; empty: no public name is known."""

    entity: str
    title: str = ""
    body: str = ""


KINDS = {
    "nonconformity": Names(
        "compliancequest__SQX_Nonconformance__c", "compliancequest__NC_Title__c", "compliancequest__Description__c"
    ),
    "finding": Names("compliancequest__SQX_Finding__c", "compliancequest__Title__c"),
    "capa": Names("compliancequest__SQX_CAPA__c"),
}
STATUSES: dict[str, Standing] = {
    "Draft": "open",
    "Triage": "open",
    "Open": "open",
    "Complete": "resolved",
    "Closed": "closed",
    "Void": "closed",
}
STATUS_VALUES: dict[Standing, str] = {"open": "Open", "resolved": "Complete", "closed": "Closed"}


class ExceptionMap(BaseModel):
    """Where an accepted risk is written: the object, its external id, and which field takes which column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object: Annotated[str, Field(description="API name of the object.")]
    external_id: Annotated[str, Field(description="Its External ID field, Unique, that takes our number.")] = (
        "Reconciler_Key__c"
    )
    columns: Annotated[
        dict[str, str], Field(min_length=1, description="Column of the estate's table exceptions = field.")
    ]
    values: Annotated[dict[str, dict[str, str]], Field(description="Per column: the estate's value = the field's.")] = (
        Field(default_factory=dict)
    )
    time_zone: Annotated[
        str | None, Field(description="IANA zone in which an instant becomes a date, where a field holds dates.")
    ] = None

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone in which an instant becomes a date."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        try:
            return zone if zone is None else ZoneInfo(zone).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"{zone!r} is not an IANA time zone; use for example Europe/Amsterdam"
            raise ValueError(message) from error

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_names(object=self.object, external_id=self.external_id)
        known = [column.name for column in columns_of("exceptions") if not column.key]
        for column, name in self.columns.items():
            if column not in known:
                message = f"columns: no such column of exceptions, beside its number: {column}{nearest(column, known)}"
                raise ValueError(message)
            _check_names(**{f"columns.{column}": name})
        if idle := [column for column in self.values if column not in self.columns]:
            message = f"values.{idle[0]} does nothing: columns leaves {idle[0]} out"
            raise ValueError(message)
        return self


class TicketSettings(tickets.TicketSettings, Connection):
    """Where nonconformities are filed in ComplianceQuest, and in which fields."""

    kind: Annotated[
        Literal["nonconformity", "finding", "capa"], Field(description="Record to file; picks the defaults.")
    ] = "nonconformity"
    object: Annotated[str | None, Field(description="API name of the object; left out: by kind.")] = None
    external_id: Annotated[
        str, Field(description="External ID field of the object, Unique, that an administrator added for our key.")
    ] = "Reconciler_Key__c"
    title_field: Annotated[str | None, Field(description="Field that takes the title; left out: by kind.")] = None
    body_field: Annotated[str | None, Field(description="Field that takes the text; left out: by kind.")] = None
    title_length: Annotated[int, Field(ge=20, le=255, description="Characters of title_field.")] = 255
    body_length: Annotated[int, Field(ge=1000, le=131_072, description="Characters of body_field.")] = 32_000
    body_html: Annotated[
        bool,
        Field(description="Whether body_field is a rich text area: then the text goes as HTML, nothing of it markup."),
    ] = False
    status_field: Annotated[str, Field(description="Field that says how the record stands.")] = (
        "compliancequest__Status__c"
    )
    statuses: Annotated[
        dict[str, Standing], Field(min_length=1, description="Value of status_field = open, resolved or closed.")
    ] = STATUSES
    status_values: Annotated[
        dict[Standing, str], Field(description="open, resolved, closed = value of status_field that makes it so.")
    ] = STATUS_VALUES
    assignee_field: Annotated[
        str, Field(description='Field, or path such as Owner.Name, of who has it; "" for none.')
    ] = "Owner.Name"
    resolution_field: Annotated[str, Field(description='Field that says what was done; "" for none.')] = ""
    chatter: Annotated[bool, Field(description="Whether comments go to the record's feed, and are read there.")] = True
    exceptions: Annotated[
        ExceptionMap | None, Field(description="Where accepted risks are written; left out: nowhere.")
    ] = None

    @property
    def names(self) -> Names:
        """The object and its fields, as configured over the defaults of the kind."""
        known = KINDS[self.kind]
        return Names(self.object or known.entity, self.title_field or known.title, self.body_field or known.body)

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = self.names
        for key in ("title", "body"):
            if not getattr(names, key):
                message = (
                    f"{key}_field is missing: which field of a {self.kind} takes the {key} differs by customer, so "
                    "there is no default"
                )
                raise ValueError(message)
        _check_names(
            object=names.entity,
            external_id=self.external_id,
            title_field=names.title,
            body_field=names.body,
            status_field=self.status_field,
        )
        for name in self.fields:
            if name.casefold() in {"id", self.external_id.casefold()}:
                message = f"fields.{name}: the service refuses it in an upsert; the key goes there by itself"
                raise ValueError(message)
        for key in ("assignee_field", "resolution_field"):
            if (path := getattr(self, key)) and not is_path(path):
                message = f"{key}: {path!r} is no field: letters, digits and _, with dots between relationships"
                raise ValueError(message)
        return self


def _check_names(**given: str) -> None:
    for key, name in given.items():
        if not is_name(name):
            message = f"{key}: {name!r} is no API name: letters, digits and _"
            raise ValueError(message)
