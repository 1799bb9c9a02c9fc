"""The whole nightly story: pull, evaluate, record what differs, report.

It runs one way. Rules and database are opened before the pull, so that a typing error is not found after an
hour of reading; nothing is recorded before a snapshot is sealed.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler import clock, collect, connectors, engine, report
from reconciler.bundled import root
from reconciler.errors import ConfigurationError
from reconciler.estate.results import SEVERITIES, Evaluation, Finding, Outcome, Run, State
from reconciler.estate.tables import Coverage
from reconciler.findings import FindingStore
from reconciler.sdk.connector import Gap, Source, Status
from reconciler.sdk.errors import SourceError
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot, SnapshotStore

EXIT_FINDINGS = 1
EXIT_SOURCE = 3


@dataclass(frozen=True, slots=True)
class Night:
    """What one run did: the sealed snapshot, the verdicts, the record of it, and the reports written."""

    snapshot: Snapshot
    evaluation: Evaluation
    run: Run
    findings: Sequence[Finding]
    reports: Sequence[Path]
    unsealed: Sequence[Path]


def load_rules(settings: Settings) -> list[engine.Rule]:
    """Load and lint the bundled rules and the organisation's own, with the configured parameters."""
    return engine.load([root("rules"), *settings.rule_folders], settings.config.rules.params)


def open_sources(settings: Settings, names: Sequence[str] = ()) -> list[collect.Pull]:
    """Make the configured sources (all, or those of ``names``) without connecting yet."""
    unknown = sorted(set(names) - set(settings.sources))
    if unknown:
        known = ", ".join(settings.sources)
        raise ConfigurationError(f"no source {', '.join(unknown)} in {settings.path}", advice=f"Use one of: {known}.")
    return [
        collect.Pull(
            source=connectors.load(section.connector).open_source(name, section, settings.base),
            connector=section.connector,
            settings=section,
        )
        for name, section in settings.sources.items()
        if not names or name in names
    ]


def check_sources(settings: Settings, names: Sequence[str] = ()) -> dict[str, Sequence[Gap] | SourceError]:
    """Ask each source what its credentials cannot see: gaps, or the error where nothing could be seen."""

    async def check(source: Source) -> Sequence[Gap] | SourceError:
        try:
            return await source.check()
        except SourceError as error:
            return error
        finally:
            await source.close()

    async def check_all() -> dict[str, Sequence[Gap] | SourceError]:
        pulls = open_sources(settings, names)
        answers = await asyncio.gather(*(check(pull.source) for pull in pulls))
        return {pull.source.name: answer for pull, answer in zip(pulls, answers, strict=True)}

    return asyncio.run(check_all())


def pull(
    settings: Settings, store: FindingStore, *, as_of: datetime, progress: Callable[[collect.Progress], None]
) -> Snapshot:
    """Read every source into a sealed snapshot; what could not be read stands in its coverage."""
    limits = settings.config.limits
    accepted = [
        collect.Acceptance(d.source, d.table_name, d.rows_accepted, d.at, d.accepted_by, d.reason)
        for d in store.accepted_drops()
    ]
    return asyncio.run(
        collect.pull(
            open_sources(settings),
            SnapshotStore(settings.snapshots),
            estate=settings.config.estate.name,
            as_of=as_of,
            limits=collect.Limits(**limits.model_dump()),
            accepted=accepted,
            report=progress,
        )
    )


def evaluate(settings: Settings, snapshot: Snapshot, rules: Sequence[engine.Rule], *, as_of: datetime) -> Evaluation:
    """Judge a sealed snapshot; the same snapshot, rules and instant give the same verdicts for ever."""
    snapshot.verify()
    options = engine.Options(
        time_zone=settings.config.estate.time_zone,
        matchers=tuple(settings.config.correlation.matchers),
        threads=settings.config.engine.threads,
        memory_limit_mb=settings.config.engine.memory_mb,
    )
    return engine.evaluate(snapshot, rules, as_of=as_of, options=options)


def record(settings: Settings, store: FindingStore, snapshot: Snapshot, evaluation: Evaluation) -> Run:
    """Write what differs from the last run, all of it or none."""
    recorded_at = clock.now()
    return store.record(
        evaluation,
        run_id=f"{recorded_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        estate=settings.config.estate.name,
        coverage=snapshot.coverage(),
        recorded_at=recorded_at,
    )


def write_reports(
    settings: Settings, run: Run, findings: Sequence[Finding], formats: Sequence[report.Format]
) -> list[Path]:
    """Write the run's report in each format into the report folder; return the paths."""
    model = report.build(run, findings, time_zone=settings.config.estate.time_zone)
    paths = [settings.reports / f"{run.run_id}.{fmt}" for fmt in formats]
    for fmt, path in zip(formats, paths, strict=True):
        report.write(model, fmt, path)
    return paths


def night(settings: Settings, *, as_of: datetime | None, progress: Callable[[collect.Progress], None]) -> Night:
    """Do the whole night: rules, database, pull, verdicts, findings, reports."""
    rules = load_rules(settings)
    store = FindingStore.open(settings.database_url)
    unsealed = SnapshotStore(settings.snapshots).unsealed()
    snapshot = pull(settings, store, as_of=as_of or clock.now(), progress=progress)
    evaluation = evaluate(settings, snapshot, rules, as_of=snapshot.as_of)
    run = record(settings, store, snapshot, evaluation)
    findings = store.findings()
    reports = write_reports(settings, run, findings, settings.config.report.formats)
    return Night(snapshot, evaluation, run, findings, reports, unsealed)


def accept_drop(settings: Settings, *, source: str, table: str, snapshot: str, by: str, reason: str) -> tuple[int, int]:
    """Keep a named person's acceptance that a held table shrank; return its rows before and now.

    ``snapshot`` is the sealed pull that was held. Raises ``ConfigurationError`` where nothing is held there.
    """
    snapshots = SnapshotStore(settings.snapshots)
    before, now = collect.held_drop(snapshots, snapshots.open(snapshot), source, table)
    FindingStore.open(settings.database_url).accept_drop(
        source=source,
        table_name=table,
        snapshot=snapshot,
        rows_before=before,
        rows_accepted=now,
        accepted_by=by,
        reason=reason,
        at=clock.now(),
    )
    return before, now


def exit_code(coverage: Sequence[Coverage], violations: Sequence[str], fail_on: str) -> int:
    """Return 3 where a source was not read whole, else 1 where a violation is at or above ``fail_on``, else 0.

    ``violations`` are the severities of the open violations. An incomplete source comes first: what was found
    is then not all there is.
    """
    if any(part.status != Status.COMPLETE for part in coverage):
        return EXIT_SOURCE
    counted = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on in SEVERITIES else ()
    return EXIT_FINDINGS if any(severity in counted for severity in violations) else 0


def open_violations(findings: Sequence[Finding]) -> list[str]:
    """Return the severity of every violation that still stands."""
    return [f.severity for f in findings if f.verdict == Outcome.VIOLATION and f.state != State.RESOLVED]


def violations(evaluation: Evaluation) -> list[str]:
    """Return the severity of every violation of one evaluation."""
    return [
        result.rule.severity
        for result in evaluation.results
        for verdict in result.verdicts
        if verdict.verdict == Outcome.VIOLATION
    ]
