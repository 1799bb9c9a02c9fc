"""What `[sources.NAME]` may say where `connector = "rest"`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reconciler.sdk.columns import columns_of
from reconciler.sdk.layout import misfits
from reconciler.sdk.problems import BadValueError
from reconciler.sdk.records import RECORDS
from reconciler.sdk.settings import ValueSettings, known_table

from .expressions import Expression
from .paging import AnyPaging, ByLink, ByNextUrl, Paging, Unpaged
from .profiles import merged
from .service import Plain, Service


class Mapping(BaseModel):
    """How one estate table is asked for, and which part of each row fills which column."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(min_length=1, description="Path below url, such as v1/employees.")]
    method: Annotated[Literal["GET", "POST"], Field(description="POST for a search that only reads.")] = "GET"
    params: Annotated[dict[str, Plain], Field(description="Query parameters.")] = Field(default_factory=dict)
    body: Annotated[dict[str, Any] | None, Field(description="JSON body of a POST.")] = None
    paging: Annotated[Paging | None, Field(description="Other paging than the source's.")] = None
    rows: Annotated[Expression, Field(description="JMESPath of the list of rows in an answer; @ for all of it.")]
    columns: Annotated[dict[str, Expression], Field(description="Estate column = JMESPath of its value, from the row.")]
    constants: Annotated[dict[str, Plain], Field(description="Estate column = the value that it has in every row.")] = (
        Field(default_factory=dict)
    )
    values: Annotated[
        dict[str, dict[str, str]],
        Field(description='Per column: the service\'s value = the estate\'s; "*" for all others, "" for not said.'),
    ] = Field(default_factory=dict)
    omits_null: Annotated[
        bool, Field(description="The service leaves out what is null: a column that no row has is no error.")
    ] = False

    @field_validator("path")
    @classmethod
    def _below_url(cls, path: str) -> str:
        if re.search(r"[\s\\]|^[^/?]*://", path):
            message = f"{path!r} is no path below url, such as v1/employees"
            raise ValueError(message)
        return path

    @model_validator(mode="after")
    def _asks_one_way(self) -> Self:
        if self.body is not None and self.method != "POST":
            message = 'body: needs method = "POST"'
            raise ValueError(message)
        if self.paging is not None and self.paging.in_body and self.method != "POST":
            message = 'paging.in_body: needs method = "POST"'
            raise ValueError(message)
        if self.method == "POST" and isinstance(self.paging, ByLink | ByNextUrl):
            message = f"paging.style = {self.paging.style!r} asks for links by GET; use it without method"
            raise ValueError(message)
        for column in self.values:
            if column not in self.columns:
                message = f"values.{column} does nothing: there is no columns.{column}"
                raise ValueError(message)
        return self


class Settings(ValueSettings, Service):
    """Where the service is, who asks, and what fills the estate's tables."""

    paging: Annotated[Paging, Field(description="How pages are handed out.")] = Unpaged()
    mapping: Annotated[dict[str, Mapping], Field(min_length=1, description="Per estate table: how it is read.")]
    epoch: Annotated[
        Literal["seconds", "milliseconds"] | None,
        Field(description="What a number means where an instant is due: time since 1970, UTC; left out: an error."),
    ] = None
    read_seconds: Annotated[float, Field(gt=0, le=3_600, description="Seconds to wait for an answer.")] = 60.0
    request_seconds: Annotated[
        float,
        Field(gt=0, le=3_600, description="Seconds for one request with its whole answer, however slowly it comes."),
    ] = 300.0

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, given: Any) -> Any:
        return merged(given) if isinstance(given, dict) and given.get("profile") is not None else given

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, tables: list[str] | None) -> list[str] | None:
        for table in tables or ():
            known_table(table)
        return tables

    @model_validator(mode="after")
    def _says_what_columns_take(self) -> Self:
        for table, mapping in self.mapping.items():
            columns = {column.name: column for column in columns_of(table)} if table in RECORDS else {}
            said = [("values", name, text) for name, texts in mapping.values.items() for text in texts.values()]
            said += [("constants", name, value) for name, value in mapping.constants.items()]  # type: ignore[misc] # any
            for key, name, value in said:
                try:
                    if name in columns:
                        self.reading().converter(columns[name], "api")(value)
                except BadValueError as error:
                    message = f"mapping.{table}.{key}.{name}: {error.message}"
                    raise ValueError(message) from None
        return self

    @model_validator(mode="after")
    def _fits_the_estate(self) -> Self:
        for table, mapping in self.mapping.items():
            try:
                known_table(table)
            except ValueError as error:
                message = f"mapping: {error}"
                raise ValueError(message) from None
            names = [*mapping.columns, *mapping.constants]
            if wrong := "; ".join(misfits(table, names)):
                message = f"mapping.{table}.columns: {wrong}"
                raise ValueError(message)
            if mapping.method == "POST" and mapping.paging is None and isinstance(self.paging, ByLink | ByNextUrl):
                message = f"mapping.{table}: paging by links asks by GET; give a POST its own paging"
                raise ValueError(message)
        if unmapped := [table for table in self.tables or () if table not in self.mapping]:
            message = f"tables: {', '.join(unmapped)}: not mapped; mapped: {', '.join(self.mapping)}"
            raise ValueError(message)
        for entry in self.may_be_empty:
            if entry not in self.mapping:
                message = f"may_be_empty names {entry}, which is not mapped"
                raise ValueError(message)
        return self

    def paging_of(self, table: str) -> AnyPaging:
        """Return the paging of a table."""
        return self.mapping[table].paging or self.paging
