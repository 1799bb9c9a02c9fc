"""Findings of one cause make one nonconformity: what they share, what it is called, and how grave it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from reconciler.estate.results import SEVERITIES, RuleInfo, Severity
from reconciler.nonconformity.record import Cause, Grade
from reconciler.sections.nonconformities import Nonconformities, OfRule
from reconciler.snapshot.people import Affiliation


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule shows of the controls that name it."""

    controls: Mapping[str, str] = {}
    """Control id -> its title."""
    clauses: Mapping[str, tuple[str, ...]] = {}
    """Framework -> clauses."""
    frameworks: Mapping[str, str] = {}
    """Framework -> its title with edition."""
    owner_role: str | None = None
    """Who answers for the first of the controls."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """An open violation, as far as grouping asks."""

    finding_id: str
    rule_id: str
    rule: str
    source: str | None
    severity: Severity
    person_id: str | None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A nonconformity before it has a number."""

    cause: Cause
    rule_id: str
    source: str | None
    supplier_id: str | None
    title: str
    statement: str
    requirement: Requirement
    severity: Severity
    owner_role: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """``[nonconformities]``, and by rule what is required and what the rule says of itself."""

    section: Nonconformities
    requirements: Mapping[str, Requirement] = {}
    rules: Mapping[str, RuleInfo] = {}

    def requirement(self, rule_id: str) -> Requirement:
        """Return what a rule shows of the controls; nothing where none names it."""
        return self.requirements.get(rule_id, Requirement())

    def owner_role(self, rule_id: str) -> str:
        """Return the role that answers: the rule's own, else its control's, else the organisation's."""
        own = self._of(rule_id).owner_role
        return own or self.requirement(rule_id).owner_role or self.section.owner_role

    def takes(self, severity: Severity) -> bool:
        """Tell whether findings of a severity become nonconformities."""
        return SEVERITIES.index(severity) <= SEVERITIES.index(self.section.least_severity)

    def due(self, rule_id: str, severity: Severity, detected_at: datetime) -> datetime:
        """Return when what was detected at an instant is due."""
        days = self._of(rule_id).due_days
        return detected_at + timedelta(days=getattr(self.section.due_days, severity) if days is None else days)

    def watch(self, rule_id: str) -> timedelta:
        """Return for how long the findings of a rule must stay gone."""
        days = self._of(rule_id).watch_days
        return timedelta(days=self.section.watch_days if days is None else days)

    def cause(self, finding: Found, where: Affiliation) -> Cause:
        """Return what a finding shares with others: a supplier takes the place of the role that answers."""
        parts = self.section.group_by
        supplier = where.supplier_id if "supplier" in parts else None
        return Cause(
            rule_id=finding.rule_id if "rule" in parts else None,
            source=finding.source if "source" in parts else None,
            supplier_id=supplier,
            owner_role=self.owner_role(finding.rule_id) if "owner_role" in parts and supplier is None else None,
            department=where.department if "department" in parts else None,
        )

    def grade(
        self, rule_id: str, severity: Severity, findings: int, *, reopened: int = 0, recurrence_of: str | None = None
    ) -> tuple[Grade, str]:
        """Return the grade, with the reason in words; ``findings`` is how many ever belonged to it."""
        many = self._of(rule_id).major_count or self.section.major_count
        least = self.section.major_severity
        reasons = [
            f"it recurs: {recurrence_of} had the same cause" if recurrence_of else "",
            f"it recurs: it was opened again after a close, {_times(reopened)}" if reopened else "",
            f"severity {severity}, major from {least} on" if _as_grave(severity, least) else "",
            f"{findings:,} findings, major from {many:,} on" if findings >= many else "",
        ]
        if any(reasons):
            return "major", "; ".join(reason for reason in reasons if reason)
        count = "1 finding" if findings == 1 else f"{findings:,} findings"
        return "minor", f"severity {severity}, major from {least} on; {count}, major from {many:,} on; no recurrence"

    def _of(self, rule_id: str) -> OfRule:
        return self.section.rules.get(rule_id, OfRule())


def by_cause(findings: Iterable[Found], cause: Callable[[Found], Cause]) -> dict[Cause, list[Found]]:
    """Return the findings by their cause, causes in the order of their keys."""
    groups: defaultdict[Cause, list[Found]] = defaultdict(list)
    for finding in findings:
        groups[cause(finding)].append(finding)
    return dict(sorted(groups.items(), key=lambda group: group[0].key))


def draft(cause: Cause, findings: Sequence[Found], policy: Policy) -> Draft:
    """Return the nonconformity that findings of one cause make; the same findings make the same, in any order."""
    worst = min(findings, key=_gravest)
    sources = sorted({finding.source for finding in findings if finding.source})
    rule_ids = sorted({finding.rule_id for finding in findings})
    required = _together([policy.requirement(rule_id) for rule_id in rule_ids])
    names = [_rule(rule_id, findings, policy) for rule_id in rule_ids]
    title = names[0][1] if len(rule_ids) == 1 else f"Violations of {len(rule_ids)} rules"
    where = _where(cause, sources)
    return Draft(
        cause=cause,
        rule_id=worst.rule_id,
        source=sources[0] if len(sources) == 1 else None,
        supplier_id=cause.supplier_id,
        title=title + where,
        statement=_statement(len(findings), names, where, required, [policy.rules.get(r) for r in rule_ids]),
        requirement=required,
        severity=worst.severity,
        owner_role=cause.owner_role or policy.owner_role(worst.rule_id),
    )


def worse(one: Severity, other: Severity) -> bool:
    """Tell whether a severity is worse than another."""
    return SEVERITIES.index(one) < SEVERITIES.index(other)


def _as_grave(severity: Severity, least: Severity) -> bool:
    return not worse(least, severity)


def _gravest(finding: Found) -> tuple[int, str, str, str]:
    return SEVERITIES.index(finding.severity), finding.rule_id, finding.source or "", finding.finding_id


def _rule(rule_id: str, findings: Sequence[Found], policy: Policy) -> tuple[str, str]:
    """Return a rule's id and its title, or its name where this run did not know it."""
    known = policy.rules.get(rule_id)
    return rule_id, known.title if known else next(each.rule for each in findings if each.rule_id == rule_id)


def _where(cause: Cause, sources: Sequence[str]) -> str:
    parts = [
        f" in {', '.join(sources)}" if sources else "",
        f", supplier {cause.supplier_id}" if cause.supplier_id else "",
        f", department {cause.department}" if cause.department else "",
    ]
    return "".join(parts)


def _statement(
    count: int,
    names: Sequence[tuple[str, str]],
    where: str,
    required: Requirement,
    infos: Sequence[RuleInfo | None],
) -> str:
    """Say what was found against which requirement; nobody is named."""
    what = "; ".join(f"{title} ({rule_id})" for rule_id, title in names)
    lines = [f"Found{where}: {what}. {count:,} {'subject' if count == 1 else 'subjects'} when it was detected."]
    if required.controls:
        held = "; ".join(f"{control} {title}" for control, title in required.controls.items())
        lines.append(f"Required: {held}.")
    else:
        lines.append("Required: what the rule says; no control names it.")
    if required.clauses:
        clauses = "; ".join(
            f"{required.frameworks.get(framework, framework)}: {', '.join(those)}"
            for framework, those in required.clauses.items()
        )
        lines.append(f"Clauses: {clauses}.")
    lines += [f"Why it matters: {info.why}" for info in infos[:1] if info and len(names) == 1]
    return "\n".join(lines)


def _together(requirements: Sequence[Requirement]) -> Requirement:
    """Return what several rules show, each control and clause once."""
    clauses: dict[str, dict[str, None]] = {}
    for each in requirements:
        for framework, those in each.clauses.items():
            clauses.setdefault(framework, {}).update(dict.fromkeys(those))
    return Requirement(
        controls={control: title for each in requirements for control, title in each.controls.items()},
        clauses={framework: tuple(those) for framework, those in clauses.items()},
        frameworks={name: title for each in requirements for name, title in each.frameworks.items()},
        owner_role=next((each.owner_role for each in requirements if each.owner_role), None),
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
