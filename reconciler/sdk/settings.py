"""What every source may set; a connector's own settings extend it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


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
