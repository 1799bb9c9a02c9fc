"""The one model behind every format: what was seen, what was not, and the findings grouped by cause."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from reconciler.errors import ConfigurationError
from reconciler.estate.results import (
    OPEN,
    SEVERITIES,
    ExceptionState,
    Finding,
    Outcome,
    RuleInfo,
    Run,
    Scope,
    Severity,
    State,
)
from reconciler.report.excepted import exceptions
from reconciler.report.seen import CoverageView, view
from reconciler.report.treated import Treated
from reconciler.report.wording import sentences

Standing = Literal["new", "reopened", "persisting", "unverified", "held", "suppressed", "resolved"]
"""What a reader is told of a finding: its state, or that the last run could not verify the state."""

STANDINGS: tuple[Standing, ...] = ("new", "reopened", "persisting", "unverified", "held", "suppressed", "resolved")
"""In the order in which a reader wants them."""

_SEEN: dict[State, Standing] = {
    State.NEW: "new",
    State.REOPENED: "reopened",
    State.PERSISTING: "persisting",
    State.RESOLVED: "resolved",
    State.SUPPRESSED: "suppressed",
    State.HELD: "held",
}


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Violations of one severity by standing; ``resolved`` counts only those that this run resolved.

    Those that are ``held`` for acceptance or ``suppressed`` by an exception stand apart from the open ones.
    """

    severity: Severity
    new: int
    reopened: int
    persisting: int
    unverified: int
    resolved: int
    held: int = 0
    suppressed: int = 0

    @property
    def open(self) -> int:
        """Violations that stand open, verified or not."""
        return self.verified + self.unverified

    @property
    def verified(self) -> int:
        """Violations that this run saw."""
        return self.new + self.reopened + self.persisting


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of one cause: a rule in a source.

    ``rule`` is None where the rule was not part of this run, ``scope`` None where the run has no figures for
    it. ``columns`` are the identity columns to show: without the source, which the group already names, and
    without those in which all its findings agree, which ``shared`` holds.
    """

    rule_id: str
    rule: RuleInfo | None
    source: str | None
    severity: Severity
    scope: Scope | None
    columns: tuple[str, ...]
    shared: tuple[tuple[str, str | None], ...]
    findings: tuple[Finding, ...]

    @property
    def title(self) -> str:
        """The rule's title, or its name where the rule is no longer known."""
        return self.rule.title if self.rule else self.findings[0].rule

    @property
    def standings(self) -> dict[Standing, int]:
        """How many findings there are of each standing that occurs, in reading order."""
        counted = Counter(standing(finding) for finding in self.findings)
        return {each: counted[each] for each in STANDINGS if counted[each]}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in one scope, for the list of what was checked."""

    rule: RuleInfo
    scope: Scope

    @property
    def tells(self) -> bool:
        """Whether there is more to say of it than that nothing was found."""
        scope = self.scope
        return bool(scope.violations or scope.excepted or scope.not_evaluable or scope.blocked or scope.unmatched)


class ReportModel(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a report says; every format writes this and nothing else."""

    run: Run
    time_zone: str
    sentences: tuple[str, ...]
    """The verdict in plain words, the weightiest first; never claims more than was seen."""
    coverage: CoverageView
    tallies: tuple[Tally, ...]
    """One a severity, worst first."""
    violations: tuple[Group, ...]
    held: tuple[Group, ...]
    """Groups of violations that wait for acceptance: more at once than their rule's limit."""
    suppressed: tuple[Group, ...]
    """Groups of violations that an exception covers."""
    exceptions: tuple[ExceptionState, ...]
    """Every exception that the run read or that suppresses a finding, with how many."""
    owners: Mapping[str, str | None]
    """Who answers for each of them."""
    not_evaluable: tuple[Group, ...]
    resolved: tuple[Group, ...]
    """Groups of findings that this or an earlier run resolved."""
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    """All findings: violations, held, suppressed, not evaluable, then resolved ones, each worst first."""
    nonconformities: tuple[Treated, ...] = ()
    """Those that are not closed, or were closed since the run before, as whoever gives them orders them."""

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        return " ".join(self.sentences)

    def local(self, instant: datetime) -> datetime:
        """Return the instant in the estate's time zone."""
        return instant.astimezone(ZoneInfo(self.time_zone))

    def answers(self, finding: Finding) -> str | None:
        """Return who answers for the exception that covers a finding; None where there is none, or nobody is known."""
        return self.owners.get(finding.exception or "")

    def resolved_by_this_run(self, finding: Finding) -> bool:
        """Tell whether it was this run that resolved the finding."""
        return _resolved_by(finding, self.run)


def standing(finding: Finding) -> Standing:
    """Return what a reader is told of the finding."""
    if finding.state in OPEN and not finding.verified:
        return "unverified"
    return _SEEN[finding.state]


def pass_rate(scope: Scope) -> float | None:
    """Return passes as a share of what was evaluated, 0 to 1; None where nothing was.

    A violation that an exception covers is no pass.
    """
    evaluated = scope.passes + scope.violations + scope.excepted
    return scope.passes / evaluated if evaluated else None


def build(
    run: Run, findings: Sequence[Finding], *, time_zone: str, nonconformities: Sequence[Treated] = ()
) -> ReportModel:
    """Arrange a run and its findings, resolved ones included, for reading.

    Args:
        run: The recorded run with its rules, scopes and coverage.
        findings: Findings as they stand after that run, in any order.
        time_zone: IANA name of the zone in which instants are shown.
        nonconformities: Those to list, as they stand after that run.

    Raises:
        ConfigurationError: The time zone is not known.
    """
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise ConfigurationError(
            f"unknown time zone {time_zone!r}", advice="Write an IANA name such as Europe/Amsterdam in [estate]."
        ) from problem
    seen = view(run)
    gone = [finding for finding in findings if finding.state is State.RESOLVED]
    held = [finding for finding in findings if finding.state is State.HELD]
    suppressed = [finding for finding in findings if finding.state is State.SUPPRESSED]
    standing_ones = [finding for finding in findings if finding.state in OPEN]
    violations = [finding for finding in standing_ones if finding.verdict is Outcome.VIOLATION]
    unknown = [finding for finding in standing_ones if finding.verdict is not Outcome.VIOLATION]
    sections = [_groups(part, run) for part in (violations, held, suppressed, unknown, gone)]
    counted = [*violations, *held, *suppressed]
    tallies = _tallies(counted, (f for f in gone if f.verdict is Outcome.VIOLATION and _resolved_by(f, run)))
    excepting = exceptions(run, suppressed)
    return ReportModel(
        run=run,
        time_zone=time_zone,
        sentences=sentences(_counts(tallies, standing_ones), seen),
        coverage=seen,
        tallies=tallies,
        violations=sections[0],
        held=sections[1],
        suppressed=sections[2],
        exceptions=excepting,
        owners={state.exception_id: state.owner for state in excepting},
        not_evaluable=sections[3],
        resolved=sections[4],
        checks=tuple(Check(rule=rule, scope=scope) for rule in _ranked(run.rules) for scope in _scopes(rule, run)),
        findings=tuple(finding for section in sections for group in section for finding in group.findings),
        nonconformities=tuple(nonconformities),
    )


def _resolved_by(finding: Finding, run: Run) -> bool:
    return finding.state is State.RESOLVED and finding.resolved_at in {run.as_of, run.recorded_at}


def _ranked(rules: Iterable[RuleInfo]) -> list[RuleInfo]:
    return sorted(rules, key=lambda rule: (SEVERITIES.index(rule.severity), rule.rule_id))


def _scopes(rule: RuleInfo, run: Run) -> list[Scope]:
    return sorted(run.scopes.get(rule.rule_id, ()), key=lambda scope: scope.source or "")


def _tallies(violations: Iterable[Finding], gone: Iterable[Finding]) -> tuple[Tally, ...]:
    counted = Counter((finding.severity, standing(finding)) for part in (violations, gone) for finding in part)
    return tuple(
        Tally(severity=severity, **{each: counted[severity, each] for each in STANDINGS}) for severity in _worst_first()
    )


def _worst_first() -> tuple[Severity, ...]:
    return ("critical", "high", "medium", "low")


def _counts(tallies: Sequence[Tally], standing_ones: Sequence[Finding]) -> Mapping[str, int]:
    unknown = [finding for finding in standing_ones if finding.verdict is not Outcome.VIOLATION]
    return {
        **{each: sum(getattr(tally, each) for tally in tallies) for each in (*STANDINGS, "verified")},
        **{tally.severity: tally.verified for tally in tallies},
        "not_evaluable": sum(finding.verified for finding in unknown),
        "not_evaluable_unverified": sum(not finding.verified for finding in unknown),
    }


def _groups(findings: Iterable[Finding], run: Run) -> tuple[Group, ...]:
    rules = {rule.rule_id: rule for rule in run.rules}
    causes: dict[tuple[str, str | None], list[Finding]] = defaultdict(list)
    for finding in findings:
        causes[finding.rule_id, finding.source].append(finding)
    groups = [
        Group(
            rule_id=rule_id,
            rule=rules.get(rule_id),
            source=source,
            severity=min((finding.severity for finding in members), key=SEVERITIES.index),
            scope=_scope_of(run.scopes.get(rule_id, ()), source),
            columns=_columns(members, source),
            shared=_shared(members),
            findings=tuple(sorted(members, key=_reading_order)),
        )
        for (rule_id, source), members in causes.items()
    ]
    return tuple(
        sorted(
            groups,
            key=lambda group: (
                SEVERITIES.index(group.severity),
                -len(group.findings),
                group.rule_id,
                group.source or "",
            ),
        )
    )


def _columns(findings: Sequence[Finding], source: str | None) -> tuple[str, ...]:
    names = {name: None for finding in findings for name in finding.subject}
    apart = {name for name, _ in _shared(findings)} | ({"source"} if source is not None else set())
    return tuple(name for name in names if name not in apart)


def _shared(findings: Sequence[Finding]) -> tuple[tuple[str, str | None], ...]:
    """Return what all subjects have in common; an id stays with its subject even so."""
    first, *rest = (finding.subject for finding in findings)
    return tuple(
        (name, value)
        for name, value in first.items()
        if rest
        and name != "source"
        and not name.endswith("_id")
        and all(name in other and other[name] == value for other in rest)
    )


def _scope_of(scopes: Iterable[Scope], source: str | None) -> Scope | None:
    by_source = {scope.source: scope for scope in scopes}
    return by_source.get(source, by_source.get(None))


def _reading_order(finding: Finding) -> tuple[int, int, list[str], str]:
    return (
        STANDINGS.index(standing(finding)),
        SEVERITIES.index(finding.severity),
        [value or "" for value in finding.subject.values()],
        finding.finding_id,
    )
