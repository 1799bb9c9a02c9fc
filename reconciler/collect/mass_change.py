"""The mass-change stop: a table that shrank too much is held until a named person accepts the drop.

A broken filter, a narrowed right or an emptied file looks exactly like a mass departure, and every page of it
may be in order. A drop is held where it passes both limits, count and percent: percent alone would stop a
large table too late and a small one every night. Below the small population the count alone would let nearly
everything go, so there the loss of more than half (and at least three rows) is held. The loss of all rows is
always held. Growth is not: what is new is judged by the rules.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.collect.outcome import Part, TableOutcome
from reconciler.sdk.connector import Gap, Partition, Status
from reconciler.snapshot.store import Snapshot, SnapshotStore

HELD = "held by the mass-change stop"
"""How the gap of a held table begins."""

_SMALL_LOSS = 3


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
    """The number of rows to measure against, and in words where it is from."""

    rows: int
    origin: str


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

    def baseline(self, source: str, table: str) -> Baseline | None:
        """Return the rows when the table was last COMPLETE, or as accepted since; None: never."""
        for snapshot in self._snapshots():
            if snapshot.status(source, table) is Status.COMPLETE:
                sealed_at = snapshot.manifest.sealed_at
                later = [a for a in self._accepted if (a.source, a.table) == (source, table) and a.at > sealed_at]
                if not later:
                    return Baseline(snapshot.rows(source, table), f"in snapshot {snapshot.snapshot_id}")
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


def hold(
    source: str,
    outcomes: dict[str, TableOutcome],
    past: History,
    limits: Limits,
    *,
    snapshot_id: str,
    selected: Sequence[str] | None,
) -> None:
    """Add a gap to each COMPLETE table of ``source`` that shrank too much, and one for each that vanished.

    A table that the source reported before and does not report now (its file is gone) is added to
    ``outcomes`` as PARTIAL. ``selected`` are the tables that the configuration names, None for all: a table
    left out there was left out by a person.
    """
    before = past.reports(source)
    for table in dict.fromkeys([*outcomes, *before]):
        baseline = past.baseline(source, table)
        outcome = outcomes.get(table)
        if baseline is None:
            continue
        if outcome is None and (selected is None or table in selected) and baseline.rows > 0:
            gap = _gap(source, table, baseline, "the source does not report this table any more", snapshot_id)
            outcomes[table] = TableOutcome(table, before[table], [Part(Partition(), closed=True, gaps={gap: None})])
        elif outcome and outcome.status is Status.COMPLETE and too_much(baseline.rows, outcome.rows, limits):
            gap = _gap(source, table, baseline, f"{outcome.rows} rows now", snapshot_id)
            outcome.add_gap(gap.reason)


def _gap(source: str, table: str, baseline: Baseline, now: str, snapshot_id: str) -> Gap:
    return Gap(
        table,
        "",
        f"{HELD}: {baseline.rows} rows {baseline.origin}, {now}. If that is right, accept it: "
        f"reconciler sources accept {shlex.quote(source)} {table} --snapshot {snapshot_id} --by NAME --reason TEXT",
    )
