"""What every source may set; a connector's own settings extend it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reconciler import clock
from reconciler.sdk.columns import nearest
from reconciler.sdk.records import RECORDS
from reconciler.sdk.values import Reading


class SourceSettings(BaseModel):
    """Keys common to every ``[sources.NAME]`` section; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connector: Annotated[str, Field(description="Connector folder or entry point that reads this source.")]
    tables: Annotated[
        list[str] | None,
        Field(description="Estate tables to read; left out: all that the connector reports."),
    ] = None
    canaries: Annotated[
        list[str],
        Field(description="Known objects that must come back in every pull, in the source's own naming."),
    ] = []
    may_be_empty: Annotated[
        list[str],
        Field(
            description="Tables, or parts of one as TABLE/PARTITION, that may rightly have no rows; for all others "
            "zero rows count as unread unless a canary or the provider's own count vouches for them."
        ),
    ] = []
    concurrency: Annotated[int, Field(ge=1, le=64, description="Partitions read at once.")] = 4
    retry_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="Seconds that one pull of this source may spend waiting to retry.")
    ] = 120.0

    @field_validator("tables")
    @classmethod
    def _any_table(cls, tables: list[str] | None) -> list[str] | None:
        if tables is not None and not tables:
            message = "is empty, so that nothing would be read; name a table, leave it out, or remove the source"
            raise ValueError(message)
        return tables

    def unusable(self, base: Path) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - for those that look at files
        """Yield each key whose value cannot work on this machine, and why: what is found out without any network.

        ``base`` is the folder of the configuration. `reconciler config check` asks; a pull says it of its own.
        """
        return iter(())


class ValueSettings(SourceSettings):
    """Keys of a source whose values a person mapped to the estate: how dates, times and lists are written there."""

    list_separator: Annotated[
        str | None,
        Field(min_length=1, description="Text between the items of a list; left out: ; or | (in mail fields also ,)."),
    ] = None
    date_format: Annotated[
        str | None,
        Field(description="How dates are written, such as %d.%m.%Y; left out: 2026-03-31."),
    ] = None
    time_zone: Annotated[
        str | None,
        Field(description="IANA zone of times that name none; left out: a time without a zone is an error."),
    ] = None
    null_values: Annotated[
        list[str], Field(description='Texts that mean "not said", such as NULL or n/a; an empty cell always does.')
    ] = Field(default_factory=list)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in clock.zones():
            message = (
                f"{zone!r} is not an IANA time zone{nearest(zone, clock.zones())}; use for example Europe/Amsterdam"
            )
            raise ValueError(message)
        return zone

    @field_validator("date_format")
    @classmethod
    def _whole_date(cls, written: str | None) -> str | None:
        if written is not None and not (
            "%d" in written and ("%Y" in written or "%y" in written) and any(m in written for m in ("%m", "%b", "%B"))
        ):
            message = f"{written!r} does not name day, month and year, as %d.%m.%Y does"
            raise ValueError(message)
        if written is not None and re.search(r"%-?[HIMSfpzZcX]", written):
            message = f"{written!r} has a time of day, which a date would lose; it is for date columns only"
            raise ValueError(message)
        return written

    def reading(self) -> Reading:
        """Return how cells are to be read."""
        return Reading(
            null_values=frozenset(value.strip() for value in self.null_values),
            list_separator=self.list_separator,
            date_format=self.date_format,
            zone=ZoneInfo(self.time_zone) if self.time_zone else None,
        )


def known_table(table: str) -> None:
    """Raise `ValueError` where there is no such estate table, with the name most like it."""
    if table not in RECORDS:
        message = f"no such table: {table}{nearest(table, RECORDS) or '; tables are ' + ', '.join(RECORDS)}"
        raise ValueError(message)
