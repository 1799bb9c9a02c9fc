"""The mass-change stop: a table that lost too much is held until a named person accepts the loss.

A broken filter, a narrowed right or an emptied file looks exactly like a mass departure, and every page of it
may be in order. A drop is held where it passes both limits, count and percent: percent alone would stop a
large table too late and a small one every night. Below the small population the count alone would let nearly
everything go, so there the loss of more than half (and at least three rows) is held. The loss of all rows is
always held. Growth is not: what is new is judged by the rules.

A column is lost as easily as a row, and does the same harm: people without ``employee_id`` belong to no account.
So a table is held too where it lost a column that it reported, or most of the values of one, and where its whole
source left the configuration although rules join its governance tables to everything else.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.collect.outcome import Part, TableOutcome
from reconciler.estate.correlate import DEFAULT, matcher
from reconciler.sdk.connector import Gap, Partition, Status
from reconciler.sdk.records import GOVERNANCE
from reconciler.snapshot.filled import filled
from reconciler.snapshot.manifest import SourceEntry
from reconciler.snapshot.store import Snapshot, SnapshotStore
from reconciler.snapshot.writer import SnapshotWriter

HELD = "held by the mass-change stop"
"""How the gap of a held table begins."""

_SMALL_LOSS = 3
_PASSING = {"events"}
"""Tables of what happened in a span of time: a quiet weekend is no loss."""
_FEW_VALUES = 20
"""Columns with fewer values come and go; from here on the loss of more than half of them is held."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a table may lose unasked: up to ``drop_count`` rows or up to ``drop_percent`` of them.

    The defaults meet without a step: at twice ``drop_count`` rows, half of them is ``drop_count``.
    """

    drop_count: int = 50
    drop_percent: float = 10.0
    small_population: int = 100


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A named person's word that a table of a source has ``rows`` rows now, and why."""

    source: str
    table: str
    rows: int
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The number of rows to measure against, in words where it is from, and the snapshot (None: it was accepted)."""

    rows: int
    origin: str
    snapshot: Snapshot | None = None


class History:
    """What earlier pulls of the estate found, looked up newest first and no further back than is needed."""

    def __init__(self, store: SnapshotStore, estate: str, accepted: Sequence[Acceptance]) -> None:
        self._estate = estate
        self._accepted = accepted
        self._opened: list[Snapshot] = []
        self._older = (store.open(snapshot_id) for snapshot_id in store.ids())

    def reports(self, source: str) -> dict[str, tuple[str, ...]]:
        """Return the tables and columns of ``source`` in the newest snapshot that has it; empty: it is new."""
        for snapshot in self._snapshots():
            for entry in snapshot.manifest.sources:
                if entry.name == source:
                    return entry.reports
        return {}

    def left(self, names: Sequence[str]) -> list[SourceEntry]:
        """Return the sources of the newest snapshot that are not among ``names`` any more."""
        newest = next(self._snapshots(), None)
        return [entry for entry in newest.manifest.sources if entry.name not in names] if newest else []

    def baseline(self, source: str, table: str) -> Baseline | None:
        """Return the rows when the table was last COMPLETE, or as accepted since; None: never."""
        for snapshot in self._snapshots():
            if snapshot.status(source, table) is Status.COMPLETE:
                sealed_at = snapshot.manifest.sealed_at
                later = [a for a in self._accepted if (a.source, a.table) == (source, table) and a.at > sealed_at]
                if not later:
                    return Baseline(snapshot.rows(source, table), f"in snapshot {snapshot.snapshot_id}", snapshot)
                last = max(later, key=lambda acceptance: acceptance.at)
                return Baseline(last.rows, f"as accepted by {last.by} on {last.at:%Y-%m-%d}")
        return None

    def _snapshots(self) -> Iterator[Snapshot]:
        """Yield the estate's snapshots, newest first, each opened once.

        Raises ``StoreError`` at one that is damaged: to pass it over would measure against an older one, or
        against nothing.
        """
        yield from tuple(self._opened)
        for snapshot in self._older:
            if snapshot.manifest.estate == self._estate:
                self._opened.append(snapshot)
                yield snapshot


def too_much(before: int, now: int, limits: Limits) -> bool:
    """Decide whether going from ``before`` rows to ``now`` is a drop that a person has to look at."""
    drop = before - now
    if drop <= 0:
        return False
    if now == 0:
        return True
    if before < limits.small_population and drop >= _SMALL_LOSS and drop * 2 > before:
        return True
    return drop > limits.drop_count and drop * 100 > limits.drop_percent * before


def linking(matchers: Iterable[str]) -> set[str]:
    """Return the columns, as TABLE.COLUMN, by which accounts are linked to people, whichever of the matchers are used.

    ``attribute:NAME`` adds the column of attributes.
    """
    used = [matcher(name) for name in dict.fromkeys([*DEFAULT, *matchers])]
    return {f"accounts.{m.account_column}" for m in used} | {f"people.{m.person_column}" for m in used}


def hold(
    source: str,
    outcomes: dict[str, TableOutcome],
    past: History,
    limits: Limits,
    *,
    writer: SnapshotWriter,
    selected: Sequence[str] | None,
    withdrawn: Collection[str] = (),
    matchers: Collection[str] = DEFAULT,
) -> None:
    """Add a gap to each COMPLETE table of ``source`` that lost too much, and one for each that vanished.

    A table that the source reported before and does not report now (its file is gone) is added to
    ``outcomes`` as PARTIAL. ``selected`` are the tables that the configuration names, None for all: a table
    left out there was left out by a person. ``withdrawn`` are the columns, as TABLE.COLUMN, of which the source's
    own check said tonight that they cannot be filled: they are unknown, and their table is whole. Only those that
    link accounts to people, by the ``matchers``, are held all the same, for without one of them accounts would look
    like nobody's.
    """
    before = past.reports(source)
    said = set(withdrawn) - linking(matchers)
    for table in dict.fromkeys([*outcomes, *before]):
        baseline = None if table in _PASSING else past.baseline(source, table)
        outcome = outcomes.get(table)
        if baseline is None:
            continue
        if outcome is None and (selected is None or table in selected) and baseline.rows > 0:
            lost = f"{baseline.rows} rows {baseline.origin}, the source does not report this table any more"
            outcomes[table] = _vanished(source, table, before[table], lost, writer.snapshot_id)
        elif outcome and outcome.status is Status.COMPLETE:
            if too_much(baseline.rows, outcome.rows, limits):
                lost = f"{baseline.rows} rows {baseline.origin}, {outcome.rows} rows now"
                outcome.add_gap(_gap(source, table, lost, writer.snapshot_id).reason)
            else:  # with the rows go their values: that is said already
                for lost in _lost_values(source, outcome, baseline, writer):
                    outcome.add_gap(_gap(source, table, lost, writer.snapshot_id).reason)
            for lost in _lost_columns(source, outcome, baseline, said):
                outcome.add_gap(_gap(source, table, lost, writer.snapshot_id).reason)


def hold_left(entry: SourceEntry, past: History, *, snapshot_id: str) -> dict[str, TableOutcome]:
    """Return as PARTIAL the governance tables of a source that left the configuration; empty once accepted.

    Its identity tables are not kept: findings of a source that is not read stay as they are, whatever happens.
    """
    held = {}
    for table, columns in entry.reports.items():
        baseline = past.baseline(entry.name, table) if table in GOVERNANCE else None
        if baseline is not None and baseline.rows > 0:
            lost = f"{baseline.rows} rows {baseline.origin}, the source is not configured any more"
            held[table] = _vanished(entry.name, table, columns, lost, snapshot_id)
    return held


def _lost_columns(source: str, outcome: TableOutcome, baseline: Baseline, said: Collection[str]) -> Iterator[str]:
    """Say which columns are not reported any more; none where that is ``said`` or the present state was accepted."""
    if baseline.snapshot is None:
        return
    reported = next((e.reports for e in baseline.snapshot.manifest.sources if e.name == source), {})
    for column in reported.get(outcome.table, ()):
        if column not in outcome.columns and f"{outcome.table}.{column}" not in said:
            yield f"column {column} was reported {baseline.origin} and is not any more"


def _lost_values(source: str, outcome: TableOutcome, baseline: Baseline, writer: SnapshotWriter) -> Iterator[str]:
    """Say which columns lost most of their values, although the rows are there."""
    if baseline.snapshot is None:
        return
    before = filled(baseline.snapshot.files(outcome.table, source))
    now = filled(writer.folder / part.file.path for part in outcome.parts if part.file)
    for column in outcome.columns:
        if before[column] >= _FEW_VALUES and now[column] * 2 < before[column]:
            yield f"column {column} held {before[column]} values {baseline.origin} and {now[column]} now"


def _vanished(source: str, table: str, columns: tuple[str, ...], lost: str, snapshot_id: str) -> TableOutcome:
    gap = _gap(source, table, lost, snapshot_id)
    return TableOutcome(table, columns, [Part(Partition(), closed=True, gaps={gap: None})])


def _gap(source: str, table: str, lost: str, snapshot_id: str) -> Gap:
    return Gap(
        table,
        "",
        f"{HELD}: {lost}. If that is right, accept it: "
        f"reconciler sources accept {shlex.quote(source)} {table} --snapshot {snapshot_id} --by NAME --reason TEXT",
    )
