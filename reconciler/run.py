"""The whole nightly story: pull, evaluate, record what differs, report.

It runs one way. Rules and database are opened before the pull, so that a typing error is not found after an
hour of reading; nothing is recorded before a snapshot is sealed.
"""

from __future__ import annotations

import asyncio
import difflib
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler import afterwards, clock, collect, connectors, declared, engine, report
from reconciler.afterwards import Filed
from reconciler.bundled import root
from reconciler.errors import ConfigurationError, FilingError, ReconcilerError, StoreError
from reconciler.estate.results import OPEN, SEVERITIES, Evaluation, Finding, Outcome, Run, Scope
from reconciler.estate.tables import Coverage, tables
from reconciler.findings import FindingStore
from reconciler.nonconformity.following import Followed
from reconciler.nonconformity.risks import Register
from reconciler.notices import Sent
from reconciler.report.treated import Treated
from reconciler.sdk.connector import Gap, Source, Status
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.memory import Memory

EXIT_FINDINGS = 1
EXIT_SOURCE = 3
EXIT_FILING = FilingError.exit_code


@dataclass(frozen=True, slots=True)
class After:
    """What came after a recorded run: nonconformities, what became of tickets and notices, and what is to be listed."""

    followed: Followed
    filed: Filed
    told: Sent
    nonconformities: Sequence[Treated]

    @property
    def undone(self) -> list[str]:
        """What could not be filed, or told to whom, in words."""
        return [*self.filed.troubles, *self.told.errors, *self.told.unaddressed]


@dataclass(frozen=True, slots=True)
class Night:
    """What one run did: the record of it, all findings, the reports written, and pulls that once crashed.

    ``idle`` names the entries of the configuration that fit nothing, each as ``file:line: key``.
    """

    run: Run
    findings: Sequence[Finding]
    reports: Sequence[Path]
    unsealed: Sequence[Path]
    idle: Sequence[str]
    after: After


def load_rules(settings: Settings) -> list[engine.Rule]:
    """Load and lint the bundled rules and the organisation's own, with the configured parameters.

    Raises ``ConfigurationError``, with file and line, for a parameter or a limit of a rule that is none, and for a
    folder or file that is not there.
    """
    try:
        rules = engine.load(_rule_folders(settings), settings.config.rules.params)
    except ConfigurationError as error:
        if not error.message.startswith("rules.params."):
            raise
        keys = error.message.partition(":")[0].split(".")
        raise ConfigurationError(f"{settings.at(*keys)}: {error.message}", advice=error.advice) from error
    judged = sorted(rule.info.rule_id for rule in rules if rule.info.status != "retired")
    for section, named in (
        ("limits", settings.config.limits.rules),
        ("nonconformities", settings.config.nonconformities.rules),
    ):
        for rule_id in named:
            if rule_id not in judged:
                close = difflib.get_close_matches(rule_id.upper(), judged, n=1)
                where = f"{settings.at(section, 'rules', rule_id)}: {section}.rules.{rule_id}"
                raise ConfigurationError(
                    f"{where}: no rule {rule_id} is evaluated",
                    advice=f"Did you mean {close[0]}?" if close else "`reconciler rules list` names them.",
                )
    declared.catalogue(settings, [rule.info.rule_id for rule in rules])  # own controls may name no other rule
    return rules


def _rule_folders(settings: Settings) -> list[Path]:
    """Return the folders of rules; a folder, or the file of own controls, that is not there is named with its line."""
    for number, folder in enumerate(settings.rule_folders):
        if not folder.is_dir():
            where = f"{settings.at('rules', 'folders', number)}: rules.folders.{number}"
            raise ConfigurationError(f"{where}: there is no folder {folder}", advice="Name a folder of rules.")
    if settings.controls is not None and not settings.controls.is_file():
        where = f"{settings.at('rules', 'controls')}: rules.controls"
        raise ConfigurationError(f"{where}: there is no file {settings.controls}", advice="Name a file of controls.")
    return [root("rules"), *settings.rule_folders]


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


def check_tables(settings: Settings, pulls: Sequence[collect.Pull]) -> None:
    """Raise ``ConfigurationError``, with file and line, for what its source cannot read whatever is granted.

    That is a table that it does not report, and what is missing on this machine. Nothing is connected to.
    """
    for pull in pulls:
        name = pull.source.name
        for key, said in pull.settings.unusable(settings.base):
            raise ConfigurationError(
                f"{settings.at('sources', name, key)}: sources.{name}.{key}: {said}",
                advice="Correct it, or put there what it names.",
            )
        reports = _reports(settings, pull)
        unread = [table for table in pull.settings.tables or () if table not in reports]
        if unread:
            where = f"{settings.at('sources', name, 'tables')}: sources.{name}.tables"
            raise ConfigurationError(
                f"{where}: {pull.connector} does not report {', '.join(unread)}",
                advice=f"Use some of: {', '.join(reports)}; or leave `tables` out.",
            )
        idle = [entry for entry in pull.settings.may_be_empty if entry.partition("/")[0] not in reports]
        if idle:
            where = f"{settings.at('sources', name, 'may_be_empty')}: sources.{name}.may_be_empty"
            raise ConfigurationError(
                f"{where}: {pull.connector} does not report {', '.join(idle)}",
                advice=f"Use TABLE or TABLE/PARTITION, with one of these tables: {', '.join(reports)}.",
            )


def _reports(settings: Settings, pull: collect.Pull) -> Mapping[str, frozenset[str]]:
    """Return what a source reports; an error gets file and line of its section, of the key where it names one."""
    try:
        return pull.source.reports
    except ConfigurationError as error:
        name = pull.source.name
        named = re.match(rf"\[sources\.{re.escape(name)}\] ([\w.-]+)", error.message)
        keys = named[1].rstrip(".").split(".") if named else []
        said = error.message if named else f"sources.{name}: {error.message}"
        raise ConfigurationError(f"{settings.at('sources', name, *keys)}: {said}", advice=error.advice) from error


def check_sources(settings: Settings, names: Sequence[str] = ()) -> dict[str, Sequence[Gap] | ReconcilerError]:
    """Ask each source what its credentials cannot see: gaps, or the error where nothing could be seen.

    One that fails, whatever with, keeps no other from its answer.
    """

    async def check(source: Source) -> Sequence[Gap] | ReconcilerError:
        try:
            return await collect.ask(source.check)
        finally:
            await collect.close(source)

    async def check_all() -> dict[str, Sequence[Gap] | ReconcilerError]:
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
    snapshots = SnapshotStore(settings.snapshots)
    last = snapshots.latest_of(settings.config.estate.name)
    memory = Memory(
        links=store.remembered_links(),
        complete=last.complete_at() if last else {},
        evaluated=store.rule_evaluations(),
        accepted=Register.open(settings.database_url).records(),
    )
    return asyncio.run(
        collect.pull(
            open_sources(settings),
            snapshots,
            estate=settings.config.estate.name,
            as_of=as_of,
            limits=collect.Limits(limits.drop_count, limits.drop_percent, limits.small_population),
            accepted=accepted,
            report=progress,
            memory=memory,
            matchers=settings.config.correlation.matchers,
        )
    )


def evaluate(
    settings: Settings, snapshot: Snapshot, rules: Sequence[engine.Rule], *, as_of: datetime, keep: bool = False
) -> Evaluation:
    """Judge a sealed snapshot; the same snapshot, rules and instant give the same verdicts for ever.

    ``keep``: what was said to the same question before may be read again, and what is said now is kept for that.
    """
    snapshot.verify()
    judge = engine.remember if keep else engine.evaluate
    return judge(snapshot, rules, as_of=as_of, options=options(settings))


def options(settings: Settings) -> engine.Options:
    """Return how the configuration has a snapshot judged, with the rows that it declares."""
    return engine.Options(
        time_zone=settings.config.estate.time_zone,
        matchers=tuple(settings.config.correlation.matchers),
        plus_addressing=settings.config.correlation.plus_addressing,
        threads=settings.config.engine.threads,
        memory_limit_mb=settings.config.engine.memory_mb,
        engine=settings.engine_url,
        declared=declared.rows(settings),
    )


def record(settings: Settings, store: FindingStore, snapshot: Snapshot, evaluation: Evaluation) -> Run:
    """Write what differs from the last run, all of it or none; a snapshot of another estate is refused."""
    if snapshot.manifest.estate != settings.config.estate.name:
        raise ConfigurationError(
            f"snapshot {snapshot.snapshot_id} is of estate {snapshot.manifest.estate!r}, not of "
            f"{settings.config.estate.name!r}",
            advice="Name a snapshot of this estate; another's would resolve what stands here.",
        )
    recorded_at = clock.now()
    return store.record(
        evaluation,
        run_id=f"{recorded_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        estate=settings.config.estate.name,
        coverage=snapshot.coverage(),
        recorded_at=recorded_at,
        limit=lambda rule_id, scope: settings.config.limits.allowed(rule_id, scope.population),
    )


def after(settings: Settings, snapshot: Snapshot, run: Run) -> After:
    """Let nonconformities follow a recorded run, and tickets and notices follow them where these are enabled.

    Raises ``StoreError`` where the nonconformities cannot be written: none of them has followed then, and the run
    stands. What could not be filed or told is said in what is returned.
    """
    try:
        followed = afterwards.follow(settings, snapshot, run)
        filed = afterwards.file(settings)
        told = afterwards.tell(settings, snapshot, run)
        return After(followed, filed, told, afterwards.treated(settings))
    except StoreError as error:
        advice = f"{error.advice} Run {run.run_id} is recorded whole; the next run lets nonconformities follow."
        raise StoreError(error.message, advice=advice.strip()) from error


def write_reports(
    settings: Settings,
    run: Run,
    findings: Sequence[Finding],
    formats: Sequence[report.Format],
    *,
    nonconformities: Sequence[Treated] = (),
) -> list[Path]:
    """Write the run's report in each format into the report folder; return the paths."""
    model = report.build(run, findings, time_zone=settings.config.estate.time_zone, nonconformities=nonconformities)
    paths = [settings.reports / f"{run.run_id}.{fmt}" for fmt in formats]
    for fmt, path in zip(formats, paths, strict=True):
        report.write(model, fmt, path)
    return paths


def instant(settings: Settings, store: FindingStore, as_of: datetime | None) -> datetime:
    """Return the instant to judge as of: ``as_of`` where given, else now.

    Raises ``ConfigurationError``, before anything is read, for one that the store would refuse after hours: before
    the last recorded run, since findings only move forward.
    """
    chosen = as_of or clock.now()
    last = store.last_run()
    if last is not None and last.estate == settings.config.estate.name and chosen < last.as_of <= last.recorded_at:
        raise ConfigurationError(
            f"{chosen.isoformat()} is before the last recorded run as of {last.as_of.isoformat()}: findings only move "
            "forward in time",
            advice=f"Look back with `reconciler run --replay {last.snapshot} --as-of ...`, which records nothing.",
        )
    return chosen


def night(settings: Settings, *, as_of: datetime | None, progress: Callable[[collect.Progress], None]) -> Night:
    """Do the whole night: rules, database, pull, verdicts, findings, nonconformities, tickets, reports."""
    rules = load_rules(settings)
    store = FindingStore.open(settings.database_url)
    chosen = instant(settings, store, as_of)
    unsealed = SnapshotStore(settings.snapshots).unsealed()
    snapshot = pull(settings, store, as_of=chosen, progress=progress)
    evaluation = evaluate(settings, snapshot, rules, as_of=chosen, keep=True)
    run = record(settings, store, snapshot, evaluation)
    findings = store.findings()
    followed = after(settings, snapshot, run)
    formats, listed = settings.config.report.formats, followed.nonconformities
    try:
        reports = write_reports(settings, run, findings, formats, nonconformities=listed)
    except StoreError as error:
        advice = f"{error.advice} Run {run.run_id} is recorded whole; `reconciler report` writes its report again."
        raise StoreError(error.message, advice=advice) from error
    return Night(run, findings, reports, unsealed, idle(settings, evaluation), followed)


def accept_drops(
    settings: Settings, *, source: str, table: str | None, snapshot: str, by: str, reason: str
) -> dict[str, tuple[int, int]]:
    """Keep a named person's acceptance of held tables of ``source`` (None: all); return rows before and now by table.

    ``snapshot`` is the sealed pull in which they were held. Raises ``ConfigurationError`` where nothing is held there.
    """
    snapshots = SnapshotStore(settings.snapshots)
    held = snapshots.open(snapshot)
    tables = collect.held_tables(held, source) if table is None else [table]
    accepted = {name: collect.held_drop(snapshots, held, source, name) for name in tables}
    store = FindingStore.open(settings.database_url)
    for name, (before, now) in accepted.items():
        store.accept_drop(
            source=source,
            table_name=name,
            snapshot=held.snapshot_id,
            rows_before=before,
            rows_accepted=now,
            accepted_by=by,
            reason=reason,
            at=clock.now(),
        )
    return accepted


def idle(settings: Settings, evaluation: Evaluation) -> list[str]:
    """Return the entries of the configuration that fit nothing, though all that they could fit was read whole."""
    return [f"{settings.at(*keys)}: {'.'.join(map(str, keys))}" for keys in evaluation.idle]


def exit_code(
    coverage: Sequence[Coverage],
    scopes: Iterable[Scope],
    violations: Iterable[str],
    fail_on: str,
    *,
    held: int = 0,
    idle: Sequence[str] = (),
    unfiled: Sequence[str] = (),
) -> int:
    """Return 3 where the answer is not whole, 2 where entries of the configuration are idle, else 5, 1 or 0.

    5 is a ticket that could not be filed or read (``unfiled`` says which): findings are what a night is for, that is
    not. It is not whole where a source was not read whole, nothing could be judged, or findings are ``held`` for
    acceptance. ``violations`` are the severities of those that stand; 1 where one is at or above ``fail_on``.
    What is missing comes first: what was found is then not all there is.
    """
    judged = list(scopes)
    if held or any(part.status != Status.COMPLETE for part in coverage) or (judged and all(s.blocked for s in judged)):
        return EXIT_SOURCE
    if idle:
        return ConfigurationError.exit_code
    if unfiled:
        return EXIT_FILING
    counted = SEVERITIES[: SEVERITIES.index(fail_on) + 1] if fail_on in SEVERITIES else ()
    return EXIT_FINDINGS if any(severity in counted for severity in violations) else 0


def scopes_of_sources(run: Run | Evaluation) -> list[Scope]:
    """Return every scope of what was read that was or could not be judged.

    Rules about the watch itself, its controls and how fresh its sources are, can be judged when nothing was read.
    """
    parts = run.scopes.items() if isinstance(run, Run) else ((r.rule.rule_id, r.scopes) for r in run.results)
    infos = {rule.rule_id: rule for rule in (run.rules if isinstance(run, Run) else (r.rule for r in run.results))}
    return [
        scope
        for rule, found in parts
        if tables()[infos[rule].population].group in {"identity", "governance"}
        for scope in found
    ]


def open_violations(findings: Sequence[Finding]) -> list[str]:
    """Return the severity of every violation that stands open: neither suppressed nor held."""
    return [f.severity for f in findings if f.verdict == Outcome.VIOLATION and f.state in OPEN]


def violations(evaluation: Evaluation) -> list[str]:
    """Return the severity of every violation of one evaluation that no exception covers."""
    return [
        result.rule.severity
        for result in evaluation.results
        for verdict in result.verdicts
        if verdict.verdict == Outcome.VIOLATION and verdict.exception is None
    ]
