"""``[filing]``: where nonconformities are filed, and with which words."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.sections.section import Section

TITLE = "{{ number }}: {{ title }}"
BODY = """\
{{ statement }}

Rule: {{ rule_id }}{% if source %}, in {{ source }}{% endif %}
Requirement: {{ controls | join(", ") or "none named" }}
Severity: {{ severity }}, {{ grade }}
Answers for it: {{ owner_role }}
Due: {{ due_on }}

{{ findings_count }} finding{{ " stands" if findings_count == 1 else "s stand" }}:
{% for finding in findings %}- {{ finding.finding_id }}{% if finding.account %}: {{ finding.account }}{% endif %}
{% endfor %}{% if more_findings %}- and {{ more_findings }} more
{% endif %}
"""


class Filing(Section):
    """``[filing]``: nothing is sent until ``enabled`` is true; ``reconciler filing preview`` shows what would be."""

    enabled: Annotated[bool, Field(description="Whether anything is sent.")] = False
    systems: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], dict[str, Any]],
        Field(description="Name -> system that each nonconformity is filed in."),
    ] = {}
    title: Annotated[str, Field(min_length=1, description="Template of a ticket's title (Jinja).")] = TITLE
    body: Annotated[str, Field(min_length=1, description="Template of a ticket's text (Jinja).")] = BODY
    personal_data: Annotated[
        bool, Field(description="Whether names, mail addresses and reasons may go into tickets, not account ids alone.")
    ] = False
    listed_findings: Annotated[int, Field(ge=0, le=1000, description="Findings that a ticket names.")] = 50
    on_changed: Annotated[
        Literal["comment", "nothing"],
        Field(
            description="What to do to an open ticket when findings of it came or went, or its severity or due date "
            "changed; once a run."
        ),
    ] = "comment"
    on_closed_but_found: Annotated[
        Literal["reopen", "comment"], Field(description="What to do to a closed ticket whose findings are there still.")
    ] = "reopen"
    on_verified: Annotated[
        Literal["close", "comment", "nothing"], Field(description="What to do to a ticket once its effect is verified.")
    ] = "comment"
    workers: Annotated[int, Field(ge=1, le=16, description="Tickets sent at once to each system.")] = 3
