"""What every section of the configuration shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the configuration; a key nobody reads is an error, not a comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)
