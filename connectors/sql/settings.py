"""What `[sources.NAME]` may say where `connector = "sql"`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from reconciler.sdk.secrets import SecretRef, reveal
from reconciler.sdk.settings import ValueSettings, known_table

_REFERENCE = re.compile(r"(env|file):(?!//)")


class Settings(ValueSettings):
    """Which database, and the query of each estate table."""

    url: Annotated[
        str,
        Field(
            min_length=1,
            description="SQLAlchemy URL without password, such as postgresql+psycopg://reader@host/qms or "
            "sqlite:///qms.db (relative to the configuration); or env:NAME or file:/path of one, password and all.",
        ),
    ]
    password: Annotated[SecretRef | None, Field(description="env:NAME or file:/path of the password.")] = None
    ca_file: Annotated[
        str | None,
        Field(
            description="PostgreSQL: PEM file of the authorities to trust; left out: the system's. Relative to the "
            "configuration."
        ),
    ] = None
    queries: Annotated[
        dict[str, str],
        Field(description="Per table: the query that reads it; the names of its columns are those of the estate."),
    ] = Field(default_factory=dict)
    queries_folder: Annotated[
        str | None, Field(description="Folder of further queries, TABLE.sql, relative to the configuration.")
    ] = None
    counts: Annotated[
        dict[str, str],
        Field(
            description="Per table: a query for the number of rows that should come, independent of the table's own; "
            "left out: the database counts the rows of the query, in the same transaction."
        ),
    ] = Field(default_factory=dict)
    row_security: Annotated[
        bool,
        Field(description="PostgreSQL: let row-level security hide rows from the query; otherwise it is an error."),
    ] = False
    page_size: Annotated[int, Field(ge=1, le=100_000, description="Rows fetched at once.")] = 5_000
    connect_seconds: Annotated[int, Field(ge=1, le=600, description="Seconds to wait for a connection.")] = 15
    statement_seconds: Annotated[
        int, Field(ge=1, le=86_400, description="Seconds that a query may take to give its next page.")
    ] = 600
    lock_seconds: Annotated[int, Field(ge=1, le=3_600, description="Seconds to wait for a lock.")] = 30

    @field_validator("tables")
    @classmethod
    def _known_tables(cls, tables: list[str] | None) -> list[str] | None:
        for table in tables or ():
            known_table(table)
        return tables

    @field_validator("queries", "counts")
    @classmethod
    def _keyed_by_table(cls, queries: dict[str, str]) -> dict[str, str]:
        for table, query in queries.items():
            known_table(table)
            if not query.strip().rstrip(";").strip():
                message = f"{table}: the query is empty"
                raise ValueError(message)
        return queries

    @field_validator("url")
    @classmethod
    def _without_password(cls, url: str) -> str:
        if _REFERENCE.match(url):
            return SecretRef(url)
        scheme, separator, _ = url.partition("://")
        if not separator or not re.fullmatch(r"[a-z][a-z0-9_]*(\+[a-z0-9_]+)?", scheme):
            message = "is no SQLAlchemy URL, such as postgresql+psycopg://reader@host/database or sqlite:///file.db"
            raise ValueError(message)
        try:
            parts = urlsplit(url)
            holds_secret = parts.password is not None or "password=" in parts.query.lower()
        except ValueError:
            message = "is no SQLAlchemy URL"
            raise ValueError(message) from None
        if holds_secret:
            message = "must not hold the password; set `password` to env:NAME or file:/path, or the whole url to one"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _something_to_ask(self) -> Settings:
        if not self.queries and self.queries_folder is None:
            message = "queries: write one query per table, or name a queries_folder"
            raise ValueError(message)
        if self.password is not None and _REFERENCE.match(self.url):
            message = "password: url is a reference already, and holds the password itself"
            raise ValueError(message)
        return self

    def unusable(self, base: Path) -> Iterator[tuple[str, str]]:
        """Say of the URL whether its driver is missing, or its SQLite file; no database is asked."""
        from .dialects import missing  # noqa: PLC0415 - reading a configuration needs no SQLAlchemy

        text = reveal(self.url) if isinstance(self.url, SecretRef) else self.url
        if said := missing(text, base):
            yield "url", said
