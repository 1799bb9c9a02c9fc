"""Write one evaluation: the run, what each rule did, and of the findings only what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, func
from sqlmodel import Session, col, select

from reconciler.database import bulk
from reconciler.database.findings import ChangeRow, EvaluationRow, FindingRow, RunRow
from reconciler.errors import StoreError
from reconciler.estate.results import Evaluation, Outcome, RuleInfo, RuleResult, Scope, Verdict
from reconciler.estate.tables import Coverage
from reconciler.findings.lifecycle import Exceptions, Move, Standing, Step, moves
from reconciler.findings.reading import last_evaluated, last_run

CHUNK = 5_000
"""Rows written by one statement, or read at a time."""

_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_STANDS: dict[str, Any] = {"exception": None, "excepted_until": None, "waiting": False}
_GONE: dict[str, Any] = {"resolved_run": None, "resolved_at": None}


def record(
    session: Session,
    evaluation: Evaluation,
    *,
    run_id: str,
    estate: str,
    coverage: Sequence[Coverage],
    recorded_at: datetime,
    limit: Callable[[str, Scope], int] | None = None,
) -> None:
    """Write the run in the session's transaction; raise ``StoreError`` where it may not follow the last one.

    ``limit`` says how many new violations a rule may open in a scope, None: any number. The first run that could
    judge anything holds nothing: there all are new.
    """
    _refuse_out_of_turn(session, evaluation, run_id=run_id, estate=estate)
    before = last_evaluated(session)
    run = RunRow(
        run_id=run_id,
        estate=estate,
        snapshot=evaluation.snapshot,
        as_of=evaluation.as_of,
        recorded_at=recorded_at,
        digest=evaluation.digest,
        rules=_json([result.rule for result in evaluation.results]),
        coverage=_json(list(coverage)),
        exceptions=_json(evaluation.exceptions),
        exceptions_unread=_json(evaluation.exceptions_unread),
    )
    session.add(run)
    session.flush()
    if run.number is None:
        raise AssertionError(run_id)
    connection = session.connection()
    counts: Counter[Step] = Counter()
    kept: Counter[tuple[str, str | None]] = Counter()
    exceptions = Exceptions(evaluation)
    for result in evaluation.results:
        rule_id = result.rule.rule_id
        allowed = partial(limit, rule_id) if limit and before else None
        steps = moves(_standings(connection, rule_id), result, exceptions=exceptions, limit=allowed)
        _Ledger(connection, run.number, evaluation, result.rule, before).write(steps, counts, kept)
    _write_scopes(connection, run.number, evaluation.results, kept)
    run.opened, run.persisting = counts[Step.OPENED], counts[Step.PERSISTED]
    run.resolved, run.reopened = counts[Step.RESOLVED], counts[Step.REOPENED]
    standing = select(func.count()).where(col(FindingRow.is_open))
    run.held = session.exec(standing.where(col(FindingRow.waiting))).one()
    run.suppressed = session.exec(standing.where(col(FindingRow.exception).is_not(None))).one()
    still_open = session.exec(standing).one() - run.held - run.suppressed
    run.unverified = still_open - run.opened - run.persisting - run.reopened
    session.flush()


def _refuse_out_of_turn(session: Session, evaluation: Evaluation, *, run_id: str, estate: str) -> None:
    if session.exec(select(RunRow.number).where(RunRow.run_id == run_id)).first() is not None:
        raise StoreError(f"run {run_id} is recorded already", advice="give every run an id of its own")
    last = last_run(session)
    if last is None:
        return
    if last.estate != estate:
        raise StoreError(
            f"the database holds the findings of estate {last.estate!r}, not of {estate!r}",
            advice=f"give estate {estate!r} a database of its own ([store] database), or correct [estate] name",
        )
    # A run that was recorded as of an instant then in the future must not lock the database until it comes.
    if evaluation.as_of < last.as_of <= last.recorded_at:
        raise StoreError(
            f"snapshot {evaluation.snapshot} is as of {evaluation.as_of.isoformat()}, before the last recorded run "
            f"{last.run_id} as of {last.as_of.isoformat()}: findings only move forward in time",
            advice=f"to look without recording: reconciler run --replay {evaluation.snapshot}",
        )


def _write_scopes(
    connection: Connection, run: int, results: Sequence[RuleResult], kept: Mapping[tuple[str, str | None], int]
) -> None:
    """Write the figures; violations that are ``kept`` under an exception count as excepted, as their findings do."""

    def under(result: RuleResult, scope: Scope) -> int:
        return min(kept.get((result.rule.rule_id, scope.source), 0), scope.violations)

    rows: list[dict[str, Any]] = [
        {
            "run": run,
            "rule_id": result.rule.rule_id,
            "source": scope.source,
            "population": scope.population,
            "violations": scope.violations - under(result, scope),
            "passes": scope.passes,
            "not_applicable": scope.not_applicable,
            "not_evaluable": scope.not_evaluable,
            "excepted": scope.excepted + under(result, scope),
            "evaluated": not scope.blocked,
            "blocked": _json(scope.blocked),
            "unmatched": _json(scope.unmatched),
        }
        for result in results
        for scope in result.scopes
    ]
    bulk.insert(connection, EvaluationRow, [{"position": n} | row for n, row in enumerate(rows)])


def _standings(connection: Connection, rule_id: str) -> dict[str, Standing]:
    """Load of every finding of the rule only what the lifecycle compares."""
    row = FindingRow
    found = connection.execute(
        select(row.finding_id, row.source, row.is_open, row.verdict)
        .add_columns(col(row.last_seen_run), col(row.content), col(row.exception))
        .add_columns(col(row.excepted_until), col(row.waiting))
        .where(col(row.rule_id) == rule_id)
        .execution_options(yield_per=CHUNK)
    )
    sources: dict[str | None, str | None] = {}
    return {
        identity: Standing(sources.setdefault(source, source), is_open, _OUTCOMES[held], last_seen is None, *rest)
        for identity, source, is_open, held, last_seen, *rest in found
    }


class _Ledger:
    """Collects the rows of one rule's moves and writes them in chunks."""

    def __init__(
        self,
        connection: Connection,
        run: int,
        evaluation: Evaluation,
        rule: RuleInfo,
        before: Mapping[tuple[str, str | None], int],
    ) -> None:
        self._connection, self._run, self._rule, self._before = connection, run, rule, before
        self._as_of, self._snapshot = evaluation.as_of, evaluation.snapshot
        self._opened: list[dict[str, Any]] = []
        self._altered: dict[tuple[tuple[str, ...], bool], list[dict[str, Any]]] = {}
        self._history: list[dict[str, Any]] = []

    def write(self, steps: Iterable[Move], counts: Counter[Step], kept: Counter[tuple[str, str | None]]) -> None:
        """Write every move but those that change nothing; count those that stand open, verified, and the resolved.

        ``kept`` counts, by rule and source, violations that stay under an exception which could not be read.
        """
        for move in steps:
            said = move.verdict
            if move.exception and said and said.verdict is Outcome.VIOLATION and said.exception is None:
                kept[said.rule_id, said.source] += 1
            step = Step.PERSISTED if move.step is Step.CHANGED else move.step
            counts[step] += move.verified and (move.counts or step is Step.RESOLVED)
            if move.step is not Step.PERSISTED:
                self._add(move)
            if len(self._history) >= CHUNK:
                self._flush()
        self._flush()

    def _add(self, move: Move) -> None:
        before, verdict = move.before, move.verdict
        if before is None:
            if verdict is None:
                raise AssertionError(move.finding_id)
            self._opened.append(self._first(move, verdict) | self._said(move, verdict) | _stands(move))
        else:
            altered = self._altered_to(move, before)
            again = move.step in {Step.REOPENED, Step.HELD} and move.comes_back
            rows = self._altered.setdefault((tuple(altered), again), [])
            rows.append({"finding_id": move.finding_id} | altered)
        if move.step is Step.RESOLVED:
            self._remember(move, Outcome.PASS, f"evaluated in snapshot {self._snapshot} and no longer found")
        elif verdict is None:
            self._remember(move, move.held, move.why)
        else:
            said = f"{move.why}; {verdict.reason}" if move.why else verdict.reason
            self._remember(move, verdict.verdict, said)

    def _altered_to(self, move: Move, before: Standing) -> dict[str, Any]:
        """Return the columns of a known finding that the move alters."""
        seen: dict[str, Any] = {}
        if before.verified:
            seen["last_seen_run"] = self._before.get((self._rule.rule_id, move.source))
        if move.step is Step.RESOLVED:
            return {"is_open": False, "resolved_run": self._run, "resolved_at": self._as_of} | _STANDS | seen
        if move.verdict is not None and move.verified:
            altered = self._said(move, move.verdict) | {"last_seen_run": None}
        else:
            altered = {"content": move.content} | seen
        if not before.is_open or move.step in {Step.REOPENED, Step.HELD}:
            altered |= {"is_open": True, "since_run": self._run} | _GONE
        return altered | _stands(move)

    def _said(self, move: Move, verdict: Verdict) -> dict[str, Any]:
        return {
            "rule": self._rule.name,
            "rule_version": self._rule.version,
            "verdict": verdict.verdict.value,
            "severity": self._rule.severity,
            "source": verdict.source,
            "person_id": verdict.person_id and _storable(verdict.person_id),
            "reason": _storable(verdict.reason),
            "content": move.content,
        }

    def _first(self, move: Move, verdict: Verdict) -> dict[str, Any]:
        return {
            "finding_id": move.finding_id,
            "rule_id": self._rule.rule_id,
            "subject": _json(verdict.subject),
            "is_open": True,
            "first_seen": self._as_of,
            "opened_run": self._run,
            "since_run": self._run,
            "times_reopened": 0,
        }

    def _remember(self, move: Move, verdict: Outcome, reason: str) -> None:
        self._history.append(
            {
                "finding_id": move.finding_id,
                "run": self._run,
                "change": move.step.value,
                "verdict": verdict.value,
                "severity": self._rule.severity,
                "rule_version": self._rule.version,
                "reason": _storable(reason),
            }
        )

    def _flush(self) -> None:
        bulk.insert(self._connection, FindingRow, self._opened)
        for (_, again), rows in self._altered.items():
            bulk.update(self._connection, FindingRow, "finding_id", rows, count_up="times_reopened" if again else "")
        bulk.insert(self._connection, ChangeRow, self._history)
        self._opened, self._altered, self._history = [], {}, []


def _stands(move: Move) -> dict[str, Any]:
    return {"exception": move.exception, "excepted_until": move.until, "waiting": move.waiting}


def _storable(words: str) -> str:
    """PostgreSQL text holds no NUL; in text that is for reading the sign for an unreadable character stands in."""
    return words.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
