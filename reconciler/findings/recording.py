"""Write one evaluation: the run, what each rule did, and of the findings only what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, String, bindparam, func, insert, null, update
from sqlmodel import Session, col, select

from reconciler.errors import StoreError
from reconciler.estate.results import Evaluation, Outcome, RuleInfo, RuleResult, Verdict
from reconciler.estate.tables import Coverage
from reconciler.findings.lifecycle import Move, Standing, Step, moves
from reconciler.findings.models import ChangeRow, EvaluationRow, FindingRow, Instant, RunRow
from reconciler.findings.reading import last_evaluated, last_run

CHUNK = 2_000
"""Rows written by one statement."""

_KEY = bindparam("key", type_=String())
_RESOLVE = (
    update(FindingRow)
    .where(col(FindingRow.finding_id) == _KEY)
    .values(
        is_open=False,
        resolved_run=bindparam("run"),
        resolved_at=bindparam("at", type_=Instant()),
        last_seen_run=func.coalesce(FindingRow.last_seen_run, bindparam("seen")),
    )
)
_DOUBT = (
    update(FindingRow)
    .where(col(FindingRow.finding_id) == _KEY)
    .values(content=bindparam("said"), last_seen_run=func.coalesce(FindingRow.last_seen_run, bindparam("seen")))
)
_SAID: dict[str, Any] = {
    name: bindparam(f"new_{name}")
    for name in ("rule", "rule_version", "verdict", "severity", "source", "person_id", "reason", "content")
}
_CHANGE = update(FindingRow).where(col(FindingRow.finding_id) == _KEY).values(**_SAID, last_seen_run=null())
_REOPEN = _CHANGE.values(
    is_open=True,
    since_run=bindparam("run"),
    resolved_run=null(),
    resolved_at=null(),
    times_reopened=col(FindingRow.times_reopened) + 1,
)


def record(
    session: Session,
    evaluation: Evaluation,
    *,
    run_id: str,
    estate: str,
    coverage: Sequence[Coverage],
    recorded_at: datetime,
) -> None:
    """Write the run in the session's transaction; raise ``StoreError`` where it may not follow the last one."""
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
    )
    session.add(run)
    session.flush()
    if run.number is None:
        raise AssertionError(run_id)
    connection = session.connection()
    _write_scopes(connection, run.number, evaluation.results)
    counts: Counter[Step] = Counter()
    for result in evaluation.results:
        _Ledger(connection, run.number, evaluation, result.rule, before).write(
            moves(_standings(connection, result.rule.rule_id), result), counts
        )
    run.opened, run.persisting = counts[Step.OPENED], counts[Step.PERSISTED]
    run.resolved, run.reopened = counts[Step.RESOLVED], counts[Step.REOPENED]
    still_open = session.exec(select(func.count()).where(col(FindingRow.is_open))).one()
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


def _write_scopes(connection: Connection, run: int, results: Sequence[RuleResult]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "run": run,
            "rule_id": result.rule.rule_id,
            "source": scope.source,
            "population": scope.population,
            "violations": scope.violations,
            "passes": scope.passes,
            "not_applicable": scope.not_applicable,
            "not_evaluable": scope.not_evaluable,
            "evaluated": not scope.blocked,
            "blocked": _json(scope.blocked),
        }
        for result in results
        for scope in result.scopes
    ]
    if rows:
        connection.execute(insert(EvaluationRow), [{"position": n} | row for n, row in enumerate(rows)])


def _standings(connection: Connection, rule_id: str) -> dict[str, Standing]:
    """Load of every finding of the rule only what the lifecycle compares."""
    row = FindingRow
    found = connection.execute(
        select(row.finding_id, row.source, row.is_open, row.verdict)
        .add_columns(col(row.last_seen_run), col(row.content))
        .where(col(row.rule_id) == rule_id)
    )
    return {
        identity: Standing(source, is_open, Outcome(held), last_seen is None, content)
        for identity, source, is_open, held, last_seen, content in found
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
        self._altered: dict[Any, list[dict[str, Any]]] = {_RESOLVE: [], _DOUBT: [], _CHANGE: [], _REOPEN: []}
        self._history: list[dict[str, Any]] = []

    def write(self, steps: Iterable[Move], counts: Counter[Step]) -> None:
        """Write every move but those that change nothing; count those that stand verified, and the resolved."""
        for move in steps:
            step = Step.PERSISTED if move.step is Step.CHANGED else move.step
            counts[step] += move.verified
            if move.step is not Step.PERSISTED:
                self._add(move)
            if len(self._history) >= CHUNK:
                self._flush()
        self._flush()

    def _add(self, move: Move) -> None:
        seen = self._before.get((self._rule.rule_id, move.source))
        verdict = move.verdict
        if verdict is None:
            self._altered[_RESOLVE].append({"key": move.finding_id, "run": self._run, "at": self._as_of, "seen": seen})
            self._remember(move, Outcome.PASS, f"evaluated in snapshot {self._snapshot} and no longer found")
            return
        said = self._said(move, verdict)
        if move.step is Step.OPENED:
            self._opened.append(self._first(move, verdict) | said)
        elif not move.verified:
            self._altered[_DOUBT].append({"key": move.finding_id, "said": move.content, "seen": seen})
        else:
            changed = {"key": move.finding_id} | {f"new_{name}": value for name, value in said.items()}
            if move.step is Step.REOPENED:
                self._altered[_REOPEN].append(changed | {"run": self._run})
            else:
                self._altered[_CHANGE].append(changed)
        self._remember(move, verdict.verdict, verdict.reason)

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
        batches = [(insert(FindingRow), self._opened), *self._altered.items(), (insert(ChangeRow), self._history)]
        for statement, rows in batches:
            if rows:
                self._connection.execute(statement, rows)
                rows.clear()


def _storable(words: str) -> str:
    """PostgreSQL text holds no NUL; in text that is for reading the sign for an unreadable character stands in."""
    return words.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
