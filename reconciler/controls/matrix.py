"""The traceability matrix: control -> rules -> evidence per layer -> what a recorded run showed, and who answers.

A control is never better than what was seen of it: see ``Standing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from reconciler.controls.control import Catalogue, Control
from reconciler.engine.assurance import Figure
from reconciler.errors import ConfigurationError
from reconciler.estate.results import RuleInfo, Run, Scope
from reconciler.snapshot.people import Holders

Standing = Literal["violated", "proven", "in part", "no subject", "not evaluable", "never run"]
"""How a control or a rule stands, by the first of these that is true:

- never run: none of its rules was part of the run;
- not evaluable: none of its rules could judge anything anywhere;
- violated: at least one violation stands that no exception covers;
- in part: a rule was not run, a scope was blocked, or a subject could not be judged;
- proven: all was judged, and at least one subject is in order or under an exception;
- no subject: all was judged, and there is nothing that the rules apply to.
"""

STANDINGS: tuple[Standing, ...] = ("violated", "not evaluable", "never run", "in part", "no subject", "proven")
"""From what asks for attention first to what does not."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Subjects by what became of them; ``proven`` are those that passed."""

    population: int = 0
    proven: int = 0
    violated: int = 0
    not_applicable: int = 0
    not_evaluable: int = 0
    excepted: int = 0


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a control; ``blocked`` says where it could not judge and why."""

    rule_id: str
    title: str
    layer: str
    standing: Standing
    counts: Counts
    judged: int
    """Scopes that were judged."""
    blocked: tuple[str, ...] = ()


class ControlRow(msgspec.Struct, frozen=True, kw_only=True):
    """A control as the run shows it; ``counts`` add up its rules, so that one account may count once for each."""

    control: Control
    standing: Standing
    because: str
    """Why it stands so where it is not proven; empty where it is."""
    owner: str
    """Who holds the role, in words."""
    counts: Counts
    rules: tuple[RuleRow, ...]
    clauses: tuple[str, ...]
    """Clauses of the framework that is asked for; of all, each with its framework, where none is."""
    assurance: tuple[Figure, ...] = ()
    """Figures of the three layers that bear on it, per source."""


class FrameworkTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the clauses that controls name is shown by something.

    ``with_evidence`` are clauses of which a control had a rule that judged something; ``whole`` those of which
    every control was judged whole.
    """

    framework: str
    title: str
    clauses: int
    with_evidence: int
    whole: int
    without: tuple[str, ...]
    """The clauses that nothing showed."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """All that ``reconciler matrix`` prints."""

    estate: str
    run_id: str
    snapshot: str
    as_of: datetime
    framework: str | None
    frameworks: tuple[FrameworkTotal, ...]
    controls: tuple[ControlRow, ...]
    without_control: tuple[str, ...]
    """Rules of the run that no control names."""
    assurance_unknown: str = ""
    """Why there are no figures of the three layers; empty where there are."""
    holders_unknown: str = ""
    """Why it is not known who holds the owners' roles; empty where it is."""
    held: int = 0
    """Violations of the whole run that wait for acceptance; ``violated`` counts them, too."""
    exceptions_unread: tuple[str, ...] = ()
    """Why exceptions could not be read; what stood suppressed counts as excepted still."""


def build(
    catalogue: Catalogue,
    run: Run,
    *,
    holders: Holders,
    assurance: Sequence[Figure] = (),
    assurance_unknown: str = "",
    framework: str | None = None,
    control: str | None = None,
) -> Matrix:
    """Lay the controls over a recorded run; ``framework`` and ``control`` choose some of them.

    Raises ``ConfigurationError`` for a framework or control that there is not.
    """
    _known("framework", framework, catalogue.frameworks)
    _known("control", control, [each.control_id for each in catalogue.controls])
    infos = {info.rule_id: info for info in run.rules}
    rows = [
        _row(each, run, infos, holders=holders, assurance=assurance, framework=framework) for each in catalogue.controls
    ]
    shown = [
        row
        for row in rows
        if (framework is None or framework in row.control.clauses)
        and (control is None or row.control.control_id == control)
    ]
    named = {rule for each in catalogue.controls for rule in each.rules}
    return Matrix(
        estate=run.estate,
        run_id=run.run_id,
        snapshot=run.snapshot,
        as_of=run.as_of,
        framework=framework,
        frameworks=tuple(
            _total(name, title, shown)
            for name, title in catalogue.frameworks.items()
            if framework in (None, name) and any(name in row.control.clauses for row in shown)
        ),
        controls=tuple(shown),
        without_control=tuple(sorted(set(infos) - named)) if framework is control is None else (),
        assurance_unknown=assurance_unknown,
        holders_unknown=holders.unknown,
        held=run.held,
        exceptions_unread=run.exceptions_unread,
    )


def _known(kind: str, given: str | None, known: Iterable[str]) -> None:
    names = list(known)
    if given is not None and given not in names:
        raise ConfigurationError(f"there is no {kind} {given}", advice=f"Use one of: {', '.join(names)}.")


def _row(
    control: Control,
    run: Run,
    infos: Mapping[str, RuleInfo],
    *,
    holders: Holders,
    assurance: Sequence[Figure],
    framework: str | None,
) -> ControlRow:
    rules = tuple(_rule(rule, infos.get(rule), run.scopes.get(rule, ())) for rule in control.rules)
    counts = _sum(rule.counts for rule in rules)
    standing = _standing(rules, counts)
    return ControlRow(
        control=control,
        standing=standing,
        because=_because(standing, rules, counts),
        owner=holders.of(control.owner_role),
        counts=counts,
        rules=rules,
        clauses=control.clauses.get(framework, ())
        if framework
        else tuple(f"{name} {clause}" for name, clauses in control.clauses.items() for clause in clauses),
        assurance=tuple(figure for figure in assurance if figure.kind == control.assurance),
    )


def _rule(rule_id: str, info: RuleInfo | None, scopes: Sequence[Scope]) -> RuleRow:
    judged = [scope for scope in scopes if not scope.blocked]
    counts = Counts(
        population=sum(scope.population for scope in judged),
        proven=sum(scope.passes for scope in judged),
        violated=sum(scope.violations for scope in judged),
        not_applicable=sum(scope.not_applicable for scope in judged),
        not_evaluable=sum(scope.not_evaluable for scope in judged),
        excepted=sum(scope.excepted for scope in judged),
    )
    blocked = tuple(
        f"{scope.source or 'whole estate'}: {'; '.join(scope.blocked)}" for scope in scopes if scope.blocked
    )
    if info is None:
        standing: Standing = "never run"
    elif not judged:
        standing = "not evaluable"
    else:
        standing = _judged(counts, whole=not blocked)
    return RuleRow(
        rule_id=rule_id,
        title=info.title if info else "",
        layer=info.layer if info else "",
        standing=standing,
        counts=counts,
        judged=len(judged),
        blocked=blocked,
    )


def _standing(rules: Sequence[RuleRow], counts: Counts) -> Standing:
    """Return how a control stands by its rules; the order is that of ``Standing``."""
    if all(rule.standing == "never run" for rule in rules):
        return "never run"
    if not any(rule.judged for rule in rules):
        return "not evaluable"
    return _judged(counts, whole=all(rule.judged and not rule.blocked for rule in rules))


def _judged(counts: Counts, *, whole: bool) -> Standing:
    if counts.violated:
        return "violated"
    if not whole or counts.not_evaluable:
        return "in part"
    return "proven" if counts.proven or counts.excepted else "no subject"


def _because(standing: Standing, rules: Sequence[RuleRow], counts: Counts) -> str:
    if standing == "never run":
        return "no rule of it was part of the run"
    said = [f"{counts.violated:,} violated"] if counts.violated else []
    never = [rule.rule_id for rule in rules if rule.standing == "never run"]
    said += [f"{', '.join(never)} never run"] if never else []
    for rule in rules:
        if rule.blocked:
            where = "nowhere judged" if not rule.judged else "not judged everywhere"
            said.append(f"{rule.rule_id} {where}: {_first(rule.blocked)}")
        elif not rule.judged and rule.standing != "never run":
            said.append(f"{rule.rule_id} has no place to judge")
    unjudged = "1 subject" if counts.not_evaluable == 1 else f"{counts.not_evaluable:,} subjects"
    said += [f"{unjudged} could not be judged"] if counts.not_evaluable else []
    return "; ".join(said) or ("nothing that its rules apply to" if standing == "no subject" else "")


def _first(reasons: Sequence[str]) -> str:
    return reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")


def _sum(parts: Iterable[Counts]) -> Counts:
    found = list(parts)
    return Counts(**{name: sum(getattr(part, name) for part in found) for name in Counts.__struct_fields__})


def _total(framework: str, title: str, rows: Sequence[ControlRow]) -> FrameworkTotal:
    serving: dict[str, list[ControlRow]] = {}
    for row in rows:
        for clause in row.control.clauses.get(framework, ()):
            serving.setdefault(clause, []).append(row)
    shown = {clause for clause, found in serving.items() if any(_evidenced(row) for row in found)}
    whole = [clause for clause, found in serving.items() if all(_whole(row) for row in found)]
    return FrameworkTotal(
        framework=framework,
        title=title,
        clauses=len(serving),
        with_evidence=len(shown),
        whole=len(whole),
        without=tuple(clause for clause in serving if clause not in shown),
    )


def _evidenced(row: ControlRow) -> bool:
    """Tell whether anything of a control was judged: proven, violated or under an exception."""
    return bool(row.counts.proven or row.counts.violated or row.counts.excepted)


def _whole(row: ControlRow) -> bool:
    return (
        _evidenced(row) and not row.counts.not_evaluable and all(rule.judged and not rule.blocked for rule in row.rules)
    )
