"""What `[sources.NAME]` may say where `connector = "files"`."""

from __future__ import annotations

import codecs
from typing import Annotated, TypeVar

from pydantic import Field, field_validator, model_validator

from reconciler.sdk.columns import columns_of, nearest
from reconciler.sdk.settings import ValueSettings, known_table

V = TypeVar("V")


class Settings(ValueSettings):
    """Where the files are and how they are to be read."""

    path: Annotated[
        str, Field(min_length=1, description="Folder of the files, relative to the configuration's own folder.")
    ]
    ignore: Annotated[
        list[str], Field(description="Files in the folder to leave alone: names, or patterns with * and ?.")
    ] = Field(default_factory=list)
    columns: Annotated[
        dict[str, dict[str, str]],
        Field(description="Per table: estate column = the file's own name of that column."),
    ] = Field(default_factory=dict)
    ignore_columns: Annotated[
        dict[str, list[str]],
        Field(description='Per table: columns of the file to leave alone; ["*"] for all that are not mapped.'),
    ] = Field(default_factory=dict)
    sheets: Annotated[
        dict[str, str], Field(description="Per table: the sheet of an XLSX workbook that has more than one.")
    ] = Field(default_factory=dict)
    delimiter: Annotated[str, Field(description="Character between the fields of a CSV file.")] = ","
    encoding: Annotated[str, Field(description="Encoding of CSV, JSON and JSON Lines files.")] = "utf-8-sig"

    may_be_empty: Annotated[
        list[str],
        Field(
            description="Tables whose file may rightly have no rows; without it no people, no approvals, and no "
            "accounts, entitlements, grants, credentials or events, are taken for a failed export."
        ),
    ] = Field(default_factory=list)

    @field_validator("tables", "may_be_empty")
    @classmethod
    def _known_tables(cls, tables: list[str] | None) -> list[str] | None:
        for table in tables or ():
            known_table(table)
        return tables

    @field_validator("ignore_columns", "sheets", "columns")
    @classmethod
    def _keyed_by_table(cls, by_table: dict[str, V]) -> dict[str, V]:
        for table in by_table:
            known_table(table)
        return by_table

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, delimiter: str) -> str:
        if len(delimiter) != 1 or delimiter in '"\r\n\0':
            message = 'must be one character, such as "," or ";" or "\\t", and no quote'
            raise ValueError(message)
        return delimiter

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            codec = codecs.lookup(encoding)
        except (LookupError, ValueError):
            codec = None
        if codec is None or not codec._is_text_encoding:  # noqa: SLF001 - the one place where Python says so
            message = f"{encoding!r} is not a text encoding; use for example utf-8-sig, utf-16 or cp1252"
            raise ValueError(message)
        return encoding

    @model_validator(mode="after")
    def _known_columns(self) -> Settings:
        for table, mapping in self.columns.items():
            names = [column.name for column in columns_of(table)]
            for column in mapping:
                if column not in names:
                    message = f"columns.{table}: no such estate column: {column}{nearest(column, names)}"
                    raise ValueError(message)
        return self
