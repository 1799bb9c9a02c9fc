"""What a run could see: every source and table, what is missing, and the rules that could not judge for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import msgspec

from reconciler.estate.results import SEVERITIES, RuleInfo, Run
from reconciler.estate.tables import Coverage, tables

ReadStatus = Literal["COMPLETE", "PARTIAL", "FAILED", "UNKNOWN"]
"""UNKNOWN: the run kept no status, which is not the same as complete."""

_BADNESS: tuple[ReadStatus, ...] = ("COMPLETE", "PARTIAL", "UNKNOWN", "FAILED")


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One table of one source over all its partitions; the status is that of the worst partition.

    ``rows`` and ``provider_count`` are sums, None where any partition did not say.
    """

    source: str
    table: str
    status: ReadStatus
    rows: int | None
    provider_count: int | None
    partitions: int
    incomplete: tuple[str, ...]
    """Names of the partitions that are not complete."""
    gaps: tuple[str, ...]
    canaries: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all of it was read."""
        return self.status == "COMPLETE"


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that judged nothing in a source (None: the whole estate), and why."""

    rule: RuleInfo
    source: str | None
    reasons: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where, in words."""
        return self.source or "the whole estate"


class CoverageView(msgspec.Struct, frozen=True, kw_only=True):
    """The matrix of sources and tables, and what follows from its holes."""

    sources: tuple[str, ...]
    tables: tuple[str, ...]
    reads: tuple[Read, ...]
    """Ordered by source, then table."""
    blocked: tuple[Blocked, ...]
    """Worst rule first."""
    rules: int
    """How many rules the run had."""

    @property
    def missing(self) -> tuple[Read, ...]:
        """Reads that are not complete."""
        return tuple(read for read in self.reads if not read.complete)

    @property
    def complete(self) -> bool:
        """Whether something was read and judged, all of it whole, and every rule could judge everywhere."""
        return bool(self.reads and self.rules) and not self.missing and not self.blocked

    def read(self, source: str, table: str) -> Read | None:
        """Return that cell of the matrix; None where the source does not report the table."""
        return next((read for read in self.reads if (read.source, read.table) == (source, table)), None)


def view(run: Run) -> CoverageView:
    """Arrange a run's coverage and blocked scopes for reading."""
    parts: dict[tuple[str, str], list[Coverage]] = defaultdict(list)
    for entry in run.coverage:
        parts[entry.source, entry.table_name].append(entry)
    known = list(tables())
    names = sorted({table for _, table in parts}, key=lambda t: (known.index(t) if t in known else len(known), t))
    sources = sorted({source for source, _ in parts})
    reads = [_read(parts[source, table]) for source in sources for table in names if (source, table) in parts]
    return CoverageView(
        sources=tuple(sources),
        tables=tuple(names),
        reads=tuple(reads),
        blocked=_blocked(run),
        rules=len(run.rules),
    )


def _read(parts: Sequence[Coverage]) -> Read:
    statuses: list[ReadStatus] = [part.status or "UNKNOWN" for part in parts]
    incomplete = [part for part in parts if part.status != "COMPLETE"]
    gaps = [gap for part in parts for gap in part.gaps or ()]
    if incomplete and not gaps:
        gaps = ["The source gave no reason."]
    return Read(
        source=parts[0].source,
        table=parts[0].table_name,
        status=max(statuses, key=_BADNESS.index),
        rows=_total([part.rows for part in parts]),
        provider_count=_total([part.provider_count for part in parts]),
        partitions=len(parts),
        incomplete=tuple(part.partition for part in incomplete if part.partition),
        gaps=tuple(dict.fromkeys(gaps)),
        canaries=tuple(dict.fromkeys(canary for part in parts for canary in part.canaries or ())),
    )


def _total(figures: Sequence[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def _blocked(run: Run) -> tuple[Blocked, ...]:
    found = [
        Blocked(rule=rule, source=scope.source, reasons=scope.blocked)
        for rule in run.rules
        for scope in run.scopes.get(rule.rule_id, ())
        if scope.blocked
    ]
    found += [
        Blocked(rule=rule, source=None, reasons=("No source reports what this rule reads.",))
        for rule in run.rules
        if not run.scopes.get(rule.rule_id)
    ]
    return tuple(
        sorted(found, key=lambda b: (SEVERITIES.index(b.rule.severity), b.rule.rule_id, b.source or "", b.reasons))
    )
