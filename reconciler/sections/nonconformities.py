"""``[nonconformities]``: what becomes one, who answers for it, and by when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.sections.section import Section

Severity = Literal["critical", "high", "medium", "low"]


class Days(Section):
    """Days from detection until a nonconformity is due, by severity."""

    critical: Annotated[int, Field(ge=0, le=3650, description="Days for findings that are critical.")] = 1
    high: Annotated[int, Field(ge=0, le=3650, description="Days for findings that are high.")] = 7
    medium: Annotated[int, Field(ge=0, le=3650, description="Days for findings that are medium.")] = 30
    low: Annotated[int, Field(ge=0, le=3650, description="Days for findings that are low.")] = 90


class OfRule(Section):
    """``[nonconformities.rules.ID]``: what is otherwise for one rule."""

    owner_role: Annotated[
        str | None, Field(min_length=1, description="Who answers, instead of the control's owner.")
    ] = None
    watch_days: Annotated[int | None, Field(ge=0, le=3650, description="Watch period of this rule.")] = None
    due_days: Annotated[int | None, Field(ge=0, le=3650, description="Days until due, whatever the severity.")] = None
    major_count: Annotated[int | None, Field(ge=1, description="Findings from which on it is major.")] = None


class Nonconformities(Section):
    """``[nonconformities]``: findings of one cause become one nonconformity."""

    group_by: Annotated[
        list[Literal["rule", "source", "supplier", "owner_role", "department"]],
        Field(min_length=1, description="What findings of one cause have in common."),
    ] = ["rule", "source", "supplier", "owner_role"]
    least_severity: Annotated[Severity, Field(description="Findings below it become none.")] = "low"
    due_days: Annotated[Days, Field(description="Days until due, by severity.")] = Days()
    watch_days: Annotated[
        int, Field(ge=0, le=3650, description="Days that findings must stay gone before the effect counts as verified.")
    ] = 14
    major_severity: Annotated[Severity, Field(description="Severity from which on it is major.")] = "critical"
    major_count: Annotated[int, Field(ge=1, description="Findings from which on it is major.")] = 50
    reopen_days: Annotated[
        int, Field(ge=0, le=3650, description="Days after closing within which a cause that returns reopens it.")
    ] = 30
    owner_role: Annotated[
        str, Field(min_length=1, description="Who answers where no control of the rule names an owner.")
    ] = "identity-governance-lead"
    escalate_to: Annotated[
        list[str], Field(description="Roles that it goes up to, in order, when it is late or its role is vacant.")
    ] = ["identity-governance-lead", "ciso"]
    rules: Annotated[dict[str, OfRule], Field(description="Rule id -> what is otherwise for it.")] = {}
