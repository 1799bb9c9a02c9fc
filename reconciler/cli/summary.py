"""What a run, a pull or a replay says at its end: a page for people, an object for machines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from reconciler.cli import output
from reconciler.estate.results import OPEN, SEVERITIES, Evaluation, Finding, Outcome, Run, Scope, State
from reconciler.estate.tables import Coverage
from reconciler.run import After, scopes_of_sources
from reconciler.snapshot import Snapshot

_SHOWN = 12
_GAP = re.compile(r"^(.* is (?:FAILED|PARTIAL)): .*$", re.DOTALL)
"""A reason that repeats a gap: the gap itself stands above it."""
UNVERIFIED = "unverified"
WHOLE = "the whole estate"


def recorded(
    run: Run,
    findings: Sequence[Finding],
    reports: Sequence[Path],
    unsealed: Sequence[Path],
    code: int,
    *,
    after: After,
    idle: Sequence[str] = (),
    machine: bool,
) -> int:
    """Say what a recorded run found, and what came after it; return its exit code."""
    if not machine:
        _show_run(run, findings, reports, unsealed, after)
        _show_idle(idle)
        return code
    standing = [f for f in findings if f.state in OPEN]
    output.emit(
        {
            "run_id": run.run_id,
            "estate": run.estate,
            "snapshot": run.snapshot,
            "as_of": run.as_of,
            "digest": run.digest,
            "new": run.new,
            "persisting": run.persisting,
            "resolved": run.resolved,
            "reopened": run.reopened,
            "unverified": run.unverified,
            "suppressed": run.suppressed,
            "held": run.held,
            "waiting_for_acceptance": _held(findings),
            "exceptions_unread": run.exceptions_unread,
            "nonconformities": _nonconformities(after),
            "tickets": after.filed,
            "notices": after.told,
            "open": dict(Counter(f.severity for f in standing if f.verdict == Outcome.VIOLATION)),
            "not_evaluable": sum(f.verdict == Outcome.NOT_EVALUABLE for f in standing),
            "coverage": run.coverage,
            "blocked": _blocked(run.scopes),
            "idle": idle,
            "unsealed": [str(path) for path in unsealed],
            "reports": [str(path) for path in reports],
            "exit_code": code,
        }
    )
    return code


def pulled(snapshot: Snapshot, unsealed: Sequence[Path], code: int, *, machine: bool) -> int:
    """Say what a pull read; return its exit code."""
    if not machine:
        _show_pull(snapshot, unsealed)
        return code
    output.emit(
        {
            "snapshot": snapshot.snapshot_id,
            "folder": str(snapshot.folder),
            "as_of": snapshot.as_of,
            "coverage": snapshot.coverage(),
            "unknown": {source.name: source.unknown for source in snapshot.manifest.sources if source.unknown},
            "unsealed": [str(path) for path in unsealed],
            "exit_code": code,
        }
    )
    return code


def replayed(evaluation: Evaluation, record: Run | None, code: int, *, machine: bool) -> int:
    """Say what a replay found and whether it is what is on record; return its exit code."""
    if not machine:
        _show_replay(evaluation, record)
        return code
    output.emit(
        {
            "snapshot": evaluation.snapshot,
            "as_of": evaluation.as_of,
            "digest": evaluation.digest,
            "recorded_digest": record.digest if record else None,
            "same_as_recorded": record.digest == evaluation.digest if record else None,
            "altered": _altered(evaluation, record) if record and record.digest != evaluation.digest else [],
            "rules": [{"rule_id": r.rule.rule_id, "scopes": r.scopes} for r in evaluation.results],
            "verdicts": [verdict for result in evaluation.results for verdict in result.verdicts],
            "exit_code": code,
        }
    )
    return code


def _nonconformities(after: After) -> dict[str, Any]:
    """Return how many nonconformities the run moved which way, how many stand, and which they are."""
    followed = after.followed
    moved = {
        "opened": followed.opened,
        "reopened": followed.reopened,
        "returned": followed.returned,
        "gone": followed.gone,
        "verified": followed.verified,
    }
    standing = sum(one.state != "closed" for one in after.nonconformities)
    return {what: len(those) for what, those in moved.items()} | {"standing": standing, "ids": moved}


def _show_after(after: After) -> None:
    """Print what the run did to nonconformities, and what became of tickets and notices."""
    told = _nonconformities(after)
    click.echo(
        f"Nonconformities: {told['opened']} opened, {told['reopened']} reopened, {told['gone']} seen gone, "
        f"{told['returned']} returned, {told['verified']} verified; {told['standing']} stand. "
        "`reconciler nonconformities list` lists them."
    )
    filed = after.filed
    if filed.filed or filed.found or filed.changed:
        click.echo(f"Tickets: {filed.filed} filed, {filed.changed} changed, {filed.found} found done already.")
    if after.told.sent:
        click.echo(f"Notices: {after.told.sent} sent.")
    _show_troubles("NOTICES", [*after.told.errors, *after.told.unaddressed], "notices preview")
    _show_troubles("FILING", filed.troubles, "filing status")


def _show_troubles(what: str, troubles: Sequence[str], command: str) -> None:
    for trouble in troubles[:_SHOWN]:
        click.secho(f"{what}: {trouble}", fg="red")
    if len(troubles) > _SHOWN:
        click.secho(f"{what}: {len(troubles) - _SHOWN} more: `reconciler {command}` lists them.", fg="red")


def _show_run(
    run: Run, findings: Sequence[Finding], reports: Sequence[Path], unsealed: Sequence[Path], after: After
) -> None:
    """Print a recorded run: first what could not be seen, then what differs."""
    click.secho(f"{run.estate}, as of {run.as_of:%Y-%m-%d %H:%M} UTC", bold=True)
    click.echo(f"run {run.run_id}, snapshot {run.snapshot}")
    click.echo()
    _show_unsealed(unsealed)
    _show_coverage(run.coverage)
    _show_blocked(run.scopes)
    if all(scope.blocked for scope in scopes_of_sources(run)):
        click.secho("NOTHING COULD BE JUDGED: no rule could be evaluated in any source.", fg="red", bold=True)
    _show_held(findings)
    click.echo()
    columns = ("new", "persisting", "reopened", UNVERIFIED, "resolved", State.SUPPRESSED.value, State.HELD.value)
    rows = []
    for severity in SEVERITIES:
        found = Counter(_standing(f) for f in findings if f.severity == severity and f.verdict == Outcome.VIOLATION)
        rows.append((severity, *(str(found[column]) for column in columns)))
    output.table(("violations", *columns), rows, right=columns)
    unknown = sum(f.verdict == Outcome.NOT_EVALUABLE and f.verified and f.state in OPEN for f in findings)
    if unknown:
        click.echo(f"\n{unknown} subjects could not be judged: `reconciler findings list --verdict not_evaluable`.")
    click.echo(
        f"\nThis run: {run.new} new, {run.persisting} persisting, {run.reopened} reopened, "
        f"{run.unverified} unverified, {run.resolved} resolved."
    )
    if run.unverified:
        click.echo("Unverified findings stand as they were last seen: what they are about was not read whole tonight.")
    _show_exceptions(run)
    _show_after(after)
    for path in reports:
        click.echo(f"Report: {path}")


def _show_idle(idle: Sequence[str]) -> None:
    """Print the entries of the configuration that fit nothing."""
    for entry in idle:
        click.secho(
            f"NO EFFECT: {entry}: fits nothing, or only what an entry before it decides, though all that it could fit "
            "was read. Correct it or take it out.",
            fg="red",
        )


def _held(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return how many findings of which rule wait for acceptance in which source."""
    waiting = Counter((f.rule_id, f.source) for f in findings if f.state == State.HELD)
    return [{"rule_id": rule, "source": source, "findings": count} for (rule, source), count in waiting.items()]


def _show_held(findings: Sequence[Finding]) -> None:
    """Print what waits for acceptance, and the command that accepts it."""
    for entry in _held(findings):
        rule, source = entry["rule_id"], entry["source"]
        where = f" --source {source}" if source else ""
        click.secho(
            f"HELD: {entry['findings']:,} new findings of {rule} in {source or WHOLE} wait for acceptance: "
            "more at once than its limit. They do not count before "
            f"`reconciler findings accept {rule}{where} --by NAME --reason TEXT`; "
            f"`reconciler findings list --state held --rule {rule}` lists them.",
            fg="red",
            bold=True,
        )


def _show_exceptions(run: Run) -> None:
    """Print what exceptions suppress, and how many have no effect."""
    if run.suppressed:
        click.echo(
            f"Suppressed by exceptions, not counted as open: {run.suppressed}. "
            "`reconciler exceptions list` says by which."
        )
    if run.suppressed and run.exceptions_unread:
        click.secho(
            f"Exceptions were not read whole ({'; '.join(run.exceptions_unread)}): "
            "what stood suppressed stays so, unverified.",
            fg="yellow",
        )
    idle = sum(bool(state.no_effect) for state in run.exceptions)
    if idle:
        click.echo(f"Exceptions without effect: {idle}. `reconciler exceptions list` says why.")


def _show_pull(snapshot: Snapshot, unsealed: Sequence[Path]) -> None:
    """Print a sealed pull, table by table."""
    _show_unsealed(unsealed)
    output.table(("source", "table", "part", "status", "rows"), _tables(snapshot.coverage()), right=("rows",))
    click.echo()
    _show_coverage(snapshot.coverage())
    for source in snapshot.manifest.sources:
        for column, why in source.unknown.items():
            click.echo(f"Unknown in {source.name}: {column}: {why}")
    click.echo(f"Snapshot {snapshot.snapshot_id} sealed in {snapshot.folder}")


def _tables(coverage: Sequence[Coverage]) -> list[tuple[str, ...]]:
    """Return a line a table, or a line a part where not all parts of the table came the same way."""
    parts: dict[tuple[str, str], list[Coverage]] = {}
    for part in coverage:
        parts.setdefault((part.source, part.table_name), []).append(part)
    rows: list[tuple[str, ...]] = []
    for (source, table), of in parts.items():
        if len({part.status for part in of}) > 1:
            rows += [(source, table, p.partition, p.status or "", f"{p.rows or 0:,}") for p in of]
        else:
            said = of[0].partition if len(of) == 1 else f"all {len(of)}"
            rows.append((source, table, said, of[0].status or "", f"{sum(p.rows or 0 for p in of):,}"))
    return rows


def _show_replay(evaluation: Evaluation, recorded: Run | None) -> None:
    """Print a replay: figures per rule, and whether the verdicts are those on record."""
    rows = []
    for result in evaluation.results:
        found = Counter(verdict.verdict for verdict in result.verdicts)
        blocked = ", ".join(scope.source or "whole estate" for scope in result.scopes if scope.blocked)
        rule = result.rule
        rows.append(
            (
                rule.rule_id,
                rule.severity,
                rule.title,
                str(sum(scope.population for scope in result.scopes)),
                str(sum(scope.violations for scope in result.scopes)),
                str(sum(scope.excepted for scope in result.scopes)),
                str(found[Outcome.NOT_EVALUABLE]),
                blocked,
            )
        )
    output.table(
        ("rule", "severity", "title", "population", "violations", "excepted", "not evaluable", "not evaluated in"), rows
    )
    click.echo(
        f"\nSnapshot {evaluation.snapshot}, as of {evaluation.as_of:%Y-%m-%d %H:%M} UTC, digest {evaluation.digest}"
    )
    if recorded is None:
        click.echo("No run of this snapshot is on record.")
    elif recorded.digest == evaluation.digest:
        click.echo(f"The same verdicts as recorded by run {recorded.run_id}.")
    else:
        click.echo(f"NOT the verdicts recorded by run {recorded.run_id} (digest {recorded.digest}).")
        click.echo(f"What differs: {'; '.join(_altered(evaluation, recorded))}.")


def _altered(evaluation: Evaluation, recorded: Run) -> list[str]:
    """Say what of the question is not what it was when the run was recorded."""
    said = []
    if evaluation.as_of != recorded.as_of:
        said.append(f"the instant, which was {recorded.as_of.isoformat()} (--as-of)")
    before = {rule.rule_id: rule for rule in recorded.rules}
    now = {result.rule.rule_id: result.rule for result in evaluation.results}
    versions = [
        f"{rule_id} was {f'version {before[rule_id].version}' if rule_id in before else 'not judged'}, "
        f"is {f'version {now[rule_id].version}' if rule_id in now else 'not judged'}"
        for rule_id in sorted({*before, *now})
        if (rule_id in before, rule_id in now) != (True, True) or before[rule_id].version != now[rule_id].version
    ]
    parameters = [
        f"{rule_id}.{name} was {value}, is {now[rule_id].parameters.get(name, 'gone')}"
        for rule_id in sorted({*before} & {*now})
        for name, value in before[rule_id].parameters.items()
        if now[rule_id].parameters.get(name) != value
    ]
    told = [*said, *versions[:_SHOWN], *parameters[:_SHOWN]]
    return told or ["what the configuration declares, how it links accounts, or the product itself"]


def _show_coverage(coverage: Sequence[Coverage]) -> None:
    """Print one calm line where all was read whole, else every gap."""
    missing = [part for part in coverage if part.status != "COMPLETE"]
    sources = {part.source for part in coverage}
    tables = {(part.source, part.table_name) for part in coverage}
    if not missing:
        click.secho(f"Read whole: {len(tables)} tables of {len(sources)} sources.", fg="green")
        return
    click.secho(
        f"NOT READ WHOLE: {len({(p.source, p.table_name) for p in missing})} of {len(tables)} tables.",
        fg="red",
        bold=True,
    )
    for (source, status, gaps), parts in _alike(missing, coverage).items():
        click.echo(f"  {status} {source} ({', '.join(parts)}): {gaps[0]}")
        for gap in gaps[1:_SHOWN]:
            click.echo(f"    also: {gap}")
        if len(gaps) > _SHOWN:
            click.echo(f"    and {len(gaps) - _SHOWN} more")
    click.echo("  Nothing was opened or resolved by what is missing.")


def _alike(
    missing: Sequence[Coverage], coverage: Sequence[Coverage]
) -> dict[tuple[str, str, tuple[str, ...]], list[str]]:
    """Group parts that were not read by source, status and reason: one broken connection fails many tables.

    Where all parts of a table or all tables of a source share a reason, the table or "all tables" stands for them.
    """
    found: dict[tuple[str, str, tuple[str, ...]], list[Coverage]] = {}
    for part in missing:
        found.setdefault((part.source, part.status or "", tuple(part.gaps or ["no reason given"])), []).append(part)
    size = Counter((part.source, part.table_name) for part in coverage)
    whole = Counter(part.source for part in coverage)
    said: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for key, parts in found.items():
        here = Counter(part.table_name for part in parts)
        names = [
            part.table_name
            if here[part.table_name] == size[part.source, part.table_name]
            else f"{part.table_name}/{part.partition}"
            for part in parts
        ]
        every = len(here) > 1 and len(parts) == whole[key[0]]
        said[key] = ["all tables"] if every else [name or "all tables" for name in dict.fromkeys(names)]
    return said


def _blocked(scopes: Mapping[str, Sequence[Scope]]) -> list[dict[str, Any]]:
    return [
        {"rule_id": rule_id, "source": scope.source, "because": scope.blocked}
        for rule_id, parts in scopes.items()
        for scope in parts
        if scope.blocked
    ]


def _show_blocked(scopes: Mapping[str, Sequence[Scope]]) -> None:
    """Print what kept which rules from judging where: each reason once, for one gap blocks many rules."""
    blocks: dict[str, dict[str, list[str]]] = {}
    for entry in _blocked(scopes):
        for reason in entry["because"]:
            rules = blocks.setdefault(_GAP.sub(r"\1", reason), {})
            rules.setdefault(entry["rule_id"], []).append(entry["source"] or WHOLE)
    alike: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    for reason, rules in blocks.items():
        alike.setdefault(tuple((rule, tuple(dict.fromkeys(where))) for rule, where in rules.items()), []).append(reason)
    if alike:
        click.secho("NOT EVALUABLE:", fg="yellow", bold=True)
    for pairs, reasons in alike.items():
        click.echo(f"  {'; '.join(reasons)}")
        places: dict[tuple[str, ...], list[str]] = {}
        for rule, where in pairs:
            places.setdefault(where, []).append(rule)
        for where, rules_there in places.items():
            click.echo(f"    keeps {', '.join(rules_there)} from judging {', '.join(where)}")


def _standing(finding: Finding) -> str:
    """Say how a finding stands after this run: an open one that the run could not see is unverified."""
    return UNVERIFIED if finding.state in OPEN and not finding.verified else finding.state.value


def _show_unsealed(unsealed: Sequence[Path]) -> None:
    for path in unsealed:
        click.secho(
            f"Ignored {path}: a pull that never ended; remove the folder when you have looked at it.", fg="yellow"
        )
