"""A control, and the catalogue of all of them, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

STAGES = (
    "access_request",
    "provisioning",
    "role_change",
    "recertification",
    "deprovisioning",
    "supplier_onboarding",
    "governance",
)
"""The stages of the lifecycle, in its order."""

LAYERS = ("policy", "workflow", "enforcement")
"""What must be so, who approved it, what the system did and holds."""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """A promise in the organisation's own words."""

    control_id: str
    title: str
    stage: str
    owner_role: str
    rules: tuple[str, ...]
    evidence: Mapping[str, str]
    """Layer -> what is expected to show it."""
    retention_days: int
    """How long its evidence is kept."""
    evidence_days: int
    """For how long evidence counts as fresh."""
    test_days: int | None = None
    """Between two tests of it; None: no test is asked."""
    assurance: Literal["grants", "revocations"] | None = None
    """Which figures of the three layers bear on it; None: neither."""
    clauses: Mapping[str, tuple[str, ...]] = {}
    """Framework -> clauses that it serves."""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All controls in their order, and the frameworks that they name."""

    frameworks: Mapping[str, str]
    """Framework -> its title with edition."""
    controls: tuple[Control, ...]
